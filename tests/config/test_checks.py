"""A half-made production is refused, or warned of, in a sentence for each fault: each test breaks one setting."""

import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import global_settings
from django.conf import settings as site_settings
from django.core.checks import CheckMessage, run_checks
from django.db import connection
from django.db.utils import ConnectionHandler
from pytest_django import Settings

from config import checks

ROOT = Path(site_settings.BASE_DIR)
# A production as it should be, by environment alone.
WHOLE = {
    "ENV_FILE": "",
    "DEBUG": "false",
    "SECRET_KEY": "whole-production-" + "0123456789abcdef" * 4,
    "TOKEN_KEYS": "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    "ALLOWED_HOSTS": "console.example",
    "DATABASE_URL": "postgres://console:hunter2-hunter2@db.example/console",
    "CACHE_URL": "rediscache://cache.example:6379/0",
    "WEB_CONCURRENCY": "2",
    "HTTPS": "true",
    "TRUST_X_FORWARDED_PROTO": "true",
    "TRUSTED_PROXY_COUNT": "1",
    "EMAIL_URL": "smtp+tls://console:hunter2-hunter2@mail.example:587",
    "DEFAULT_FROM_EMAIL": "Console <console@console.example>",
    "AUDIT_KEY": "0123456789abcdef" * 3,
    "METRICS_ADDRESSES": "10.0.0.0/8",
}
# What the checks look at.
READ = (
    "DEBUG",
    "ALLOWED_HOSTS",
    "CSRF_TRUSTED_ORIGINS",
    "SECURE_SSL_REDIRECT",
    "SECURE_PROXY_SSL_HEADER",
    "TRUSTED_PROXY_COUNT",
    "WEB_CONCURRENCY",
    "CACHES",
    "STORAGES",
    "STATIC_ROOT",
    "MAILERS",
    "DEFAULT_FROM_EMAIL",
    "AUDIT_KEY",
    "METRICS_ADDRESSES",
)

type Find = Callable[..., list[CheckMessage]]


@pytest.fixture
def find(settings: Settings, monkeypatch: pytest.MonkeyPatch, collected: Path) -> Find:
    """Return what the checks of a production find where some of a whole one's environment is different."""

    def find(**broken: str) -> list[CheckMessage]:
        for name, value in (WHOLE | {"STATIC_ROOT": str(collected)} | broken).items():
            monkeypatch.setenv(name, value)
        read = runpy.run_path(str(ROOT / "config" / "settings.py"))
        for name in READ:
            setattr(settings, name, read.get(name, getattr(global_settings, name, None)))
        monkeypatch.setattr(checks, "connection", ConnectionHandler(read["DATABASES"])["default"])
        return run_checks(tags=[checks.PRODUCTION], include_deployment_checks=True)

    # Whether this machine is itself a container is no matter of these tests.
    monkeypatch.setattr(checks, "CONTAINER_MARKS", ())
    return find


def test_nothing_is_wrong_with_a_whole_one(find: Find) -> None:
    assert find() == []
    assert find(CSRF_TRUSTED_ORIGINS="https://forms.example", EMAIL_URL="smtps://u:p@mail.example:465") == []


def test_nothing_is_looked_at_on_a_computer_of_ones_own(find: Find) -> None:
    local = {"ALLOWED_HOSTS": "127.0.0.1", "EMAIL_URL": "consolemail://", "AUDIT_KEY": "", "STATIC_ROOT": "/no/such"}
    assert find(DEBUG="true", CACHE_URL="locmemcache://x", **local) == []


@pytest.mark.parametrize(
    ("broken", "id_", "words"),
    [
        ({"ALLOWED_HOSTS": ""}, "E001", "ALLOWED_HOSTS is empty"),
        ({"ALLOWED_HOSTS": "console.example,*"}, "E002", "ALLOWED_HOSTS has a *"),
        ({"HTTPS": "false"}, "E003", "passwords and sessions of console.example would travel in clear"),
        ({"HTTPS": "false", "ALLOWED_HOSTS": "127.0.0.1,10.0.0.7"}, "E003", "sessions of 10.0.0.7 would"),
        ({"TRUST_X_FORWARDED_PROTO": "false"}, "E004", "each page would lead to itself forever"),
        ({"TRUSTED_PROXY_COUNT": "0"}, "E005", "TRUSTED_PROXY_COUNT is 0 behind a proxy"),
        ({"CSRF_TRUSTED_ORIGINS": "http://console.example"}, "W006", "http://console.example"),
        ({"DATABASE_URL": "sqlite://:memory:", "WEB_CONCURRENCY": "1"}, "E007", "a database in memory"),
        ({"DATABASE_URL": "sqlite:////no/such/db.sqlite3", "WEB_CONCURRENCY": "1"}, "E008", "/no/such/db.sqlite3"),
        ({"DATABASE_URL": f"sqlite:///{ROOT}/db.sqlite3"}, "W010", "2 web processes share an SQLite file"),
        ({"CACHE_URL": "dummycache://"}, "E011", "CACHE_URL keeps nothing"),
        ({"CACHE_URL": "locmemcache://x"}, "E012", "2 web processes have a cache each"),
        ({"STATIC_ROOT": "/no/such"}, "E013", "/no/such) has no collected files"),
        ({"EMAIL_URL": "consolemail://"}, "E015", "EMAIL_URL prints mails into the log"),
        ({"EMAIL_URL": "dummymail://"}, "W016", "EMAIL_URL sends no mail"),
        ({"DEFAULT_FROM_EMAIL": "Console <console@localhost>"}, "W017", "console@localhost"),
        ({"AUDIT_KEY": ""}, "W018", "AUDIT_KEY is missing"),
        ({"METRICS_ADDRESSES": "10.0.0.0/8,0.0.0.0/0"}, "W019", "METRICS_ADDRESSES has 0.0.0.0/0: everybody"),
    ],
    ids=lambda value: value if isinstance(value, str) and value[1:].isdigit() else "",
)
def test_each_fault_is_one_sentence_with_what_to_do(find: Find, broken: dict[str, str], id_: str, words: str) -> None:
    (message,) = find(**broken)
    assert message.id == f"config.{id_}"
    assert message.is_serious() is id_.startswith("E")
    assert words in message.msg
    assert message.hint
    assert "hunter2" not in str(message)


