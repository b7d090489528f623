"""Counts what the client's requests met, in this process: a lock and a few additions a request.

No Django, no database, nothing to wait for. `writing` takes the counts from here now and then, and gives back what it
could not write.
"""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from rapidpro_integration.observations.histogram import BOUNDS_MS, bucket_of

HOUR_S = 3600
#: How many hours of workspaces are kept while nothing can be written; what comes after those is only counted as lost.
KEPT_AT_MOST = 20_000
_TELLING = frozenset({"timed_out"})


@dataclass(slots=True)
class ServerCounts:
    """One hour of one server. `last_success_at` and `certificate_until` are in seconds since 1970, 0 if unknown."""

    requests: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    statuses: dict[int, int] = field(default_factory=dict)
    durations: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_MS) + 1))
    duration_ms: int = 0
    last_success_at: int = 0
    certificate_until: int = 0

    def count(self, outcome: str, status: int | None, duration_ms: int, now: int) -> None:
        """Count one request that ended at `now`."""
        self.requests += 1
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
        if status is not None:
            self.statuses[status // 100] = self.statuses.get(status // 100, 0) + 1
        if status is not None or outcome in _TELLING:
            # A refused connection is quick, and says nothing of how long the server takes.
            self.durations[bucket_of(duration_ms)] += 1
            self.duration_ms += duration_ms
        if outcome == "ok":
            self.last_success_at = now

    def add(self, other: "ServerCounts") -> None:
        """Add what another has counted."""
        self.requests += other.requests
        for outcome, count in other.outcomes.items():
            self.outcomes[outcome] = self.outcomes.get(outcome, 0) + count
        for status, count in other.statuses.items():
            self.statuses[status] = self.statuses.get(status, 0) + count
        self.durations = [mine + more for mine, more in zip(self.durations, other.durations, strict=True)]
        self.duration_ms += other.duration_ms
        self.last_success_at = max(self.last_success_at, other.last_success_at)
        self.certificate_until = max(self.certificate_until, other.certificate_until)


@dataclass(slots=True)
class WorkspaceCounts:
    """One hour of one token's requests to one workspace."""

    requests: int = 0
    rate_limited: int = 0


type ServerKey = tuple[int, str]
type WorkspaceKey = tuple[int, str, str, str]


@dataclass(slots=True)
class Batch:
    """Counts by (hour, server) and by (hour, server, workspace, token); an hour is in seconds since 1970."""

    servers: dict[ServerKey, ServerCounts] = field(default_factory=dict)
    workspaces: dict[WorkspaceKey, WorkspaceCounts] = field(default_factory=dict)
    lost: int = 0

    def __bool__(self) -> bool:
        return bool(self.servers or self.workspaces)


class Recorder:
    """The counts of a process since they were last taken. Safe between threads. `clock` is in seconds since 1970."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._batch = Batch()
        self._totals: dict[str, ServerCounts] = {}

    def note(  # one request in one call: a record for it would be made and thrown away a thousand times a second
        self, server: str, workspace: str, token: str, outcome: str, status: int | None, duration_ms: int
    ) -> None:
        """Count one request that went out: how it ended, its status if it was answered, and how long it took."""
        now = int(self._clock())
        hour = now - now % HOUR_S
        with self._lock:
            batch = self._batch
            counts = batch.servers.get((hour, server))
            if counts is None:
                if len(batch.servers) >= KEPT_AT_MOST:
                    batch.lost += 1
                    return
                counts = batch.servers[hour, server] = ServerCounts()
            counts.count(outcome, status, duration_ms, now)
            total = self._totals.get(server)
            if total is None and len(self._totals) < KEPT_AT_MOST:
                total = self._totals[server] = ServerCounts()
            if total is not None:
                total.count(outcome, status, duration_ms, now)
            drawn = batch.workspaces.get((hour, server, workspace, token))
            if drawn is None:
                if len(batch.workspaces) >= KEPT_AT_MOST:
                    batch.lost += 1
                    return
                drawn = batch.workspaces[hour, server, workspace, token] = WorkspaceCounts()
            drawn.requests += 1
            drawn.rate_limited += outcome == "rate_limited"

    def note_certificate(self, server: str, until: int) -> None:
        """Note when the certificate ends that a server has just shown, in seconds since 1970."""
        now = int(self._clock())
        key = (now - now % HOUR_S, server)
        with self._lock:
            servers = self._batch.servers
            if key in servers or len(servers) < KEPT_AT_MOST:
                counts = servers.setdefault(key, ServerCounts())
                counts.certificate_until = max(counts.certificate_until, until)

    def totals(self) -> dict[str, ServerCounts]:
        """Return copies of all that was counted by server since the process began, for metrics."""
        found: dict[str, ServerCounts] = {}
        with self._lock:
            for server, counts in self._totals.items():
                found[server] = ServerCounts()
                found[server].add(counts)
        return found

    def take(self) -> Batch:
        """Return all counts, and begin anew."""
        with self._lock:
            batch, self._batch = self._batch, Batch()
        return batch

    def give_back(self, batch: Batch) -> None:
        """Add counts that could not be written; of workspaces at most KEPT_AT_MOST hours, the rest is lost."""
        with self._lock:
            mine = self._batch
            mine.lost += batch.lost
            for key, counts in batch.servers.items():
                if key in mine.servers:
                    mine.servers[key].add(counts)
                elif len(mine.servers) < KEPT_AT_MOST:
                    mine.servers[key] = counts
                else:
                    mine.lost += counts.requests
            for place, drawn in batch.workspaces.items():
                if place in mine.workspaces:
                    mine.workspaces[place].requests += drawn.requests
                    mine.workspaces[place].rate_limited += drawn.rate_limited
                elif len(mine.workspaces) < KEPT_AT_MOST:
                    mine.workspaces[place] = drawn
                else:
                    mine.lost += drawn.requests

    def __bool__(self) -> bool:
        return bool(self._batch)

    def clear(self) -> None:
        """Forget all counts; a forked child does, whose parent writes them."""
        self._lock = threading.Lock()
        self._batch = Batch()
        self._totals = {}


#: Of this process.
recorder = Recorder()
os.register_at_fork(after_in_child=recorder.clear)
