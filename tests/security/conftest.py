"""A database of its own for the processes of a security test, and other keys."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from django.db import connection
from psycopg import sql
from pytest_django import Settings

from tests.rapidpro_integration.conftest import use_keys as use_keys

NAME = "rapidpro_security_test"


@pytest.fixture(autouse=True)
def _no_kept_lists(settings: Settings) -> None:
    """Have every look at a list be a request: what is tested here is what goes out."""
    settings.FLOWS_FRESH_S = settings.FLOWS_KEPT_S = 0


@pytest.fixture
def database_url(tmp_path: Path, db: None) -> Iterator[str]:
    """Return the URL of an empty database of the kind that the suite runs on: a SQLite file or one on PostgreSQL."""
    if connection.vendor == "sqlite":
        yield f"sqlite:///{tmp_path / 'security.sqlite3'}"
        return
    server = {name.lower(): connection.settings_dict[name] for name in ("HOST", "PORT", "USER", "PASSWORD")}
    given = {name: value for name, value in server.items() if value}
    with psycopg.connect(dbname="postgres", autocommit=True, **given) as admin:
        name = f"{NAME}_{connection.settings_dict['NAME']}"
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        admin.execute(drop)
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        login = quote(str(given.get("user", "")), safe="")
        password = f":{quote(str(given['password']), safe='')}" if "password" in given else ""
        yield f"postgres://{login}{password}@{given.get('host', '')}:{given.get('port', 5432)}/{name}"
        admin.execute(drop)
