"""Writes what the recorder counted as hourly rows: now and then, in batches, and never while a request waits for it."""

import asyncio
import logging
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, connection, connections, transaction
from django.db.models import Count

from rapidpro_integration.models import RapidProToken, TokenState
from rapidpro_integration.observations.models import UNKNOWN, ServerHour, TokenStateHour, WorkspaceHour
from rapidpro_integration.observations.recorder import Batch, Recorder, ServerCounts, recorder
from rapidpro_integration.observations.upserts import add_to_rows

logger = logging.getLogger(__name__)

_LOG_EVERY_S = 60.0
# The columns of ServerHour by what they count.
OUTCOMES = (
    "ok", "rejected", "not_allowed", "rate_limited", "bad_request", "not_found", "server_error", "redirected",
    "unreachable", "timed_out", "tls", "not_rapidpro", "malformed", "too_large", "abandoned",
)  # fmt: skip
STATUSES = {2: "status_2xx", 3: "status_3xx", 4: "status_4xx", 5: "status_5xx"}
DURATIONS = (
    "ms_50", "ms_100", "ms_200", "ms_300", "ms_500", "ms_750", "ms_1000", "ms_1500", "ms_2000", "ms_3000", "ms_5000",
    "ms_8000", "ms_15000", "ms_longer",
)  # fmt: skip

_writing = threading.Lock()
_log_after = 0.0
_last_written_at = 0.0


def write(counts: Recorder = recorder) -> int:
    """Write all that was counted and note the hour's token states; return the rows written.

    What cannot be written is kept for the next time. Raises nothing for a database that is gone: that is logged once a
    minute. A commit whose confirmation was lost on the way would be written twice.
    """
    global _last_written_at
    # One at a time: two threads would only wait for each other in the database.
    with _writing:
        _last_written_at = time.monotonic()
        batch = counts.take()
        try:
            with transaction.atomic():
                rows = _write_batch(batch) if batch else 0
                return rows + note_token_states()
        except DatabaseError as error:
            counts.give_back(batch)
            _say(error)
    return 0


def write_now_and_then() -> None:
    """Write unless that was done a moment ago: for workers and long commands, between two pieces of their work."""
    if recorder and time.monotonic() - _last_written_at >= settings.OBSERVATIONS_EVERY_S:
        write()


def write_between_tasks(**kwargs: Any) -> None:
    """Write, if it is time, what a worker's task has counted: a receiver of `task_finished`."""
    write_now_and_then()


def write_and_let_go() -> int:
    """Write, and close this thread's connection: for threads that do nothing else."""
    try:
        return write()
    finally:
        connections.close_all()


async def awrite() -> None:
    """Write in a thread of its own, which leaves the event loop and the connections of requests alone."""
    await asyncio.to_thread(write_and_let_go)


def write_at_exit() -> None:
    """Write what a command or a worker has counted before its process ends."""
    if recorder:
        write_and_let_go()


def note_token_states() -> int:
    """Count the tokens by state as they are now, unless somebody has for this hour; return the rows written.

    The states are those in the rows: what is locked because of its key or server is counted as what it was before.
    """
    hour = this_hour()
    if TokenStateHour.objects.filter(hour=hour).exists():
        return 0
    counts = dict(RapidProToken.objects.order_by().values_list("state").annotate(number=Count("*")))
    rows = [TokenStateHour(hour=hour, state=state, count=counts.get(state, 0)) for state in sorted(TokenState.values)]
    # Whoever comes second in the same moment leaves the rows of the first as they are.
    return len(TokenStateHour.objects.bulk_create(rows, ignore_conflicts=True))


def this_hour() -> datetime:
    """Return when the present hour began, in UTC."""
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def _write_batch(batch: Batch) -> int:
    if connection.vendor == "postgresql":
        # A row of another process's open transaction is not waited for longer than this; the counts are kept.
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '5s'")
    servers = [_server_row(hour, server, counts) for (hour, server), counts in batch.servers.items()]
    added = ("requests", *OUTCOMES, *STATUSES.values(), "duration_ms", *DURATIONS)
    add_to_rows(ServerHour, ("server", "hour"), added, ("last_success_on", "certificate_until"), servers)
    workspaces = list(_workspace_rows(batch))
    keys = ("server", "workspace_uuid", "token", "hour")
    add_to_rows(WorkspaceHour, keys, ("requests", "rate_limited"), (), workspaces)
    if batch.lost:
        logger.warning("%d requests were counted in no row: too many hours were waiting to be written.", batch.lost)
    return len(servers) + len(workspaces)


def _server_row(hour: int, server: str, counts: ServerCounts) -> dict[str, Any]:
    success, until = (_time(at) if at else None for at in (counts.last_success_at, counts.certificate_until))
    return (
        {"server": server, "hour": _time(hour), "requests": counts.requests}
        | {"last_success_on": success, "certificate_until": until}
        | {name: counts.outcomes.get(name, 0) for name in OUTCOMES}
        | {name: counts.statuses.get(first, 0) for first, name in STATUSES.items()}
        | {"duration_ms": counts.duration_ms}
        | dict(zip(DURATIONS, counts.durations, strict=True))
    )


def _workspace_rows(batch: Batch) -> Iterator[dict[str, Any]]:
    rows: dict[tuple[str, UUID, UUID, int], dict[str, Any]] = {}
    for (hour, server, workspace, token), counts in batch.workspaces.items():
        # Servers may write a workspace's id in several ways, and one that is none; a row may come once in a statement.
        key = (server, _uuid(workspace), _uuid(token), hour)
        row = rows.setdefault(
            key,
            {
                "server": server,
                "workspace_uuid": key[1],
                "token": key[2],
                "hour": _time(hour),
                "requests": 0,
                "rate_limited": 0,
            },
        )
        row["requests"] += counts.requests
        row["rate_limited"] += counts.rate_limited
    yield from rows.values()


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        return UNKNOWN


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _say(error: DatabaseError) -> None:
    global _log_after
    now = time.monotonic()
    if now >= _log_after:
        _log_after = now + _LOG_EVERY_S
        logger.warning("Counts of requests wait for the database (%s); they are kept.", type(error).__name__)
