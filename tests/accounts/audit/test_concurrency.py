"""Many processes with many threads write at once into a real database: one chain, without a fork or a gap."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings
from django.db import connection, connections

from accounts.audit.models import AuditEntry
from accounts.audit.verification import verify

PROCESSES, THREADS, ENTRIES = 4, 6, 10


def run(url: str, *command: str) -> subprocess.Popen[str]:
    environment = os.environ | {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    return subprocess.Popen(
        [sys.executable, *command], env=environment, cwd=settings.BASE_DIR, stdout=subprocess.PIPE, text=True
    )


@pytest.fixture
def database(tmp_path: Path, db: None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return the address of a fresh database of the vendor under test, and Django's settings for it."""
    given = connection.settings_dict
    if connection.vendor == "sqlite":
        file = tmp_path / "race.sqlite3"
        options = {"transaction_mode": "IMMEDIATE", "timeout": 20}
        yield f"sqlite:///{file}", given | {"NAME": str(file), "OPTIONS": options}
        return
    import psycopg

    name = f"audit_race_{os.getpid()}"
    user, password = quote(given["USER"]), quote(given["PASSWORD"] or "")
    place = f"postgres://{user}:{password}@{given['HOST']}:{given['PORT'] or 5432}"
    with psycopg.connect(f"{place}/postgres", autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        try:
            yield f"{place}/{name}", given | {"NAME": name}
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_writers_at_once_make_one_chain(database: tuple[str, dict[str, Any]], django_db_blocker: Any) -> None:
    url, configuration = database
    assert run(url, "manage.py", "migrate", "--verbosity", "0").communicate(timeout=120)[0] == ""
    arguments = ("-m", "tests.accounts.audit.writers", str(THREADS), str(ENTRIES))
    writers = [run(url, *arguments) for _ in range(PROCESSES)]
    told = [writer.communicate(timeout=120)[0] for writer in writers]
    assert told == [str(THREADS * ENTRIES)] * PROCESSES
    connections.databases["race"] = configuration
    try:
        with django_db_blocker.unblock():
            verdict = verify(using="race")
            last = AuditEntry.objects.using("race").order_by("number").last()
    finally:
        connections["race"].close()
        del connections["race"], connections.databases["race"]
    assert verdict.broken == ""
    assert verdict.entries == PROCESSES * THREADS * ENTRIES
    assert last is not None
    assert last.number == verdict.entries
