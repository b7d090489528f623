"""From a request to the numbers on a page: counted in the process, written by the hour, summed up."""

import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import respx
from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.tasks.signals import task_finished
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from rapidpro_integration import interface
from rapidpro_integration.client import wire
from rapidpro_integration.interface import RapidProInterface
from rapidpro_integration.models import RapidProToken, TokenState
from rapidpro_integration.observations import reading, writing
from rapidpro_integration.observations.models import UNKNOWN, ServerHour, TokenStateHour, WorkspaceHour
from rapidpro_integration.observations.recorder import Recorder, recorder
from tests.conftest import OTHER_SERVER, SECRET, SERVER, TokenMaker
from tests.databases import RealDatabase
from tests.faults import tls
from tests.faults.server import flow, serve
from tests.rapidpro_integration.client.loopback import always, answer, page

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
WORKSPACE = "882f1c30-45b7-4fe2-bff8-12c78de3807e"
TOKEN = str(uuid.UUID(int=7))


class At:
    """A clock that stands where it was put."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now.timestamp()


@pytest.fixture
def clock() -> At:
    return At(NOON + timedelta(minutes=30))


@pytest.fixture
def counts(clock: At) -> Recorder:
    return Recorder(clock)


def note(counts: Recorder, outcome: str = "ok", status: int | None = 200, ms: int = 120, **where: str) -> None:
    place = {"server": SERVER, "workspace": WORKSPACE, "token": TOKEN} | where
    counts.note(place["server"], place["workspace"], place["token"], outcome, status, ms)


def numbers(server: str = SERVER) -> reading.ServerNumbers:
    (found,) = reading.servers_between(NOON, NOON + HOUR, server=server)
    return found


def test_requests_become_one_row_an_hour_and_server(db: None, counts: Recorder, clock: At) -> None:
    note(counts)
    note(counts, "rate_limited", 429)
    note(counts, "unreachable", None, 3)
    note(counts, "timed_out", None, 8_100)
    note(counts, server=OTHER_SERVER)
    clock.now += HOUR
    note(counts)
    writing.write(counts)
    assert not counts
    first = ServerHour.objects.get(server=SERVER, hour=NOON)
    assert (first.requests, first.ok, first.rate_limited, first.unreachable, first.timed_out) == (4, 1, 1, 1, 1)
    assert (first.status_2xx, first.status_4xx) == (1, 1)
    # A refused connection is quick, and says nothing of the server's speed.
    assert (first.ms_200, first.ms_15000, first.ms_50, first.duration_ms) == (2, 1, 0, 8_340)
    assert first.last_success_on == NOON + timedelta(minutes=30)
    assert ServerHour.objects.count() == 3


def test_rows_that_are_there_are_added_to(db: None, counts: Recorder, clock: At) -> None:
    note(counts)
    writing.write(counts)
    clock.now += timedelta(minutes=1)
    note(counts)
    writing.write(counts)
    clock.now -= timedelta(minutes=2)
    note(counts)
    writing.write(counts)
    note(counts, "tls", None)
    writing.write(counts)
    row = ServerHour.objects.get()
    assert (row.requests, row.ok, row.tls, row.last_success_on) == (4, 3, 1, NOON + timedelta(minutes=31))
    assert WorkspaceHour.objects.get().requests == 4


def test_workspace_ids_that_are_the_same_or_none_share_a_row(db: None, counts: Recorder) -> None:
    for workspace in (WORKSPACE, WORKSPACE.upper()):
        note(counts, workspace=workspace)
    for workspace in ("", "x" * 36):
        note(counts, workspace=workspace, token="")
    writing.write(counts)
    rows = {(row.workspace_uuid, row.token): row.requests for row in WorkspaceHour.objects.all()}
    assert rows == {(uuid.UUID(WORKSPACE), uuid.UUID(TOKEN)): 2, (UNKNOWN, UNKNOWN): 2}


def test_numbers_of_a_server(db: None, counts: Recorder) -> None:
    for ms in (10, 60, 120, 250, 250, 260, 400, 700, 1_200, 4_000):
        note(counts, ms=ms)
    note(counts, "rejected", 401, 90)
    note(counts, "rate_limited", 429, 90)
    for _ in range(2):
        note(counts, "server_error", 502, 90)
    note(counts, "tls", None)
    writing.write(counts)
    found = numbers()
    assert (found.requests, found.rate_limited, found.failed) == (15, 1, 3)
    assert list(found.failures.items()) == [("server_error", 2), ("tls", 1)]
    assert found.median_ms is not None
    assert 100 <= found.median_ms <= 200
    assert found.p95_ms is not None
    assert 3_000 < found.p95_ms <= 5_000
    assert found.last_success_on == reading.last_successes()[SERVER] == NOON + timedelta(minutes=30)
    assert reading.servers_between(NOON + HOUR, NOON + 2 * HOUR) == []


def test_series_by_hour_and_by_day(db: None, counts: Recorder, clock: At) -> None:
    for hours in (0, 1, 12, 13):
        clock.now = NOON + hours * HOUR
        note(counts)
        note(counts, server=OTHER_SERVER)
    writing.write(counts)
    end = NOON + 24 * HOUR
    hours = reading.server_series(NOON, end, server=SERVER)
    assert [(point.at, point.requests) for point in hours] == [(NOON + n * HOUR, 1) for n in (0, 1, 12, 13)]
    days = reading.server_series(NOON, end, server="", step="day")
    midnight = NOON.replace(hour=0)
    assert [(point.at, point.requests) for point in days] == [(midnight, 4), (midnight + 24 * HOUR, 4)]


def test_budget_of_a_workspace_slides(db: None, counts: Recorder, clock: At) -> None:
    clock.now = NOON
    for _ in range(100):
        note(counts)
    clock.now = NOON + HOUR
    note(counts, token="")
    note(counts, "rate_limited", 429, token="")
    writing.write(counts)
    (budget,) = reading.workspace_budgets(NOON + HOUR + timedelta(minutes=45))
    # A quarter of the hour before still lies within 60 minutes.
    assert (budget.used, budget.left, budget.rate_limited) == (27, 3_573, 1)
    assert list(budget.by_token.items()) == [(uuid.UUID(TOKEN), 25), (UNKNOWN, 2)]
    points = reading.workspace_series(NOON, NOON + 2 * HOUR, server=SERVER, workspace_uuid=uuid.UUID(WORKSPACE))
    assert [(point.hour, point.requests, point.rate_limited) for point in points] == [
        (NOON, 100, 0),
        (NOON + HOUR, 2, 1),
    ]
    assert reading.workspace_budgets(NOON + 3 * HOUR) == []


def test_heaviest_workspaces_come_first_and_no_more_than_are_wanted(db: None, counts: Recorder, clock: At) -> None:
    workspaces = [str(uuid.UUID(int=number)) for number in range(1, 5)]
    for number, workspace in enumerate(workspaces):
        for _ in range(number + 1):
            note(counts, workspace=workspace, server=OTHER_SERVER if number == 3 else SERVER)
    writing.write(counts)
    with CaptureQueriesContext(connection) as queries:
        found = reading.workspace_budgets(clock.now, limit=2)
    assert len(queries) == 2
    assert [(budget.workspace_uuid, budget.used, sum(budget.by_token.values())) for budget in found] == [
        (uuid.UUID(int=4), 4, 4),
        (uuid.UUID(int=3), 3, 3),
    ]
    assert [budget.used for budget in reading.workspace_budgets(clock.now, server=SERVER)] == [3, 2, 1]


async def test_certificate_of_a_new_connection_is_noted_with_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = list[tuple[str, int]]()
    monkeypatch.setattr(wire, "certificate_observer", lambda *noted: seen.append(noted))
    context = tls.context("good")
    with tls.trusting():
        async with serve(always(answer(page(flow("One")))), tls=context, scheme="https") as server:
            interface = RapidProInterface(SECRET, server.origin, private=True)
            for _ in range(2):  # the second on the connection of the first
                await interface.aget_flows()
    ((origin, ends_at),) = seen
    assert origin == server.origin
    assert 0 < ends_at - time.time() <= timedelta(days=1).total_seconds()


def test_certificate_s_end_is_in_the_row_of_the_hour_and_the_latest_of_two_days_counts(
    db: None, counts: Recorder, clock: At
) -> None:
    ends = NOON + timedelta(days=30)
    counts.note_certificate(SERVER, int((ends - HOUR).timestamp()))
    note(counts)
    counts.note_certificate(SERVER, int(ends.timestamp()))
    writing.write(counts)
    clock.now += HOUR
    counts.note_certificate(SERVER, int((ends - HOUR).timestamp()))
    writing.write(counts)
    assert [row.requests for row in ServerHour.objects.order_by("hour")] == [1, 0]
    assert reading.certificates(clock.now) == {SERVER: ends}
    assert reading.certificates(clock.now + timedelta(days=3)) == {}


def test_each_read_is_one_query(db: None, counts: Recorder) -> None:
    note(counts)
    writing.write(counts)
    span = (NOON, NOON + HOUR)
    reads: list[Callable[[], Any]] = [
        lambda: reading.servers_between(*span),
        lambda: reading.server_series(*span, server=SERVER, step="day"),
        reading.last_successes,
        reading.certificates,
        lambda: reading.workspace_series(*span, server=SERVER, workspace_uuid=uuid.UUID(WORKSPACE)),
        lambda: reading.token_states(*span, step="day"),
    ]
    for read in reads:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            read()
        assert len(queries) == 1


def test_states_are_counted_once_an_hour(token: RapidProToken, owner: User, make_token: TokenMaker) -> None:
    make_token(owner, secret="a" * 40, state=TokenState.REJECTED)
    writing.write()
    make_token(owner, secret="b" * 40)
    writing.write()
    now = datetime.now(UTC)
    ((hour, states),) = reading.token_states(now - HOUR, now + HOUR)
    assert hour == writing.this_hour()
    assert (states["working"], states["rejected"], states["locked"]) == (1, 1, 0)
    assert set(states) == set(TokenState.values)


def test_states_by_day_are_those_of_its_last_hour(db: None) -> None:
    for hours, count in ((0, 5), (11, 6), (12, 7)):
        TokenStateHour.objects.create(hour=NOON + hours * HOUR, state="working", count=count)
    found = reading.token_states(NOON, NOON + 24 * HOUR, step="day")
    assert found == [(NOON + 11 * HOUR, {"working": 6}), (NOON + 12 * HOUR, {"working": 7})]


def test_counts_are_kept_while_the_database_is_gone(
    db: None, counts: Recorder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    note(counts)
    monkeypatch.setattr(writing, "_log_after", 0.0)
    with connection.execute_wrapper(_broken):
        assert writing.write(counts) == 0
        note(counts)
        assert writing.write(counts) == 0
    assert counts
    assert [record.message for record in caplog.records if record.name == writing.__name__] == [
        "Counts of requests wait for the database (DatabaseError); they are kept."
    ]
    writing.write(counts)
    assert (numbers().requests, WorkspaceHour.objects.get().requests) == (2, 2)


def _broken(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    if sql.startswith("INSERT"):
        raise DatabaseError("gone")
    return execute(sql, params, many, context)


def test_what_waits_to_be_written_is_bounded(monkeypatch: pytest.MonkeyPatch, counts: Recorder) -> None:
    monkeypatch.setattr("rapidpro_integration.observations.recorder.KEPT_AT_MOST", 3)
    for number in range(5):
        note(counts, token=str(number))
    batch = counts.take()
    for number in range(5, 10):
        note(counts, token=str(number))
    counts.give_back(batch)
    kept = counts.take()
    assert len(kept.workspaces) == 3
    assert kept.servers[int(NOON.timestamp()), SERVER].requests == 10
    assert kept.lost == 2 + 2 + 3


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ({"name": "endpoint_workspace"}, "ok"),
        ({"status": 401, "json": {"detail": "Invalid token"}}, "rejected"),
        ({"status": 429, "json": {}}, "rate_limited"),
        ({"status": 502, "text": "<h1>Bad gateway</h1>"}, "server_error"),
        ({"status": 200, "text": "<h1>Welcome</h1>"}, "not_rapidpro"),
        ({"error": httpx.ConnectError("refused")}, "unreachable"),
        ({"error": httpx.ReadTimeout("slow")}, "timed_out"),
    ],
)
def test_request_with_a_saved_token_is_counted_for_it(
    answer: dict[str, Any], outcome: str, token: RapidProToken, rapidpro: Callable[..., respx.Route]
) -> None:
    rapidpro("workspace.json", **answer)
    try:
        RapidProInterface.for_token(token).get_workspace()
    except interface.errors.AbstractRequestException:
        assert outcome != "ok"
    writing.write()
    row = ServerHour.objects.get(server=SERVER)
    assert row.requests == getattr(row, outcome) > 0
    drawn = WorkspaceHour.objects.get()
    assert (str(drawn.workspace_uuid), drawn.token, drawn.requests) == (WORKSPACE, token.pk, row.requests)


def test_old_rows_go(db: None, counts: Recorder, clock: At) -> None:
    clock.now = datetime.now(UTC)
    for days in (1, 36, 399, 401):
        clock.now = datetime.now(UTC) - timedelta(days=days)
        note(counts)
    writing.write(counts)
    TokenStateHour.objects.create(hour=clock.now, state="working", count=1)
    call_command("observations", "prune")
    assert ServerHour.objects.count() == 3
    assert WorkspaceHour.objects.count() == 1
    assert not TokenStateHour.objects.filter(hour=clock.now).exists()


def test_process_counts_with_its_own_recorder() -> None:
    from rapidpro_integration.client import transport

    assert transport.observer == recorder.note


_WRITER = """
import sys
import django
django.setup()
from rapidpro_integration.observations import writing
from rapidpro_integration.observations.recorder import Recorder

