"""What is to be closed when the server stops: Django's ASGI handler knows no lifespan, so this answers in its place."""

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


def at_shutdown(closer: Closer) -> None:
    """Have `closer` awaited in the server's loop when it stops, after its last request; the latest one first."""
    if closer not in _closers:
        _closers.append(closer)


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
        while (await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        await aclose()
        await send({"type": "lifespan.shutdown.complete"})
