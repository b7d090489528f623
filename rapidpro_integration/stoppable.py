"""Coroutines in a command that Ctrl-C ends in order: connections are closed, locks given back, and then it is told."""

import asyncio
import signal
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from asgiref.sync import async_to_sync


class Stopped(Exception):  # exceptions end in the fact
    """Somebody pressed Ctrl-C."""


def run[T](work: Coroutine[Any, Any, T]) -> T:
    """Return what the coroutine comes to. Raises Stopped after Ctrl-C, when the coroutine has cleaned up.

    async_to_sync runs it in the loop of another thread, where Ctrl-C does not reach: so it is carried over. A second
    one does not wait.
    """
    under_way: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[T]]] = []
    was_stopped = False

    async def main() -> T:
        task = asyncio.ensure_future(work)
        under_way.append((asyncio.get_running_loop(), task))
        if was_stopped:
            task.cancel()
        return await task

    def stop(signum: int, frame: FrameType | None) -> None:
        nonlocal was_stopped
        if was_stopped:
            raise KeyboardInterrupt
        was_stopped = True
        for loop, task in under_way:
            loop.call_soon_threadsafe(task.cancel)

    is_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, stop) if is_main else None
    try:
        return async_to_sync(main)()
    except asyncio.CancelledError:
        if was_stopped:
            raise Stopped from None
        raise
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)


@contextmanager
def told_to_stop() -> Iterator[threading.Event]:
    """Give an event that SIGINT or SIGTERM sets, and put the earlier handlers back at the end."""
    stop = threading.Event()
    earlier = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, action in earlier.items():
            signal.signal(number, action)


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Raise KeyboardInterrupt at SIGTERM too, so that what is inside cleans up as after Ctrl-C."""

    def stop(signum: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    earlier = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, earlier)