counts = Recorder(lambda: 1_795_000_000.0)
for number in range(20):
    servers = [f"https://{name}.example" for name in "abc"]
    # Each process meets the servers in an order of its own.
    for server in servers if sys.argv[1] == "forwards" else reversed(servers):
        counts.note(server, "", "", "ok", 200, 100)
    writing.write(counts)
assert not counts
"""


def test_processes_add_to_the_same_rows_and_lose_nothing(real_database: RealDatabase) -> None:
    writers = [real_database.run("-c", _WRITER, way) for way in ("forwards", "backwards")]
    for writer in writers:
        writer.communicate(timeout=60)
    assert [writer.returncode for writer in writers] == [0, 0]
    with real_database.connected() as alias:
        rows = ServerHour.objects.using(alias).values_list("requests", "ok", "ms_100", "duration_ms")
        assert list(rows) == [(40, 40, 40, 4_000)] * 3
        assert WorkspaceHour.objects.using(alias).filter(requests=40).count() == 3
        assert TokenStateHour.objects.using(alias).count() == len(TokenState.values)


def test_worker_writes_between_tasks_and_not_after_each(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    receivers, _ = task_finished._live_receivers(None)
    assert writing.write_between_tasks in receivers
    note(recorder)
    monkeypatch.setattr(writing, "_last_written_at", time.monotonic() - settings.OBSERVATIONS_EVERY_S)
    writing.write_between_tasks(sender=None, task_result=None)
    assert ServerHour.objects.get().requests == 1
    note(recorder)
    writing.write_between_tasks(sender=None, task_result=None)
    assert ServerHour.objects.get().requests == 1
    assert recorder
