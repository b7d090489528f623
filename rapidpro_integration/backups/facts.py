"""What one SQLite file of the site holds, read with plain SQL: its schema may be older or newer than the models."""

import hmac
import json
import sqlite3
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS
from django.db.backends.sqlite3._functions import register  # type: ignore[import-untyped]
from django.db.migrations.loader import MigrationLoader

from config import in_use
from rapidpro_integration import stores, vault
from rapidpro_integration.backups import BackupRefused
from rapidpro_integration.models import KeyCanary, RapidProToken


@dataclass(frozen=True, slots=True)
class Facts:
    """Applied migrations ("app.name"), rows by table, and rows by the key that they need."""

    migrations: list[str]
    rows: dict[str, int]
    keys: dict[str, int]


def site_file() -> Path:
    """Return the SQLite file of the site. Raises BackupRefused on PostgreSQL and for a database in memory."""
    database = settings.DATABASES[DEFAULT_DB_ALIAS]
    if database["ENGINE"] == "django.db.backends.postgresql":
        raise BackupRefused(
            "This site is on PostgreSQL: use pg_dump and pg_restore, as docs/operations.md (Backup and restore) says."
        )
    file = in_use.sqlite_file(database)
    if file is None:
        raise BackupRefused("The database is in memory: there is no file.")
    return file


def connect(file: Path) -> sqlite3.Connection:
    """Return a connection to a file that is there, in autocommit. Raises sqlite3.Error."""
    database = sqlite3.connect(f"file:{quote(str(file))}?mode=rw", uri=True, isolation_level=None, timeout=20)
    # Constraints of ours call REGEXP and the like, which Django brings: without them no row can be checked.
    register(database)
    return database


def check_integrity(database: sqlite3.Connection) -> None:
    """Raise BackupRefused if the pages, indexes and constraints of a database do not hold together."""
    try:
        found = [str(row[0]) for row in database.execute("PRAGMA integrity_check(3)")]
    except sqlite3.DatabaseError as error:
        found = [str(error)]
    if found != ["ok"]:
        raise BackupRefused(f"The database is damaged: {'; '.join(found)}.")


def broken_references(database: sqlite3.Connection) -> list[str]:
    """Return the tables with rows that refer to rows that are not there."""
    return sorted({str(row[0]) for row in database.execute("PRAGMA foreign_key_check")})


def read(database: sqlite3.Connection) -> Facts:
    """Return the facts. Raises BackupRefused for a database that is not one of this site."""
    tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    needed = {"django_migrations", RapidProToken._meta.db_table, Authenticator._meta.db_table}
    if not needed <= set(tables):
        raise BackupRefused("The database holds no tables of this site: `manage.py migrate` makes them.")
    applied = database.execute("SELECT app, name FROM django_migrations")
    return Facts(
        sorted({f"{app}.{name}" for app, name in applied}),
        {table: _count(database, table) for table in tables if not table.startswith("sqlite_")},
        dict(sorted(_keys(database).items())),
    )


def _count(database: sqlite3.Connection, table: str) -> int:
    (number,) = database.execute(f'SELECT count(*) FROM "{table}"').fetchone()  # noqa: S608  # a name of the database
    return int(number)


def _keys(database: sqlite3.Connection) -> Counter[str]:
    found = Counter[str]()
    tokens = f'SELECT key_id, sealed FROM "{RapidProToken._meta.db_table}"'  # noqa: S608  # our own names
    for key_id, sealed in database.execute(tokens):
        # By column and by text, as stores counts: either may have been changed by another hand.
        found.update({key_id, vault.key_id_of(sealed)} - {""})
    factors = f'SELECT data FROM "{Authenticator._meta.db_table}" WHERE type <> ?'  # noqa: S608
    for (data,) in database.execute(factors, [Authenticator.Type.WEBAUTHN.value]):
        found.update(stores.key_ids_of(json.loads(data)) - {""})
    return found


def key_problems(database: sqlite3.Connection, keys: dict[str, int]) -> list[str]:
    """Return a sentence for each key that rows need and this site does not have, or has as another one."""
    ring = vault.ring()
    table = KeyCanary._meta.db_table
    has_canaries = database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", [table]).fetchone()
    canaries: dict[str, Any] = {}
    if has_canaries:
        canaries = dict(database.execute(f'SELECT key_id, check_value FROM "{table}"'))  # noqa: S608
    found = []
    for key_id, rows in keys.items():
        if key_id not in ring.key_ids:
            found.append(f"The key {key_id!r} is not among the keys of this site; {rows:,} rows need it.")
        elif key_id in canaries and not hmac.compare_digest(canaries[key_id], ring.check_value(key_id)):
            found.append(f"The key {key_id!r} of this site is another one than the one that {rows:,} rows need.")
    return found


def unknown_migrations(applied: list[str]) -> list[str]:
    """Return those of the applied migrations that this code does not have: the schema is ahead of it."""
    here = {f"{app}.{name}" for app, name in MigrationLoader(None, ignore_no_migrations=True).disk_migrations or ()}
    return sorted(set(applied) - here)


def waiting_migrations(applied: list[str]) -> list[str]:
    """Return the migrations of this code that are not applied."""
    here = {f"{app}.{name}" for app, name in MigrationLoader(None, ignore_no_migrations=True).graph.nodes}
    return sorted(here - set(applied))
