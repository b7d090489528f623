"""A circuit breaker an origin: a server that has just failed several times in a row is left alone for a moment.

Failures are connections that could not be made or broke, time-outs and answers of 5xx. Any other answer, 4xx and 429
included, shows that the server is alive; a caller who leaves shows nothing. What one token meets (a workspace whose
list breaks the server, say) closes the way for that token alone: for everybody only once two tenants have met it, or
where there was no connection at all. After the pause one request goes out as a probe, and decides.
"""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from rapidpro_integration.client.errors import PausedException

# More than two people's three tries in vain.
THRESHOLD = 8
# Failures further apart than this are not "in a row".
FORGET_S = 60.0
FIRST_PAUSE_S = 5.0
MAX_PAUSE_S = 60.0
KEPT_AT_MOST = 10_000
_EVERYBODY = ""


class Verdict(Enum):
    """What an exchange says about the server."""

    ALIVE = "alive"
    FAILED = "failed"
    NO_CONNECTION = "no connection"
    NOTHING = "nothing"


@dataclass(slots=True, eq=False)
class _Circuit:
    failures: int = 0
    failed_at: float = 0.0
    tenants: set[str] = field(default_factory=set)
    pause_s: float = 0.0
    open_until: float = 0.0
    probing: bool = False


class Ticket(NamedTuple):
    """A request that may go out, and the circuits that it probes."""

    origin: str
    tenant: str
    token: str
    probes: tuple[_Circuit, ...] = ()


class Breaker:
    """The circuits of every origin of this process. Safe between threads and loops. `clock` is in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._circuits: dict[tuple[str, str], _Circuit] = {}

    def enter(self, origin: str, tenant: str, token: str) -> Ticket:
        """Return the ticket of a request that may go out; `leave` must follow. Raises PausedException.

        `token` tells one token of the tenant's from the others, and is no secret.
        """
        if not self._circuits:
            return Ticket(origin, tenant, token)
        with self._lock:
            now = self._clock()
            found = (self._circuits.get((origin, who)) for who in (_EVERYBODY, token))
            paused = tuple(circuit for circuit in found if circuit is not None and circuit.pause_s)
            for circuit in paused:
                if circuit.probing or circuit.open_until > now:
                    raise PausedException(retry_after_s=max(1, math.ceil(circuit.open_until - now)))
            for circuit in paused:
                circuit.probing = True
            return Ticket(origin, tenant, token, paused)

    def leave(self, ticket: Ticket, verdict: Verdict) -> None:
        """Tell what the request has shown."""
        if not self._circuits and (verdict is Verdict.ALIVE or verdict is Verdict.NOTHING):
            return
        with self._lock:
            for circuit in ticket.probes:
                circuit.probing = False
            if verdict is Verdict.ALIVE:
                for who in (_EVERYBODY, ticket.token):
                    self._circuits.pop((ticket.origin, who), None)
            elif verdict is not Verdict.NOTHING:
                self._make_room()
                for who in (_EVERYBODY, ticket.token):
                    self._fail(self._circuits.setdefault((ticket.origin, who), _Circuit()), ticket, who, verdict)

    def _fail(self, circuit: _Circuit, ticket: Ticket, who: str, verdict: Verdict) -> None:
        now = self._clock()
        if not circuit.pause_s and now - circuit.failed_at > FORGET_S:
            circuit.failures = 0
            circuit.tenants.clear()
        circuit.failures += 1
        circuit.failed_at = now
        circuit.tenants.add(ticket.tenant)
        concerned = who != _EVERYBODY or verdict is Verdict.NO_CONNECTION or len(circuit.tenants) > 1
        trips = not circuit.pause_s and circuit.failures >= THRESHOLD and concerned
        if trips or circuit in ticket.probes:
            circuit.pause_s = min(circuit.pause_s * 2 or FIRST_PAUSE_S, MAX_PAUSE_S)
            circuit.open_until = now + circuit.pause_s

    def _make_room(self) -> None:
        """Let the half go that failed longest ago: tokens that failed and were never used again stay otherwise."""
        if len(self._circuits) > KEPT_AT_MOST - 2:
            by_age = sorted(self._circuits.items(), key=lambda item: item[1].failed_at)
            self._circuits = dict(by_age[len(by_age) // 2 :])

    def __len__(self) -> int:
        return len(self._circuits)

    def is_paused(self, origin: str, token: str = _EVERYBODY) -> bool:
        """Say whether requests with `token`, or everybody's, are held back until a probe succeeds."""
        circuit = self._circuits.get((origin, token))
        return circuit is not None and circuit.pause_s > 0

    def paused(self) -> dict[str, int]:
        """Return how many circuits are open by origin: the one of everybody, and those of single tokens."""
        with self._lock:
            open_at = [origin for (origin, _), circuit in self._circuits.items() if circuit.pause_s]
        return {origin: open_at.count(origin) for origin in open_at}

    def reset(self) -> None:
        """Forget everything."""
        with self._lock:
            self._circuits.clear()
