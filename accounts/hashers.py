"""Passwords as Argon2id digests: a fixed memory for each, and a fixed number of them at once.

A digest of 19 MiB is what makes guessing dear. The same memory, taken by a thousand sign-ins at once, would end the
server: so a few are made at a time, a few more wait for a moment, and the rest are asked to come back.
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache, partial

from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher


class HashingBusy(Exception):
    """Too many passwords wait to be checked. Carries `retry_after_s`."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("Too many passwords wait to be checked.")
        self.retry_after_s = retry_after_s


class Workers:
    """A few threads that digest, and a short queue for them.

    The threads are their own, because a thread's memory stays with it: the C library keeps the 19 MiB of a digest for
    the next one of the same thread. Fifty threads that took turns grew the process by 360 MiB when
    tried; with two workers it was 60.
    """

    def __init__(self, at_once: int, waiting: int, wait_s: float) -> None:
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="passwords")
        self._room = threading.Semaphore(at_once + waiting)
        self._wait_s = wait_s

    def run[T](self, work: Callable[[], T]) -> T:
        """Return what the work returns. Raises HashingBusy where the queue is full or the wait was too long."""
        if not self._room.acquire(blocking=False):
            raise self._busy()
        future = self._pool.submit(work)
        future.add_done_callback(lambda _future: self._room.release())
        if wait([future], self._wait_s).not_done and future.cancel():
            raise self._busy()
        return future.result()

    def _busy(self) -> HashingBusy:
        return HashingBusy(max(1, round(2 * self._wait_s)))


@cache
def workers() -> Workers:
    """Return the workers of this process."""
    return Workers(settings.PASSWORD_HASHES_AT_ONCE, settings.PASSWORD_HASHES_WAITING, settings.PASSWORD_HASH_WAIT_S)


# Threads do not survive a fork: a server that forks after the first password gets new ones in each child.
os.register_at_fork(after_in_child=workers.cache_clear)


class Argon2Hasher(Argon2PasswordHasher):
    """Argon2id with 19 MiB, two passes and one lane: OWASP's first choice. Raises HashingBusy."""

    time_cost = 2
    memory_cost = 19456
    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        """Return the digest to keep."""
        return workers().run(partial(super().encode, password, salt))

    def verify(self, password: str, encoded: str) -> bool:
        """Return whether the digest is of this password."""
        return workers().run(partial(super().verify, password, encoded))
