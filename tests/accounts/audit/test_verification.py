"""A changed, removed, inserted or moved entry is named; a pruned log is told from a damaged one."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from accounts.audit import pruning, services, triggers
from accounts.audit.actions import Action, Outcome
from accounts.audit.models import AuditEntry, AuditHead
from accounts.audit.services import LogBroken, record
from accounts.audit.verification import verify
from accounts.models import User
from rapidpro_integration.models import RapidProToken
from tests.conftest import Sql

_COPY = (
    'SELECT {}, "when", action, outcome, actor_id, actor_name, owner_id, owner_name, token_id, token_label, address, '
    "agent, reference, count, details, pruned_through, key_id, previous, mac FROM accounts_auditentry WHERE number = 3"
)
_INSERT = (
    'INSERT INTO accounts_auditentry (number, "when", action, outcome, actor_id, actor_name, owner_id, owner_name, '
    "token_id, token_label, address, agent, reference, count, details, pruned_through, key_id, previous, mac) "
)


@pytest.fixture
def log(owner: User, token: RapidProToken) -> list[AuditEntry]:
    """Return five entries: that the owner's account was made, and four with something in every field."""
    for number in range(2, 6):
        record(
            Action.TOKEN_CHECKED,
            token=token,
            by=owner,
            outcome=Outcome.REFUSED,
            reference="0A1B2C3D",
            count=number,
            details={"state": "rejected", "rows": [1, 2], "names": ["é", "ب"], "none": None, "yes": True, "n": number},
        )
    return list(AuditEntry.objects.order_by("number"))


def test_log_is_whole_as_it_was_written(log: list[AuditEntry]) -> None:
    verdict = verify()
    assert (verdict.entries, verdict.broken) == (5, "")
    assert verdict.head == f"5:{log[-1].mac}"


def test_empty_log_is_whole(db: None) -> None:
    assert verify().broken == ""


@pytest.mark.parametrize(
    "change",
    [
        "actor_name = 'Somebody Else'",
        "actor_id = 999",
        "owner_id = NULL",
        "owner_name = ''",
        "\"when\" = '2026-01-01 00:00:00+00:00'",
        "action = 'signed_in'",
        "outcome = 'done'",
        "token_id = NULL",
        "token_label = 'Other'",
        "address = '192.0.2.1'",
        "agent = 'curl'",
        "reference = 'FFFFFFFF'",
        "count = 99",
        "details = '{}'",
        "pruned_through = 2",
        "previous = mac",
        "mac = previous",
    ],
)
def test_changed_field_is_named(log: list[AuditEntry], sql: Sql, change: str) -> None:
    sql(f"UPDATE accounts_auditentry SET {change} WHERE number = 3")
    assert verify().broken == "entry 3 was changed, or put there from outside"


def test_every_column_is_signed() -> None:
    signing = {"key_id", "previous", "mac"}
    assert len(AuditEntry().signed_fields()) == len(AuditEntry._meta.fields) - len(signing)


def test_removed_entries_are_named_wherever_they_stood(log: list[AuditEntry], sql: Sql) -> None:
    sql("DELETE FROM accounts_auditentry WHERE number = 5")
    assert verify().broken == "entry 5 and all up to 5 were removed from the end"
    sql("DELETE FROM accounts_auditentry WHERE number IN (2, 3)")
    assert verify().broken == "entry 2 (and all up to 3) was removed"
    sql("DELETE FROM accounts_auditentry WHERE number < 4")
    assert verify().broken.startswith("entry 1 is not where the log begins")


def test_cut_end_shows_although_the_head_was_set_back(log: list[AuditEntry], sql: Sql) -> None:
    sql(
        "DELETE FROM accounts_auditentry WHERE number = 5",
        f"UPDATE accounts_audithead SET number = 4, mac = '{log[3].mac}'",
    )
    assert verify().broken == "the head of the log was changed"


def test_inserted_entries_are_named(log: list[AuditEntry], sql: Sql) -> None:
    sql(_INSERT + _COPY.format(6))
    assert verify().broken == "entry 6 was put behind the newest one from outside"
    sql("UPDATE accounts_audithead SET number = 6")
    assert verify().broken == "entry 6 was changed, or put there from outside"
    sql(_INSERT + _COPY.format(0))
    assert "entry 0 was changed" in verify().broken


def test_swapped_entries_are_named(log: list[AuditEntry], sql: Sql) -> None:
    sql(
        "UPDATE accounts_auditentry SET number = 99 WHERE number = 2",
        "UPDATE accounts_auditentry SET number = 2 WHERE number = 4",
        "UPDATE accounts_auditentry SET number = 4 WHERE number = 99",
    )
    assert verify().broken == "entry 2 was changed, or put there from outside"


def test_log_without_a_head_takes_no_entry_and_does_not_verify(log: list[AuditEntry], sql: Sql) -> None:
    sql("DELETE FROM accounts_audithead")
    with pytest.raises(LogBroken):
        record(Action.SIGNED_IN)
    assert "head" in verify().broken


def test_missing_guard_is_told(log: list[AuditEntry], db: None) -> None:
    triggers.drop(connection)
    assert "no longer guards the log: accounts_audit_at_end" in verify().broken


def test_rewriting_with_another_key_does_not_help(log: list[AuditEntry], settings: Settings, sql: Sql) -> None:
    secret = settings.SECRET_KEY
    settings.SECRET_KEY = "the key of somebody who has the database but not the settings" * 2
    sql(
        "DELETE FROM accounts_auditentry WHERE number = 5",
        f"UPDATE accounts_audithead SET number = 4, mac = '{log[3].mac}'",
    )
    forged = record(Action.SIGNED_IN)
    settings.SECRET_KEY = secret
    assert verify().broken == f"entry 5 cannot be checked: its key {forged.key_id} is not in the settings"


