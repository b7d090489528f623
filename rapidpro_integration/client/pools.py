"""What belongs to one event loop: its connections, its permits and the work under way.

One pool of connections an origin. It is made at the first request and closed in order when the loop ends:
`asyncio.run`, `async_to_sync` and uvicorn close a loop's asynchronous generators before the loop, and one of those
holds the pools. A server that is told to stop can close them earlier with `aclose()`; a forked child has none.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from typing import NamedTuple
from weakref import WeakKeyDictionary

import httpx

from rapidpro_integration.client.deadlines import Deadlines
from rapidpro_integration.client.flights import Flights
from rapidpro_integration.client.permits import Permits
from rapidpro_integration.client.wire import AiohttpWire, HttpxWire, Wire


class Server(NamedTuple):
    """Where requests go: a canonical origin, and whether its name may lead to a private network."""

    origin: str
    private: bool = False


type WireFactory = Callable[[Server], httpx.AsyncBaseTransport]


_factory: WireFactory | None = None


def use_wire(factory: WireFactory | None) -> None:
    """Make the wires of loops to come with `factory`, for tests that answer in a server's place; None: real ones."""
    global _factory  # one seam for the process
    _factory = factory


def _made(server: Server) -> Wire:
    if _factory is not None:
        return HttpxWire(_factory(server))
    return AiohttpWire(server.origin, private=server.private)


class LoopState:
    """The pools, permits and shared work of one event loop."""

    def __init__(self) -> None:
        self.permits = Permits()
        self.deadlines = Deadlines()
        self.flights = Flights()
        # By permission too: a permission that is withdrawn does not live on in open connections.
        self._wires: dict[Server, Wire] = {}
        self._lifetime: AsyncGenerator[None] | None = None

    def wire(self, server: Server) -> Wire:
        """Return the connections to a server."""
        wire = self._wires.get(server)
        if wire is None:
            wire = self._wires[server] = _made(server)
        return wire

    async def start(self) -> None:
        """Have the pools closed when the loop closes its asynchronous generators."""
        self._lifetime = self._until_the_loop_ends()
        await anext(self._lifetime)

    async def _until_the_loop_ends(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            # The state leads to its loop: kept in the table, it would keep both for ever.
            _states.pop(asyncio.get_running_loop(), None)
            self._lifetime = None
            wires, self._wires = self._wires, {}
            # Side by side: each may have to wait for a server's goodbye.
            await asyncio.gather(*[wire.aclose() for wire in wires.values()])

    async def aclose(self) -> None:
        """Close the pools now."""
        if self._lifetime is not None:
            await self._lifetime.aclose()


_states: WeakKeyDictionary[asyncio.AbstractEventLoop, LoopState] = WeakKeyDictionary()
_inherited: list[object] = []


async def here() -> LoopState:
    """Return the state of the running loop."""
    loop = asyncio.get_running_loop()
    state = _states.get(loop)
    if state is None:
        state = _states[loop] = LoopState()
        await state.start()
    return state


def under_way() -> tuple[int, int]:
    """Return how many requests of this process are under way, and how many wait for a permit, over all its loops."""
    counts = [state.permits.under_way() for state in list(_states.values())]
    return sum(held for held, _ in counts), sum(waiting for _, waiting in counts)


async def aclose() -> None:
    """Close the pools of the running loop, for a server that stops; the next request would make new ones."""
    state = _states.pop(asyncio.get_running_loop(), None)
    if state is not None:
        await state.aclose()


def _forget_in_child() -> None:
    """Keep the parent's connections untouched: to free them here would say goodbye on the parent's TLS streams."""
    global _states  # a child starts anew
    _inherited.append(_states)
    _states = WeakKeyDictionary()


os.register_at_fork(after_in_child=_forget_in_child)
