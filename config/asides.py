"""Calls that may hang, made aside: in a thread, once for all who ask meanwhile, and never waited for long."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from django.db import connections


class Aside[T]:
    """A call that is made in a thread of its own, whose answer is believed for `kept_s` seconds.

    While one hangs no other is begun. Safe between threads and loops. `clock` is in seconds.
    """

    def __init__(
        self, call: Callable[[], T], *, limit_s: float, kept_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._call, self._limit_s, self._kept_s, self._clock = call, limit_s, kept_s, clock
        self._lock = threading.Lock()
        self._running: Future[T] | None = None
        self._began = 0.0
        self._answer: tuple[float, Future[T]] | None = None

    async def ask(self) -> T:
        """Return the answer, or raise what the call raised. Raises TimeoutError after `limit_s`."""
        future, left_s = self._future()
        if left_s <= 0 and not future.done():
            # It hangs: nobody else waits for it, and nothing is kept for each who asks.
            raise TimeoutError
        async with asyncio.timeout(None if future.done() else left_s):
            # Shielded: who leaves takes it from nobody else.
            return await asyncio.shield(asyncio.wrap_future(future))

    def forget(self) -> None:
        """Believe nothing that was answered before."""
        with self._lock:
            self._answer = None

    def _future(self) -> tuple[Future[T], float]:
        with self._lock:
            if self._answer is not None and self._clock() - self._answer[0] < self._kept_s:
                return self._answer[1], self._limit_s
            if self._running is None:
                future: Future[T] = Future()
                # No executor: the process would wait at its end for a thread that hangs.
                threading.Thread(target=self._run, args=(future,), name="aside", daemon=True).start()
                # Only now: where no thread can be had, the next who asks tries again.
                self._running, self._began = future, time.monotonic()
            return self._running, self._limit_s - (time.monotonic() - self._began)

    def _run(self, future: Future[T]) -> None:
        try:
            answer = self._call()
        except BaseException as error:  # noqa: BLE001  # whoever asks gets it
            self._end(future)
            future.set_exception(error)
        else:
            self._end(future)
            future.set_result(answer)

    def _end(self, future: Future[T]) -> None:
        # The thread's own: nobody else would.
        connections.close_all()
        with self._lock:
            self._running, self._answer = None, (self._clock(), future)
