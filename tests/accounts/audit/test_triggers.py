"""The ORM and the database both refuse to change what was written."""

from collections.abc import Callable

import pytest
from django.core.management import call_command
from django.db import DatabaseError, IntegrityError, connection, connections, transaction

from accounts.audit import triggers
from accounts.audit.actions import Action
from accounts.audit.models import AppendOnly, AuditEntry
from accounts.audit.services import record
from accounts.audit.verification import verify
from accounts.models import User
from tests.databases import RealDatabase


@pytest.fixture
def entry(db: None) -> AuditEntry:
    """Return the second of three entries."""
    return [record(Action.SIGNED_IN, details={"n": number}) for number in range(3)][1]


def execute(statement: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_every_trigger_stands_after_all_migrations(db: None) -> None:
    assert triggers.missing(connection) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda entry: entry.save(),
        lambda entry: entry.delete(),
        lambda entry: AuditEntry.objects.update(actor_name="x"),
        lambda entry: AuditEntry.objects.filter(pk=entry.pk).delete(),
        lambda entry: AuditEntry.objects.bulk_update([entry], ["actor_name"]),
        lambda entry: AuditEntry.objects.bulk_create([entry], ignore_conflicts=True),
        lambda entry: AuditEntry.objects.update_or_create(pk=entry.pk, defaults={"actor_name": "x"}),
        lambda entry: AuditEntry._base_manager.all().delete(),
    ],
)
def test_orm_refuses(entry: AuditEntry, change: Callable[[AuditEntry], object]) -> None:
    entry.actor_name = "somebody else"
    with pytest.raises(AppendOnly):
        change(entry)
    assert AuditEntry.objects.count() == 3
    assert not AuditEntry.objects.filter(actor_name="somebody else").exists()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE accounts_auditentry SET actor_name = 'x' WHERE number = 2",
        "UPDATE accounts_auditentry SET number = 9 WHERE number = 3",
        "DELETE FROM accounts_auditentry WHERE number = 2",
        "DELETE FROM accounts_auditentry",
        "INSERT INTO accounts_auditentry SELECT * FROM accounts_auditentry WHERE number = 2",
        "UPDATE accounts_audithead SET number = 2",
        "UPDATE accounts_audithead SET number = 9",
        "DELETE FROM accounts_audithead",
    ],
)
def test_database_refuses_raw_sql(entry: AuditEntry, statement: str) -> None:
    before = list(AuditEntry.objects.values())
    with pytest.raises(IntegrityError, match=r"audit|head"):
        execute(statement)
    assert list(AuditEntry.objects.values()) == before


def test_database_refuses_to_overwrite_by_insert(entry: AuditEntry) -> None:
    """SQLite's INSERT OR REPLACE deletes without a DELETE trigger; PostgreSQL's ON CONFLICT is an update."""
    columns = ", ".join(field.column for field in AuditEntry._meta.fields).replace("when", '"when"')
    values = columns.replace("actor_name", "'x'")
    if connection.vendor == "sqlite":
        statement = f"REPLACE INTO accounts_auditentry ({columns}) SELECT {values} FROM accounts_auditentry"
    else:
        statement = (
            f"INSERT INTO accounts_auditentry ({columns}) SELECT {values} FROM accounts_auditentry"
            " ON CONFLICT (number) DO UPDATE SET actor_name = 'x'"
        )
    with pytest.raises(IntegrityError, match="audit"):
        execute(statement)
    with pytest.raises(IntegrityError, match=r"head|unique"):
        execute("INSERT INTO accounts_audithead (id, number, mac, key_id, seal) VALUES (1, 0, '', '', '')")


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no TRUNCATE")
def test_database_refuses_truncate(entry: AuditEntry) -> None:
    for table in (triggers.ENTRY, triggers.HEAD):
        with pytest.raises(DatabaseError, match="never emptied"):
            execute(f"TRUNCATE {table}")


def test_entry_outlives_the_account_it_speaks_of(owner: User) -> None:
    entry = record(Action.SIGNED_IN, owner=owner, by=owner)
    key = owner.pk
    owner.delete()
    kept = AuditEntry.objects.get(pk=entry.pk)
    assert (kept.owner_id, kept.actor_id, kept.actor_name) == (key, key, "owner@example.org")


def test_flush_is_refused_and_keeps_the_log(real_database: RealDatabase) -> None:
    made = real_database.run("-m", "tests.accounts.audit.writers", "1", "3")
    assert made.communicate(timeout=60)[0] == "3"
    flush = real_database.run("manage.py", "flush", "--noinput")
    flush.communicate(timeout=60)
    assert flush.returncode == 1
    with real_database.connected() as alias:
        assert AuditEntry.objects.using(alias).count() == 3


def test_migration_goes_back_and_forth(real_database: RealDatabase) -> None:
    for target in ("0001", "0002"):
        told, _ = real_database.run("manage.py", "migrate", "accounts", target, "--verbosity", "0").communicate()
        assert told == ""
    with real_database.connected() as alias:
        assert triggers.missing(connections[alias]) == []
        assert verify(using=alias).broken == ""


@pytest.mark.django_db(transaction=True)
def test_transactional_tests_may_empty_the_log() -> None:
    record(Action.SIGNED_IN)
    call_command("flush", "--noinput", verbosity=0)
    assert (AuditEntry.objects.count(), triggers.missing(connection)) == (0, [])
    record(Action.SIGNED_IN)
    assert verify().broken == ""
