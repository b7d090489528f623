"""Many token saves at once: all saved, or a clean 503 first; never a locked database in anybody's face."""

import json
import sqlite3
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import psycopg
import psycopg_pool
import pytest
from django.db import IntegrityError, InterfaceError, InternalError, OperationalError, connection
from psycopg import sql

from config.busy import DatabaseFault, fault_of
from tests.processes import output_of
from tests.security.rotation import OLD as KEY
from tests.security.saves import WORKER, exercise, migrated

ROLE = "rapidpro_saves_test"
FEW_CONNECTIONS = 12


@pytest.fixture
def narrow_url(database_url: str) -> Iterator[str]:
    """Return the URL of a database with fewer connections than savers where it is PostgreSQL; a file else."""
    if connection.vendor == "sqlite":
        yield database_url
        return
    place = urlsplit(database_url)
    role, name = sql.Identifier(ROLE), sql.Identifier(place.path.strip("/"))
    with psycopg.connect(database_url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN CONNECTION LIMIT {}").format(role, sql.Literal(FEW_CONNECTIONS)))
        admin.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(name, role))
        try:
            yield urlunsplit(place._replace(netloc=f"{ROLE}@{place.hostname}:{place.port}"))
        finally:
            admin.execute(sql.SQL("ALTER DATABASE {} OWNER TO CURRENT_USER").format(name))
            admin.execute(sql.SQL("REASSIGN OWNED BY {} TO CURRENT_USER").format(role))
            admin.execute(sql.SQL("DROP OWNED BY {}").format(role))
            admin.execute(sql.SQL("DROP ROLE {}").format(role))


def test_sixty_saves_at_once_are_all_there_once_and_written_down(narrow_url: str) -> None:
    outcome = exercise(narrow_url, saves=60, processes=3, pool=FEW_CONNECTIONS // 3)
    assert outcome.is_good, outcome
    assert (outcome.rows, outcome.answers["already"]) == (54, 6)
    assert outcome.log.startswith("The audit log is whole")
    # All queue: for SQLite's lock, or for one of the few connections of their process.
    assert "503" not in outcome.answers


@pytest.mark.skipif(connection.vendor != "sqlite", reason="a lock on the whole database is SQLite's alone")
def test_lock_that_lasts_is_a_503_with_a_time_to_come_back_and_saves_nothing(database_url: str) -> None:
    site = migrated(database_url)
    process = site.start(KEY, *WORKER, "locked")
    assert process.stdin is not None
    process.stdin.write(output_of(site.start(KEY, *WORKER, "people")))
    assert json.loads(output_of(process)) in ([503, str(wait_s), True, 302] for wait_s in range(1, 7))
    assert json.loads(output_of(site.start(KEY, *WORKER, "verify", "1")))["right"] == 1


def caused(kind: type[Exception], cause: Exception) -> Exception:
    error = kind("of the database")
    error.__cause__ = cause
    return error


def test_only_what_another_try_may_mend_is_a_fault_that_passes() -> None:
    locked = sqlite3.OperationalError("database is locked")
    locked.sqlite_errorcode = sqlite3.SQLITE_BUSY_SNAPSHOT
    assert fault_of(caused(OperationalError, locked)) is DatabaseFault.BUSY
    refused = caused(OperationalError, psycopg.OperationalError("connection refused"))
    assert fault_of(caused(ValueError, refused)) is DatabaseFault.AWAY
    assert fault_of(caused(OperationalError, psycopg.errors.DeadlockDetected())) is DatabaseFault.BUSY
    assert fault_of(caused(OperationalError, psycopg.errors.QueryCanceled())) is DatabaseFault.BUSY
    assert fault_of(caused(OperationalError, psycopg.errors.ConnectionFailure())) is DatabaseFault.AWAY
    assert fault_of(caused(InterfaceError, psycopg.InterfaceError("the connection is lost"))) is DatabaseFault.AWAY
    assert fault_of(caused(InternalError, psycopg.errors.ReadOnlySqlTransaction())) is DatabaseFault.READ_ONLY
    assert fault_of(caused(OperationalError, psycopg_pool.PoolTimeout("none free within 5 s"))) is DatabaseFault.AWAY
    assert fault_of(caused(OperationalError, psycopg.errors.DiskFull())) is None
    assert fault_of(caused(IntegrityError, psycopg.errors.UniqueViolation())) is None
    assert fault_of(OperationalError("of no driver")) is None
    assert fault_of(None) is None
    missing = sqlite3.OperationalError("no such table")
    missing.sqlite_errorcode = sqlite3.SQLITE_ERROR
    assert fault_of(caused(OperationalError, missing)) is None
