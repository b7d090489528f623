"""Every opening of a sealed token leaves a trace, at the price of one short write."""

from collections.abc import Callable

import pytest
import respx
from django.test import Client

from accounts.audit.actions import Action
from accounts.audit.models import AuditEntry
from accounts.audit.services import LogBroken
from accounts.audit.verification import verify
from accounts.models import User
from rapidpro_integration import openings
from rapidpro_integration.models import RapidProToken
from rapidpro_integration.openings import Openings, Purpose
from tests.conftest import Sql
from tests.databases import RealDatabase
from tests.rapidpro_integration.openers import TOKEN_ID
from tests.rapidpro_integration.test_token_views import Answer


class Clock:
    """A clock that is moved by hand, and the calls that were put off."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.later: list[tuple[float, Callable[[], None]]] = []

    def __call__(self) -> float:
        return self.now

    def schedule(self, delay_s: float, call: Callable[[], None]) -> None:
        self.later.append((delay_s, call))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the clock that the openings of this test are counted by."""
    clock = Clock()
    monkeypatch.setattr(openings, "_openings", Openings(clock, clock.schedule))
    return clock


def written() -> list[tuple[str, int]]:
    entries = AuditEntry.objects.filter(action=Action.TOKEN_OPENED).order_by("number")
    return [(entry.details["purpose"], entry.count) for entry in entries]


def test_first_opening_is_written_at_once_and_the_rest_of_the_minute_as_one_entry(
    token: RapidProToken, clock: Clock
) -> None:
    for _ in range(5):
        openings.note_opening(token, Purpose.FLOWS)
    assert written() == [("flows", 1)]
    openings._openings.flush()
    assert written() == [("flows", 1)]
    clock.now += 60
    openings._openings.flush()
    assert written() == [("flows", 1), ("flows", 4)]
    openings._openings.flush(everything=True)
    openings.note_opening(token, Purpose.FLOWS)
    assert written() == [("flows", 1), ("flows", 4), ("flows", 1)]
    assert verify().broken == ""


def test_flush_is_asked_for_once_soon_after_the_minutes_end(token: RapidProToken, clock: Clock) -> None:
    clock.now = 1_800_000_000.0 - 1_800_000_000.0 % 60 + 45
    for purpose in (Purpose.FLOWS, Purpose.FLOWS, Purpose.CHECK):
        openings.note_opening(token, purpose)
    assert [delay_s for delay_s, _ in clock.later] == [15.5]


def test_each_purpose_and_each_token_has_its_own_entry(
    token: RapidProToken, owner: User, make_token: Callable[..., RapidProToken], clock: Clock
) -> None:
    second = make_token(owner, secret="another token of forty characters, or so", label="Second")
    for opened, purpose in ((token, Purpose.FLOWS), (token, Purpose.FLOW), (second, Purpose.FLOWS)):
        openings.note_opening(opened, purpose)
    assert written() == [("flows", 1), ("flow", 1), ("flows", 1)]


def test_counted_openings_of_two_people_are_kept_apart(
    owner_client: Client, staff: User, token: RapidProToken, rapidpro: Answer, clock: Clock
) -> None:
    rapidpro("workspace.json", "workspace_bad_token")
    admin = Client()
    admin.force_login(staff)
    for _ in range(2):
        owner_client.post(f"/tokens/{token.pk}/check/")
        data = {"action": "check_now", "_selected_action": [str(token.pk)], "confirmed": "yes"}
        admin.post("/admin/rapidpro_integration/rapidprotoken/", data)
    openings._openings.flush(everything=True)
    opened = AuditEntry.objects.filter(action=Action.TOKEN_OPENED).order_by("number")
    assert [(entry.actor_id, entry.owner_id) for entry in opened] == [
        (token.owner_id, token.owner_id),
        (staff.pk, token.owner_id),
        (token.owner_id, token.owner_id),
        (staff.pk, token.owner_id),
    ]
    assert {entry.token_label for entry in opened} == {"Clinics"}


@pytest.mark.parametrize("path", ["check/", "flows/", "flows/882f1c30-45b7-4fe2-bff8-12c78de3807e/"])
def test_token_whose_opening_cannot_be_written_is_not_sent(
    owner_client: Client, token: RapidProToken, sql: Sql, respx_mock: respx.MockRouter, path: str
) -> None:
    sql("DELETE FROM accounts_audithead")
    ask = owner_client.post if path == "check/" else owner_client.get
    with pytest.raises(LogBroken):
        ask(f"/tokens/{token.pk}/{path}")
    assert not respx_mock.calls


def test_locked_token_is_not_opened_and_so_not_noted(owner_client: Client, token: RapidProToken) -> None:
    RapidProToken.objects.update(key_id="k9")
    owner_client.post(f"/tokens/{token.pk}/check/")
    assert written() == []


def test_opening_that_failed_to_be_written_does_not_hide_the_next(token: RapidProToken, clock: Clock, sql: Sql) -> None:
    head = "INSERT INTO accounts_audithead SELECT * FROM kept"
    sql("CREATE TEMPORARY TABLE kept AS SELECT * FROM accounts_audithead", "DELETE FROM accounts_audithead")
    with pytest.raises(LogBroken):
        openings.note_opening(token, Purpose.FLOWS)
    sql(head)
    openings.note_opening(token, Purpose.FLOWS)
    assert written() == [("flows", 1)]


def test_counts_that_cannot_be_written_are_kept_and_told(
    token: RapidProToken, clock: Clock, sql: Sql, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openings.connections, "close_all", lambda: None)  # the test's own connection
    for _ in range(3):
        openings.note_opening(token, Purpose.FLOWS)
    sql("CREATE TEMPORARY TABLE kept AS SELECT * FROM accounts_audithead", "DELETE FROM accounts_audithead")
    clock.now += 60
    clock.later.pop()[1]()
    assert "could not be written to the audit log" in caplog.text
    sql("INSERT INTO accounts_audithead SELECT * FROM kept")
    clock.later.pop()[1]()
    assert written() == [("flows", 1), ("flows", 2)]
    assert clock.later == []


@pytest.mark.parametrize("end", ["ended", "killed"])
def test_ending_process_loses_nothing_and_a_killed_one_only_a_count(real_database: RealDatabase, end: str) -> None:
    process = real_database.run("-m", "tests.rapidpro_integration.openers", "200", "8", end)
    process.communicate(timeout=60)
    with real_database.connected() as alias:
        found = AuditEntry.objects.using(alias).filter(token_id=TOKEN_ID, action=Action.TOKEN_OPENED)
        told = [entry.count for entry in found]
        assert verify(using=alias).broken == ""
    if end == "ended":
        assert sum(told) == 200
    else:
        assert 1 in told
        assert sum(told) < 200


def test_counts_are_written_by_themselves_when_the_minute_is_over(real_database: RealDatabase) -> None:
    real_database.run("-m", "tests.rapidpro_integration.openers", "5", "1", "minute over").communicate(timeout=60)
    with real_database.connected() as alias:
        found = AuditEntry.objects.using(alias).filter(token_id=TOKEN_ID).order_by("number")
        assert [entry.count for entry in found] == [1, 4]


def test_rotation_is_one_entry_a_batch(db: None) -> None:
    openings.note_rotation(key_id="k2", moved=200)
    openings.note_rotation(key_id="k2", moved=3, failed=1)
    entries = AuditEntry.objects.filter(action=Action.KEYS_ROTATED).order_by("number")
    assert [(entry.count, entry.outcome) for entry in entries] == [(200, "done"), (3, "failed")]
