"""A Redis cache that does without Redis for a while.

What is counted here (rate limits, codes that were used) must go on being counted when Redis is gone: then each process
counts for itself. That lets somebody try a little more often than with the shared count; letting everything through, or
nothing, would be worse.
"""

import logging
import threading
import time
from typing import Any

from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

logger = logging.getLogger(__name__)

# A cache that takes longer than this is no help; one that hangs must not hang the site.
TIMEOUT_S = 0.5
# One that takes so long this often in a row is as good as gone: a page asks it a dozen times.
SLOW_S = 0.15
_SLOW_OFTEN = 3
# How long Redis is left alone after a failure: else every request of that time would wait for it in vain.
REST_S = 5.0
_LOG_EVERY_S = 60.0
# Django's 300 would let somebody push the count of their own tries out by trying many names.
LOCAL_ENTRIES = 50_000

# The whole interface of a cache that touches the store; everything else in BaseCache is made of these.
_OPERATIONS = (
    "add", "get", "set", "touch", "delete", "get_many", "has_key", "incr", "set_many", "delete_many", "clear"
)  # fmt: skip


class FallbackRedisCache(RedisCache):
    """Django's Redis cache; while Redis is down, hangs, is slow or full, a cache in the process: said once a minute."""

    def __init__(self, server: str | list[str], params: dict[str, Any]) -> None:
        options = {"socket_timeout": TIMEOUT_S, "socket_connect_timeout": TIMEOUT_S, "retry": Retry(NoBackoff(), 0)}
        options |= params.get("OPTIONS", {})
        super().__init__(server, {**params, "OPTIONS": options})
        self._local = LocMemCache(f"without {server}", {**params, "OPTIONS": {"MAX_ENTRIES": LOCAL_ENTRIES}})
        self._state = _state(str(server))

    def is_shared(self) -> bool:
        """Return whether other processes see what is put here now; nothing large should be kept while they do not."""
        return self._state.is_up()

    def _either(self, operation: str, *args: Any, **kwargs: Any) -> Any:
        if self._state.is_up() or (self._state.may_try() and self._has_come_back()):
            began = time.monotonic()
            try:
                answer = getattr(super(), operation)(*args, **kwargs)
            except (RedisError, OSError) as error:
                self._state.failed(type(error).__name__)
            else:
                self._state.took(time.monotonic() - began)
                return answer
        return getattr(self._local, operation)(*args, **kwargs)

    def _has_come_back(self) -> bool:
        """Write something: one that is full or read-only still answers who reads, and what is counted would be lost."""
        began = time.monotonic()
        try:
            super().set("redis-is-back", 1, 10)
        except (RedisError, OSError) as error:
            self._state.failed(type(error).__name__)
            return False
        if time.monotonic() - began > SLOW_S:
            self._state.failed("slow")
            return False
        self._state.is_back()
        return True


def _shadow(operation: str) -> Any:
    def method(self: FallbackRedisCache, *args: Any, **kwargs: Any) -> Any:
        return self._either(operation, *args, **kwargs)

    method.__name__ = operation
    return method


for _operation in _OPERATIONS:
    setattr(FallbackRedisCache, _operation, _shadow(_operation))


class _State:
    """Whether a server is worth asking; shared by the threads of the process, each of which has a cache object."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_up = True
        self._slow_count = 0
        self._tried_again_at = self._logged_again_at = 0.0

    def is_up(self) -> bool:
        """Return whether nothing has failed since the server last did as it was told."""
        return self._is_up

    def may_try(self) -> bool:
        """Return whether the last failure is long enough ago, to one caller: all others go on without the server."""
        with self._lock:
            now = time.monotonic()
            if now < self._tried_again_at:
                return False
            self._tried_again_at = now + REST_S
            return True

    def is_back(self) -> None:
        """Let everybody ask the server again."""
        with self._lock:
            self._is_up, self._slow_count = True, 0

    def took(self, seconds: float) -> None:
        """Note how long an answer took."""
        if seconds <= SLOW_S:
            self._slow_count = 0
            return
        self._slow_count += 1
        if self._slow_count >= _SLOW_OFTEN:
            self.failed("slow")

    def failed(self, why: str) -> None:
        """Let the server rest for a while, and say so once a minute. An error's own words may name a password."""
        with self._lock:
            now = time.monotonic()
            self._is_up, self._tried_again_at = False, now + REST_S
            if now >= self._logged_again_at:
                self._logged_again_at = now + _LOG_EVERY_S
                logger.error("The Redis cache does not answer (%s): this process counts alone.", why)


_states: dict[str, _State] = {}


def _state(server: str) -> _State:
    return _states.setdefault(server, _State())
