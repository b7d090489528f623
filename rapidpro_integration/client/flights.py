"""Single flight: the same thing asked several times at once goes out once, and everybody gets the answer.

Who leaves early is not waited for, and takes nobody's answer along; when the last one has left, the work is cancelled.
"""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any

from rapidpro_integration.client.errors import AbstractRequestException


class _Flight[T]:
    __slots__ = ("passengers", "task")

    def __init__(self, task: "asyncio.Task[T]") -> None:
        self.task = task
        self.passengers = 0


class Flights:
    """The work under way in one event loop, by what it is."""

    def __init__(self) -> None:
        self._flights: dict[Hashable, _Flight[Any]] = {}

    async def join[T](self, key: Hashable, start: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return what the work called `key` comes to: the one under way, or else what `start` begins.

        The result is shared and must not be changed. Raises what the work raises, as an exception of one's own.
        """
        found = self._flights.get(key)
        flight: _Flight[T] = found or self._begin(key, start)
        flight.passengers += 1
        try:
            await asyncio.wait([flight.task])
        finally:
            flight.passengers -= 1
            # Landed, or left by all: whoever asks from now on begins anew.
            if (flight.task.done() or not flight.passengers) and self._flights.get(key) is flight:
                del self._flights[key]
            if not flight.passengers:
                flight.task.cancel()
        return _outcome(flight.task)

    def _begin[T](self, key: Hashable, start: Callable[[], Coroutine[Any, Any, T]]) -> _Flight[T]:
        task = asyncio.get_running_loop().create_task(start())
        task.add_done_callback(_take_notice)
        flight = self._flights[key] = _Flight(task)
        return flight

    def __len__(self) -> int:
        return len(self._flights)


def _take_notice(task: asyncio.Task[Any]) -> None:
    """Look at a failure that may have no reader: all have left, and asyncio would log it as one that nobody saw."""
    if not task.cancelled():
        task.exception()


def _outcome[T](task: asyncio.Task[T]) -> T:
    error = task.exception()
    if error is None:
        result: T = task.result()
        return result
    if isinstance(error, AbstractRequestException):
        # One exception raised in several places would gather the tracebacks of all of them.
        raise error.anew()
    raise error
