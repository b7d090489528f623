"""The request budget is the workspace's: after a 429 every token of that workspace waits, and no other one.

Waits are kept in this process and, through a store, in all others: the site puts its shared cache there. A store that
is gone or slow is the store's affair: it answers None then. Source: ../shared/rapidpro-api.md, section 7.
"""

import threading
import time
from collections.abc import Callable
from typing import Protocol

# Where a server names no time. Its window slides, so that a part of the budget is back soon.
UNNAMED_WAIT_S = 10
_ASK_EVERY_S = 1.0
_SCOPES = {"contacts": "v2.contacts", "messages": "v2.messages", "runs": "v2.runs"}
_KEPT_AT_MOST = 10_000


class WaitStore(Protocol):
    """Where processes tell each other of waits. Neither call may raise, or take long."""

    async def aget(self, key: str) -> float | None:
        """Return the seconds that are left of a wait, or None."""

    async def aset(self, key: str, wait_s: float) -> None:
        """Keep a wait for as long as it lasts."""


def scope_of(path: str) -> str:
    """Return the throttle scope that RapidPro counts a path in."""
    return _SCOPES.get(path.rpartition("/")[2].removesuffix(".json"), "v2")


class Quota:
    """The waits that servers have asked for, by workspace and scope. `clock` is in seconds, and never goes back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}
        self._asked: dict[str, float] = {}
        self.store: WaitStore | None = None

    async def await_s(self, key: str, *, shared: bool = True) -> float:
        """Return the seconds that requests of this workspace and scope should still wait; 0 if they may go.

        `shared` says that the key means the same in every process; else nobody but this one is asked or told.
        """
        now = self._clock()
        if self._until and (left_s := self._until.get(key, 0.0) - now) > 0:
            return left_s
        if not shared or self.store is None or self._asked.get(key, -_ASK_EVERY_S) > now - _ASK_EVERY_S:
            return 0.0
        if len(self._asked) > _KEPT_AT_MOST:
            self._asked.clear()
        self._asked[key] = now
        shared_s = await self.store.aget(key) or 0.0
        if shared_s > 0:
            self._keep(key, now + shared_s)
        return max(shared_s, 0.0)

    async def anote(self, key: str, retry_after_s: int | None, *, shared: bool = True) -> None:
        """Keep what a 429 asks for: 0 seconds is no wait, none named is UNNAMED_WAIT_S."""
        wait_s = UNNAMED_WAIT_S if retry_after_s is None else retry_after_s
        if not wait_s:
            return
        self._keep(key, self._clock() + wait_s)
        if shared and self.store is not None:
            await self.store.aset(key, wait_s)

    def _keep(self, key: str, until: float) -> None:
        now = self._clock()
        with self._lock:
            self._until = {known: end for known, end in self._until.items() if end > now} | {key: until}

    def waiting(self) -> int:
        """Return how many workspaces, by scope, this process leaves alone at present."""
        now = self._clock()
        return sum(until > now for until in self._until.values())

    def __len__(self) -> int:
        return len(self._until) + len(self._asked)

    def reset(self) -> None:
        """Forget the waits of this process."""
        self._until.clear()
        self._asked.clear()
