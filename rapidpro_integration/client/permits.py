"""Bulkheads: how many requests a tenant, an origin and a process may have under way, with a bounded wait for a permit.

So a server that hangs keeps the permits of those who use it, and nobody else's. The limits of the process are those of
its event loop: a web process has one.
"""

import asyncio
import math
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
        self.gates: dict[tuple[str, str], _Gate] = {}
        self.held = 0

    def take(self, tenant: str, origin: str, limits: Limits, seconds_left: float) -> "_Taken":
        """Hold a permit of the tenant, of the origin and of the process, in this order, inside `async with`.

        Entering raises BusyException if they are not free within the limits' wait; a cancelled wait holds nothing.
        """
        keys = (
            (("tenant", tenant), limits.tenant),
            (("origin", origin), limits.origin),
            (("process", ""), limits.process),
        )
        return _Taken(self, keys, min(limits.wait_s, seconds_left))

    def under_way(self) -> tuple[int, int]:
        """Return how many requests hold a permit of the process, and how many others wait for one of any kind."""
        users = sum(gate.users for (kind, _), gate in self.gates.items() if kind == "process")
        return self.held, users - self.held

    def __len__(self) -> int:
        return len(self.gates)


class _Taken:
    """The permits of one request. A class of its own: a generator for each request costs three times as much."""

    __slots__ = ("_gates", "_held", "_keys", "_permits", "_wait_s")

    def __init__(self, permits: Permits, keys: tuple[tuple[tuple[str, str], int], ...], wait_s: float) -> None:
        self._permits, self._keys, self._wait_s = permits, keys, wait_s
        self._gates: list[tuple[tuple[str, str], _Gate]] = []
        self._held: list[_Gate] = []

    async def __aenter__(self) -> None:
        everybodys = self._permits.gates
        for key, limit in self._keys:
            gate = everybodys.get(key)
            if gate is None:
                gate = everybodys[key] = _Gate(limit)
            gate.users += 1
            self._gates.append((key, gate))
        try:
            await _acquire(self._gates, self._held, self._wait_s)
        except BaseException:
            self._release()
            raise
        self._permits.held += 1

    async def __aexit__(self, *_: object) -> None:
        self._permits.held -= 1
        self._release()

    def _release(self) -> None:
        for gate in self._held:
            gate.semaphore.release()
        for key, gate in self._gates:
            gate.users -= 1
            if not gate.users:
                del self._permits.gates[key]


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
