"""What is done now and then, and closed when the server stops: Django's ASGI handler knows no lifespan, this does."""

import asyncio
import logging
import signal
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextvars import Context
from types import FrameType
from typing import Any

from django.conf import settings

logger = logging.getLogger(__name__)

type Scope = dict[str, Any]
type Receive = Callable[[], Awaitable[Mapping[str, Any]]]
type Send = Callable[[Mapping[str, Any]], Awaitable[None]]
type Application = Callable[[Scope, Receive, Send], Awaitable[None]]
type Closer = Callable[[], Awaitable[None]]

_closers: list[Closer] = []
_jobs: list[tuple[float, Closer]] = []
_stopping = False


def at_shutdown(closer: Closer) -> None:
    """Have `closer` awaited in the server's loop when it stops, after its last request; the latest one first."""
    if closer not in _closers:
        _closers.append(closer)


def every(seconds: float, job: Closer) -> None:
    """Have `job` awaited in the server's loop again and again while it serves, with so many seconds in between."""
    _jobs.append((seconds, job))


def is_stopping() -> bool:
    """Return whether this process has been told to stop: it should get no more requests."""
    return _stopping


def _hear_of_the_end(loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
    """Learn of SIGTERM before the server does, which tells its application last; return what ends that.

    The server hears of it STOP_DELAY_S later, so that whoever asks `is_stopping` can send the requests elsewhere.
    A second signal is passed on at once.
    """
    server_stops = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread() or not callable(server_stops):
        return lambda: None

    def stop_later(number: int) -> None:
        logger.info("Told to stop; requests are taken for %g more seconds.", settings.STOP_DELAY_S)
        loop.call_later(settings.STOP_DELAY_S, server_stops, number, None)

    def stop(number: int, frame: FrameType | None) -> None:
        global _stopping
        if _stopping or not settings.STOP_DELAY_S:
            _stopping = True
            server_stops(number, frame)
            return
        _stopping = True
        # A signal comes in the middle of anything, a line of the log or a request: this call is made for that.
        loop.call_soon_threadsafe(stop_later, number, context=Context())

    signal.signal(signal.SIGTERM, stop)

    def end() -> None:
        if signal.getsignal(signal.SIGTERM) is stop:
            signal.signal(signal.SIGTERM, server_stops)

    return end


async def _again_and_again(seconds: float, job: Closer) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await job()
        except Exception:
            logger.exception("Something that is done now and then failed.")


async def aclose() -> None:
    """Await all closers; one that fails is logged, and keeps none of the others from its turn."""
    for closer in reversed(_closers):
        try:
            await closer()
        except Exception:
            logger.exception("Something could not be closed in order.")
    logger.info("All that this process held open is closed.")


class Lifespan:
    """An ASGI application that answers the server's lifespan messages, and leaves all else to `application`."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, or the one lifespan of this process."""
        if scope["type"] != "lifespan":
            await self._application(scope, receive, send)
            return
        global _stopping
        tasks = list[asyncio.Task[None]]()
        stop_hearing = _hear_of_the_end(asyncio.get_running_loop())
        while (await receive())["type"] == "lifespan.startup":
            _stopping = False
            tasks += [asyncio.create_task(_again_and_again(seconds, job)) for seconds, job in _jobs]
            await send({"type": "lifespan.startup.complete"})
        _stopping = True
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await aclose()
        stop_hearing()
        await send({"type": "lifespan.shutdown.complete"})
