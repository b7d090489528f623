"""Bulkheads: how many requests a tenant, an origin and a process may have under way, with a bounded wait for a permit.

So a server that hangs keeps the permits of those who use it, and nobody else's. The limits of the process are those of
its event loop: a web process has one.
"""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from rapidpro_integration.client.errors import BusyException


@dataclass(frozen=True, slots=True)
class Limits:
    """Requests under way at most, and the seconds that one waits for a permit."""

    tenant: int = 20
    origin: int = 200
    process: int = 500
    wait_s: float = 2.0


class _Gate:
    """A semaphore that knows when nobody uses it."""

    __slots__ = ("semaphore", "users")

    def __init__(self, limit: int) -> None:
        self.semaphore = asyncio.Semaphore(limit)
        self.users = 0


class Permits:
    """The permits of one event loop. First come, first served."""

    def __init__(self) -> None:
        self._gates: dict[tuple[str, str], _Gate] = {}
        self._held = 0

    @asynccontextmanager
    async def take(self, tenant: str, origin: str, limits: Limits, seconds_left: float) -> AsyncIterator[None]:
        """Hold a permit of the tenant, of the origin and of the process, in this order, inside the block.

        Raises BusyException if they are not free within the limits' wait; a cancelled wait holds nothing.
        """
        keys = (
            (("tenant", tenant), limits.tenant),
            (("origin", origin), limits.origin),
            (("process", ""), limits.process),
        )
        held: list[_Gate] = []
        gates: list[tuple[tuple[str, str], _Gate]] = []
        try:
            for key, limit in keys:
                gate = self._gates.get(key)
                if gate is None:
                    gate = self._gates[key] = _Gate(limit)
                gate.users += 1
                gates.append((key, gate))
            await _acquire(gates, held, min(limits.wait_s, seconds_left))
            self._held += 1
            try:
                yield
            finally:
                self._held -= 1
        finally:
            for gate in held:
                gate.semaphore.release()
            for key, gate in gates:
                gate.users -= 1
                if not gate.users:
                    del self._gates[key]

    def under_way(self) -> tuple[int, int]:
        """Return how many requests hold a permit of the process, and how many others wait for one of any kind."""
        users = sum(gate.users for (kind, _), gate in self._gates.items() if kind == "process")
        return self._held, users - self._held

    def __len__(self) -> int:
        return len(self._gates)


async def _acquire(gates: list[tuple[tuple[str, str], _Gate]], held: list[_Gate], wait_s: float) -> None:
    free = not any(gate.semaphore.locked() for _, gate in gates)
    full = ""
    if free:
        for _, gate in gates:
            await gate.semaphore.acquire()  # free, so it does not wait and nobody comes between
            held.append(gate)
        return
    try:
        async with asyncio.timeout(wait_s):
            for (kind, _), gate in gates:
                full = kind
                await gate.semaphore.acquire()
                held.append(gate)
    except TimeoutError:
        full = full or "process"
    else:
        return
    raise BusyException(f"Too many requests of this {full} are under way.", retry_after_s=max(1, math.ceil(wait_s)))
