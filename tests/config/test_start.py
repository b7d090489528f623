"""A server with a wrong key under the right id does not start, says which, and changes nothing."""

import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.processes import Site

RIGHT = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
WRONG = "k1:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="
OTHER = "k2:HxwdGhsYGRYXFBUSExARDg8MDQoLCAkGBwQFAgMAASA="
# Imported inside a running loop, as uvicorn does it.
ASGI = "import asyncio\nasync def load():\n import config.asgi\n print('serving')\nasyncio.run(load())"


@pytest.fixture(scope="module", autouse=True)
def _static_root(collected: Path) -> Iterator[None]:
    """Let each process find collected static files, without which none serves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STATIC_ROOT", str(collected))
        yield


def run(database: Path, keys: str, *command: str, debug: str = "false") -> subprocess.CompletedProcess[str]:
    return Site(f"sqlite:///{database}", DEBUG=debug).run(keys, *command)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a SQLite file with 150 tokens and 3 second factors, sealed with the right key."""
    path = tmp_path_factory.mktemp("start") / "db.sqlite3"
    for command in (["manage.py", "migrate"], ["-m", "tests.security.rotation_worker", "fill", "150"]):
        done = run(path, RIGHT, *command)
        assert done.returncode == 0, done.stderr
    return path


def content(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        return list(connection.iterdump())


def test_right_key_serves(database: Path) -> None:
    done = run(database, RIGHT, "-c", ASGI)
    assert (done.returncode, done.stdout) == (0, "serving\n"), done.stderr


@pytest.mark.parametrize("debug", ["false", "true"])
def test_wrong_key_under_the_right_id_does_not_serve_and_changes_nothing(database: Path, debug: str) -> None:
    before = content(database)
    done = run(database, WRONG, "-c", ASGI, debug=debug)
    assert done.returncode != 0
    assert done.stdout == ""
    assert "The key 'k1' is not the one that sealed under this id before; 153 rows need that one." in done.stderr
    assert "ImproperlyConfigured" in done.stderr
    assert content(database) == before


def test_serve_says_it_in_a_sentence_and_starts_nothing(database: Path) -> None:
    before = content(database)
    done = run(database, WRONG, "manage.py", "serve", "--port", "0", "--sandbox-port", "1", debug="true")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "(rapidpro_integration.E001) The key 'k1' is not the one" in done.stderr
    assert "Traceback" not in done.stderr
    assert content(database) == before


def test_check_says_the_same_and_migrate_still_runs(database: Path) -> None:
    done = run(database, WRONG, "manage.py", "check", "--deploy", "--database", "default")
    assert done.returncode == 1
    assert "(rapidpro_integration.E001) The key 'k1' is not the one" in done.stderr
    assert "153 rows" in done.stderr
    assert run(database, WRONG, "manage.py", "migrate").returncode == 0


def test_missing_key_is_a_warning_in_the_log_and_serves(database: Path) -> None:
    done = run(database, OTHER, "-c", ASGI)
    assert (done.returncode, done.stdout) == (0, "serving\n"), done.stderr
    assert "The key 'k1' is not among the keys; 153 rows need it and stay locked." in done.stderr


def test_retired_key_in_front_does_not_serve(database: Path, tmp_path: Path) -> None:
    copy = tmp_path / "db.sqlite3"
    copy.write_bytes(database.read_bytes())
    both = f"{OTHER},{RIGHT}"
    assert run(copy, both, "manage.py", "tokens", "rotate").returncode == 0
    assert run(copy, both, "manage.py", "tokens", "retire", "k1").returncode == 0
    done = run(copy, f"{RIGHT},{OTHER}", "-c", ASGI)
    assert done.returncode != 0
    assert "The key 'k1' comes first, so it would seal what is new, but it is retired" in done.stderr


@pytest.mark.parametrize("migrated", [False, True])
def test_first_start_on_an_empty_database_serves(tmp_path: Path, migrated: bool) -> None:
    path = tmp_path / "db.sqlite3"
    if migrated:
        assert run(path, RIGHT, "manage.py", "migrate").returncode == 0
    done = run(path, RIGHT, "-c", ASGI)
    assert (done.returncode, done.stdout) == (0, "serving\n"), done.stderr
