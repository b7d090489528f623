"""The tests' database as a file of its own, with people, sealed tokens, second factors and an audit log in it."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from accounts.models import User
from tests.conftest import TokenMaker
from tests.processes import Site

# What the tests' own settings have: the file's rows are sealed and its log is signed with them.
KEY = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
SECRET_KEY = "tests-" + "s" * 60

type Dump = Callable[[Path], list[str]]


@pytest.fixture
def site_file(owner: User, other: User, staff: User, make_token: TokenMaker, tmp_path: Path) -> Path:
    """Return the file of a site in a folder of its own, in WAL mode as a running one leaves it."""
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL has pg_dump")
    for person in (owner, other):
        for number in range(20):
            make_token(person, secret=f"{number:040x}", label=f"{person} {number}")
    raw: Any = connection.connection
    file = tmp_path / "site" / "db.sqlite3"
    file.parent.mkdir()
    file.write_bytes(raw.serialize())
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("PRAGMA journal_mode=WAL").fetchone() == ("wal",)
    return file


@pytest.fixture
def processes(site_file: Path) -> Site:
    """Return what starts processes of that site."""
    return Site(f"sqlite:///{site_file}", SECRET_KEY=SECRET_KEY, AUDIT_KEY="")


def dump(file: Path) -> list[str]:
    """Return everything in the database, as SQL."""
    with closing(sqlite3.connect(file)) as database:
        return list(database.iterdump())


def names(folder: Path) -> set[str]:
    """Return what is in a folder, hidden files too, without SQLite's own and the lock."""
    own = ("-wal", "-shm", "-in-use")
    return {path.name for path in folder.iterdir() if not path.name.endswith(own)}
