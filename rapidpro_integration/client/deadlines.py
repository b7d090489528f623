"""Deadlines of one event loop, by one timer: most requests end long before theirs, and each would make a timer in vain.

Making and cancelling timers cost a fifteenth of a request.
"""

import asyncio


class Deadlines:
    """When blocks of `asyncio.timeout(None)` run out.

        async with asyncio.timeout(None) as limit:
            deadlines.add(limit, 15.0)
            try:
                ...
            finally:
                deadlines.drop(limit)

    is the same as `async with asyncio.timeout(15.0) as limit`.
    """

    def __init__(self) -> None:
        self._ends: dict[asyncio.Timeout, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, limit: asyncio.Timeout, seconds: float) -> None:
        """Have `limit` run out so many seconds from now."""
        end = asyncio.get_running_loop().time() + seconds
        self._ends[limit] = end
        if self._timer is None or end < self._timer.when():
            self._watch(end)

    def drop(self, limit: asyncio.Timeout) -> None:
        """Have it run out no more. The timer stays, for others; it may find nothing to do."""
        self._ends.pop(limit, None)

    def _watch(self, end: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(end, self._run_out)

    def _run_out(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        for limit in [limit for limit, end in self._ends.items() if end <= now]:
            del self._ends[limit]
            limit.reschedule(now)
        if self._ends:
            self._watch(min(self._ends.values()))

    def __len__(self) -> int:
        return len(self._ends)