def test_change_of_key_keeps_the_log_whole(log: list[AuditEntry], settings: Settings) -> None:
    settings.AUDIT_KEY = "an audit key of its own, long enough"
    newer = record(Action.SIGNED_IN)
    assert newer.key_id != log[0].key_id
    assert verify().broken == ""
    settings.SECRET_KEY = "x" * 60
    assert verify().broken.startswith("entry 1 cannot be checked")


def test_log_put_back_from_an_old_copy_is_told_by_a_noted_head(log: list[AuditEntry], sql: Sql) -> None:
    old = AuditHead.objects.get()
    noted = record(Action.SIGNED_IN)
    head = verify(expect=f"6:{noted.mac}").head
    assert head == f"6:{noted.mac}"
    sql(
        "DELETE FROM accounts_auditentry WHERE number = 6",
        f"UPDATE accounts_audithead SET number = {old.number}, mac = '{old.mac}', seal = '{old.seal}'",
    )
    assert verify().broken == ""
    assert verify(expect=head).broken.startswith("entry 6 is not the one that was noted earlier")
    record(Action.SIGNED_OUT)
    assert verify(expect=head).broken.startswith("entry 6 is not the one that was noted earlier")


# --- Retention ----------------------------------------------------------------------------------


def written_days_ago(monkeypatch: pytest.MonkeyPatch, days: int, count: int) -> None:
    moment = timezone.now() - timedelta(days=days)
    with monkeypatch.context() as patch:
        patch.setattr(services.timezone, "now", lambda: moment)
        for _ in range(count):
            record(Action.SIGNED_IN)


def test_prune_removes_what_is_old_behind_a_tombstone_and_the_log_stays_whole(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    written_days_ago(monkeypatch, 400, 3)
    written_days_ago(monkeypatch, 10, 2)
    assert pruning.prune(365) == 3
    assert list(AuditEntry.objects.order_by("number").values_list("number", flat=True)) == [4, 5, 6]
    tombstone = AuditEntry.objects.get(action=Action.LOG_PRUNED)
    assert (tombstone.number, tombstone.pruned_through, tombstone.details["count"]) == (6, 3, 3)
    assert verify().broken == ""
    assert verify(expect="2:was-noted-before-it-went").broken == ""


def test_prune_may_be_repeated_and_may_take_the_older_tombstone(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    written_days_ago(monkeypatch, 400, 3)
    assert pruning.prune(365) == 3
    assert pruning.prune(365) == 0
    assert pruning.prune(0) == 1
    assert [entry.pruned_through for entry in AuditEntry.objects.all()] == [4]
    record(Action.SIGNED_IN)
    assert verify().broken == ""


def test_after_a_prune_nothing_else_may_go(db: None, monkeypatch: pytest.MonkeyPatch, sql: Sql) -> None:
    written_days_ago(monkeypatch, 400, 3)
    written_days_ago(monkeypatch, 10, 2)
    pruning.prune(365)
    sql("DELETE FROM accounts_auditentry WHERE number = 4")
    assert verify().broken.startswith("entry 4 is not where the log begins")


def test_forged_tombstone_is_named(log: list[AuditEntry], sql: Sql) -> None:
    sql(
        _INSERT + _COPY.format(6),
        "UPDATE accounts_auditentry SET pruned_through = 4, action = 'log_pruned' WHERE number = 6",
        "UPDATE accounts_audithead SET number = 6",
        "DELETE FROM accounts_auditentry WHERE number < 5",
    )
    assert verify().broken == "entry 6 was changed, or put there from outside"


def test_prune_of_a_broken_log_is_refused_or_told(log: list[AuditEntry], sql: Sql) -> None:
    sql("UPDATE accounts_auditentry SET actor_name = 'x' WHERE number = 2")
    with pytest.raises(pruning.NotWhole, match="entry 2 was changed"):
        pruning.prune(0)
    assert pruning.prune(0, although_broken=True) == 5
    assert "entry 2 was changed" in AuditEntry.objects.get().details["broken"]
    assert verify().broken == ""


@pytest.mark.parametrize("gone", ["number = 5", "number = 1", "number IN (2, 3)"])
def test_log_that_lost_rows_can_be_begun_anew(log: list[AuditEntry], sql: Sql, gone: str) -> None:
    sql(f"DELETE FROM accounts_auditentry WHERE {gone}")
    pruning.prune(0, although_broken=True)
    record(Action.SIGNED_IN)
    assert verify().broken == ""
    assert [entry.number for entry in AuditEntry.objects.all()] == [7, 6]


def test_details_take_plain_facts_only(db: None) -> None:
    for wrong in (1.5, {"a": 1}, object(), b"x"):
        with pytest.raises(TypeError, match="no plain fact"):
            record(Action.SIGNED_IN, details={"wrong": wrong})  # type: ignore[dict-item]
    assert not AuditEntry.objects.exists()


def test_texts_are_cut_and_cleaned(owner: User, db: None) -> None:
    owner.name = "n\0\n" * 200
    entry = record(Action.SIGNED_IN, by=owner, details={"label": "a\0b"})
    assert len(entry.actor_name) <= 255
    assert entry.details["label"] == "a b"
    assert entry.actor_name.isprintable()
    assert verify().broken == ""
