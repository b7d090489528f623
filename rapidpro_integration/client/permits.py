"""Bulkheads: how many requests a tenant, an origin and a process may have under way, with a bounded wait for a permit.

So a server that hangs keeps the permits of those who use it, and nobody else's. The limits of the process are those of
its event loop: a web process has one.
"""

import asyncio
import math
from collections import deque
from dataclasses import dataclass

from rapidpro_integration.client.errors import BusyException

type _Key = tuple[str, str]
_PROCESS: _Key = ("process", "")


@dataclass(frozen=True, slots=True)
class Limits:
    """Requests under way at most, and the seconds that one waits for a permit."""

    tenant: int = 20
    origin: int = 200
    process: int = 500
    wait_s: float = 2.0


class _Gate:
    """Permits of one kind, first come, first served, that know when nobody uses them.

    An asyncio.Semaphore gives the same; entering three of those that nobody waits for cost a twentieth of a request.
    """

    __slots__ = ("free", "users", "waiting")

    def __init__(self, limit: int) -> None:
        self.free, self.users = limit, 0
        self.waiting: deque[asyncio.Future[None]] = deque()

    @property
    def is_open(self) -> bool:
        """Whether there is a permit that nobody waits for."""
        return self.free > 0 and not self.waiting

    async def acquire(self) -> None:
        """Take a permit when it is one's turn."""
        if self.is_open:
            self.free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self.waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn in self.waiting:
                self.waiting.remove(turn)
            if not turn.cancelled():  # it came just as the wait ended
                self.free += 1
            self._call()
            raise

    def release(self) -> None:
        """Give a permit back, to whoever has waited longest."""
        self.free += 1
        if self.waiting:
            self._call()

    def _call(self) -> None:
        while self.waiting and self.free > 0:
            turn = self.waiting.popleft()
            if not turn.done():
                self.free -= 1
                turn.set_result(None)


class Permits:
    """The permits of one event loop."""

    def __init__(self) -> None:
        self.gates: dict[_Key, _Gate] = {}
        self.held = 0

    def take(self, tenant: str, origin: str, limits: Limits, seconds_left: float) -> "_Taken":
        """Hold a permit of the tenant, of the origin and of the process, in this order, inside `async with`.

        Entering raises BusyException if they are not free within the limits' wait; a cancelled wait holds nothing.
        """
        return _Taken(self, (("tenant", tenant), ("origin", origin), _PROCESS), limits, seconds_left)

    def gate(self, key: _Key, limit: int) -> _Gate:
        """Return a gate, for one more user."""
        gate = self.gates.get(key)
        if gate is None:
            gate = self.gates[key] = _Gate(limit)
        gate.users += 1
        return gate

    def under_way(self) -> tuple[int, int]:
        """Return how many requests hold a permit of the process, and how many others wait for one of any kind."""
        gate = self.gates.get(_PROCESS)
        return self.held, (gate.users if gate else 0) - self.held

    def __len__(self) -> int:
        return len(self.gates)


class _Taken:
    """The permits of one request. A class of its own: a generator for each request costs three times as much."""

    __slots__ = ("_gates", "_held", "_keys", "_limits", "_permits", "_seconds_left")

    def __init__(
        self, permits: Permits, keys: tuple[tuple[str, str], ...], limits: Limits, seconds_left: float
    ) -> None:
        self._permits, self._keys, self._limits, self._seconds_left = permits, keys, limits, seconds_left
        self._gates: tuple[_Gate, ...] = ()
        self._held = 0

    async def __aenter__(self) -> None:
        permits, limits, (one, two, three) = self._permits, self._limits, self._keys
        tenant, origin = permits.gate(one, limits.tenant), permits.gate(two, limits.origin)
        process = permits.gate(three, limits.process)
        self._gates = (tenant, origin, process)
        if tenant.is_open and origin.is_open and process.is_open:
            tenant.free -= 1
            origin.free -= 1
            process.free -= 1
            self._held = 3
        else:
            try:
                await self._wait(min(limits.wait_s, self._seconds_left))
            except BaseException:
                self._release()
                raise
        permits.held += 1

    async def _wait(self, wait_s: float) -> None:
        try:
            async with asyncio.timeout(wait_s):
                for gate in self._gates:
                    await gate.acquire()
                    self._held += 1
        except TimeoutError:
            full = self._keys[self._held][0]
        else:
            return
        raise BusyException(f"Too many requests of this {full} are under way.", retry_after_s=max(1, math.ceil(wait_s)))

    async def __aexit__(self, *_: object) -> None:
        self._permits.held -= 1
        self._release()

    def _release(self) -> None:
        gates = self._permits.gates
        for number, (key, gate) in enumerate(zip(self._keys, self._gates, strict=True)):
            if number < self._held:
                gate.release()
            gate.users -= 1
            if not gate.users:
                del gates[key]
