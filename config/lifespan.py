"""What is to be closed when the server stops: Django's ASGI handler knows no lifespan, so this answers in its place."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

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
        while (await receive())["type"] == "lifespan.startup":
            _stopping = False
            tasks += [asyncio.create_task(_again_and_again(seconds, job)) for seconds, job in _jobs]
            await send({"type": "lifespan.startup.complete"})
        _stopping = True
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await aclose()
        await send({"type": "lifespan.shutdown.complete"})
