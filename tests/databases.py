"""A database of its own for tests of several processes: an SQLite file, or one on the PostgreSQL under test."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.db import connection, connections


@dataclass(frozen=True)
class RealDatabase:
    """A migrated database with its address, and Django's settings for it."""

    url: str
    configuration: dict[str, Any]
    blocker: Any

    def run(self, *command: str) -> subprocess.Popen[str]:
        """Start Python with these arguments on the database."""
        environment = os.environ | {"DATABASE_URL": self.url, "DJANGO_SETTINGS_MODULE": "tests.settings"}
        return subprocess.Popen(
            [sys.executable, *command], env=environment, cwd=settings.BASE_DIR, stdout=subprocess.PIPE, text=True
        )

    @contextmanager
    def connected(self) -> Iterator[str]:
        """Let this process look into the database, under the alias that is given."""
        connections.databases["real"] = self.configuration
        try:
            with self.blocker.unblock():
                yield "real"
        finally:
            connections["real"].close()
            del connections["real"], connections.databases["real"]


@contextmanager
def database(folder: Path, blocker: Any) -> Iterator[RealDatabase]:
    """Make the database and migrate it; drop it afterwards."""
    given = connection.settings_dict
    if connection.vendor == "sqlite":
        file = folder / "real.sqlite3"
        options = {"transaction_mode": "IMMEDIATE", "timeout": 20}
        yield _migrated(RealDatabase(f"sqlite:///{file}", given | {"NAME": str(file), "OPTIONS": options}, blocker))
        return
    import psycopg

    name = f"real_{os.getpid()}"
    user, password = quote(given["USER"]), quote(given["PASSWORD"] or "")
    place = f"postgres://{user}:{password}@{given['HOST']}:{given['PORT'] or 5432}"
    with psycopg.connect(f"{place}/postgres", autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        try:
            yield _migrated(RealDatabase(f"{place}/{name}", given | {"NAME": name}, blocker))
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _migrated(made: RealDatabase) -> RealDatabase:
    told, _ = made.run("manage.py", "migrate", "--verbosity", "0").communicate(timeout=120)
    assert told == ""
    return made
