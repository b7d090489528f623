"""Where the processes of this site tell each other that a workspace must wait: its shared cache.

The client may not be held up by it: a cache that is gone or silent costs ANSWER_S at most, is then left alone for
REST_S, and each process goes by what it knows itself. A key is a digest; it holds neither a token nor a workspace.
"""

import asyncio
import hashlib
import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import redis  # noqa: F401  # Django's backend would import it at the first call, which must be quick
from django.core.cache import BaseCache, caches
from django.core.cache.backends.redis import RedisCache

from rapidpro_integration.client.retry_after import MAX_RETRY_AFTER_S

logger = logging.getLogger(__name__)

ANSWER_S = 0.05
REST_S = 10.0
_LOG_EVERY_S = 60.0
_THREADS = 4


class CacheWaits:
    """A WaitStore of the client over one of Django's caches.

    The cache is called in threads of its own: those that Django lends belong to a request, which may end before.
    """

    def __init__(
        self, cache: BaseCache, clock: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._cache, self._clock, self._monotonic = cache, clock, monotonic
        self._resting_until = self._log_after = 0.0
        self._start_threads()
        # A forked child has the pool and none of its threads.
        os.register_at_fork(after_in_child=self._start_threads)

    async def aget(self, key: str) -> float | None:
        """Return the seconds that are left of a wait, or None."""
        until = await self._ask(self._cache.get, _name(key))
        # Whatever else could be there is not of ours.
        left_s = until - self._clock() if isinstance(until, float) else 0.0
        return min(left_s, float(MAX_RETRY_AFTER_S)) if left_s > 0 else None

    async def aset(self, key: str, wait_s: float) -> None:
        """Keep a wait for as long as it lasts."""
        await self._ask(self._cache.set, _name(key), self._clock() + wait_s, wait_s)

    async def _ask(self, call: Callable[..., object], *args: object) -> object:
        """Return what the cache says, or None, soon."""
        if self._monotonic() < self._resting_until:
            return None
        answer = asyncio.get_running_loop().run_in_executor(self._threads, call, *args)
        try:
            async with asyncio.timeout(ANSWER_S):
                return await answer
        except Exception as failure:  # noqa: BLE001  # a cache may fail in every way that its library knows
            self._rest(failure)
        return None

    def _rest(self, failure: Exception) -> None:
        now = self._monotonic()
        self._resting_until = now + REST_S
        if now >= self._log_after:
            self._log_after = now + _LOG_EVERY_S
            logger.warning(
                "The shared cache does not answer (%s): waits of workspaces are kept in this process.",
                type(failure).__name__,
            )

    def _start_threads(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="waits")


def _name(key: str) -> str:
    return f"rapidpro-wait:{hashlib.sha256(key.encode()).hexdigest()}"


def shared_store() -> CacheWaits | None:
    """Return the store over the default cache, or None where that is no Redis, so that nobody else could read it."""
    cache = caches["default"]
    return CacheWaits(cache) if isinstance(cache, RedisCache) else None