def test_one_process_may_have_a_cache_and_a_file_of_its_own(find: Find, tmp_path: Path) -> None:
    alone = {"WEB_CONCURRENCY": "1", "CACHE_URL": "locmemcache://x", "DATABASE_URL": f"sqlite:///{tmp_path}/db"}
    assert find(**alone) == []


def test_database_file_that_cannot_be_written_is_told(
    find: Find, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "db.sqlite3"
    file.touch()
    # Root may write everywhere, so that no mode would keep this test out.
    monkeypatch.setattr(checks.os, "access", lambda path, mode: path != file)
    (message,) = find(DATABASE_URL=f"sqlite:///{file}", WEB_CONCURRENCY="1")
    assert (message.id, str(file) in message.msg) == ("config.E008", True)


def test_database_file_inside_a_container_is_told(find: Find, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "CONTAINER_MARKS", (str(tmp_path),))
    monkeypatch.setattr(checks, "_is_mounted", lambda folder: folder != tmp_path)
    alone = {"WEB_CONCURRENCY": "1", "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3"}
    assert [message.id for message in find(**alone)] == ["config.W009"]
    monkeypatch.setattr(checks, "_is_mounted", lambda folder: True)
    assert find(**alone) == []


def test_static_files_of_another_version_are_told(find: Find, collected: Path, tmp_path: Path) -> None:
    copy = tmp_path / "static"
    (copy / "css").mkdir(parents=True)
    (copy / "staticfiles.json").write_bytes((collected / "staticfiles.json").read_bytes())
    assert find(STATIC_ROOT=str(copy)) == []
    (copy / "css" / "site.css").write_text("body { color: red }")
    (message,) = find(STATIC_ROOT=str(copy))
    assert (message.id, message.msg.endswith("another version of the site: css/site.css.")) == ("config.E014", True)
    manifest = (collected / "staticfiles.json").read_text().replace('"js/picture.js"', '"js/of-another.js"')
    (copy / "staticfiles.json").write_text(manifest)
    (message,) = find(STATIC_ROOT=str(copy))
    assert "js/picture.js" in message.msg


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no connections to run out of")
def test_more_connections_than_postgresql_gives_are_told(db: None, settings: Settings) -> None:
    assert checks.connections_suffice(databases=["default"]) == []
    assert checks.connections_suffice(databases=None) == []
    settings.WEB_CONCURRENCY = 1_000
    (message,) = checks.connections_suffice(databases=["default"])
    assert (message.id, message.is_serious()) == ("config.E020", True)
    assert "1000 web processes, a worker and a scheduler may hold 20040 connections" in message.msg


# --- By the commands ------------------------------------------------------------------------------


def run(*command: str, **broken: Any) -> subprocess.CompletedProcess[str]:
    """Return what a command of a whole production did, but for what is broken."""
    environment = os.environ | WHOLE | {"DJANGO_SETTINGS_MODULE": "config.settings"} | broken
    return subprocess.run(
        [sys.executable, *command], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120
    )


def test_check_and_the_server_refuse_it_with_a_sentence_each(collected: Path, tmp_path: Path) -> None:
    whole = run("manage.py", "check", "--deploy", "--fail-level", "WARNING", STATIC_ROOT=str(collected))
    assert whole.returncode == 0, whole.stderr
    half = {"ALLOWED_HOSTS": "", "CACHE_URL": "dummycache://", "TRUST_X_FORWARDED_PROTO": "false"}
    half |= {"STATIC_ROOT": str(collected), "DATABASE_URL": f"sqlite:///{tmp_path}/db"}
    for command in (["manage.py", "check", "--deploy"], ["manage.py", "web"], ["-c", "import config.asgi"]):
        done = run(*command, **half)
        assert done.returncode == 1
        for words in ("E001) ALLOWED_HOSTS is empty", "E004) HTTPS is true", "E011) CACHE_URL keeps nothing"):
            assert f"(config.{words}" in done.stderr
        assert ("Traceback" in done.stderr) is (command[0] == "-c")
