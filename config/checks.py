"""The system checks of a production: what would be a half-made one is told in a sentence, with what to do.

Run by `check --deploy`, by `manage.py web` and by every ASGI start, which errors refuse. With DEBUG, which is for one
computer alone, they find nothing.
"""

import filecmp
import os
from collections.abc import Callable, Iterator, Sequence
from email.utils import parseaddr
from ipaddress import ip_address
from pathlib import Path
from typing import Any, cast

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.contrib.staticfiles.storage import ManifestFilesMixin, staticfiles_storage
from django.core import checks
from django.db import DEFAULT_DB_ALIAS, connection
from django.db.utils import DatabaseError

PRODUCTION = "production"
# What has a pool of connections beside the web processes of a machine: a worker and a scheduler.
OTHER_PROCESSES = 2

# Files that are there in containers alone.
CONTAINER_MARKS = ("/.dockerenv", "/run/.containerenv")

type Finder = Callable[[], Iterator[checks.CheckMessage]]


def _error(number: int, sentence: str, hint: str) -> checks.CheckMessage:
    return checks.Error(sentence, hint=hint, id=f"config.E{number:03}")


def _warning(number: int, sentence: str, hint: str) -> checks.CheckMessage:
    return checks.Warning(sentence, hint=hint, id=f"config.W{number:03}")


def _registered(find: Finder) -> Finder:
    def check(app_configs: object, **kwargs: Any) -> list[checks.CheckMessage]:
        return [] if settings.DEBUG else list(find())

    checks.register(check, PRODUCTION, deploy=True)
    return find


def _is_of_this_machine(host: str) -> bool:
    name = host.strip("[]")
    # Django's test client calls its host testserver.
    if name in {"localhost", "testserver"} or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


@_registered
def names() -> Iterator[checks.CheckMessage]:
    """Yield what is wrong with the names of the site."""
    hosts = settings.ALLOWED_HOSTS
    if not hosts:
        yield _error(1, "ALLOWED_HOSTS is empty: each page would be a 400.", "Name the host that people type.")
    if "*" in hosts:
        yield _error(
            2,
            "ALLOWED_HOSTS has a *: whoever asks by another name gets that name into the links of mails.",
            "Name the hosts that people type.",
        )
    if plain := [origin for origin in settings.CSRF_TRUSTED_ORIGINS if not origin.startswith("https://")]:
        yield _warning(
            6,
            f"CSRF_TRUSTED_ORIGINS takes forms from pages that anybody on the way can change: {', '.join(plain)}.",
            "Name origins of https alone; with a proxy that passes the Host on, none is needed.",
        )


@_registered
def encryption() -> Iterator[checks.CheckMessage]:
    """Yield what is wrong on the way between people and the site."""
    if not settings.SECURE_SSL_REDIRECT:
        if public := [host for host in settings.ALLOWED_HOSTS if not _is_of_this_machine(host)]:
            yield _error(
                3,
                f"HTTPS is false, and passwords and sessions of {', '.join(public)} would travel in clear.",
                "Put a proxy with TLS before the site and set HTTPS=true.",
            )
        return
    if settings.SECURE_PROXY_SSL_HEADER is None:
        yield _error(
            4,
            "HTTPS is true and TRUST_X_FORWARDED_PROTO is not: behind a proxy each page would lead to itself forever.",
            "Set TRUST_X_FORWARDED_PROTO=true if the proxy sets X-Forwarded-Proto itself, as Caddy does.",
        )
    elif settings.TRUSTED_PROXY_COUNT < 1:
        yield _error(
            5,
            "TRUSTED_PROXY_COUNT is 0 behind a proxy: all people would share its address, and its rate limits.",
            "Set TRUSTED_PROXY_COUNT to the number of your proxies that add to X-Forwarded-For; mostly 1.",
        )


@_registered
def database_file() -> Iterator[checks.CheckMessage]:
    """Yield what is wrong with an SQLite file."""
    if connection.vendor != "sqlite":
        return
    name, postgres = str(connection.settings_dict["NAME"]), "Set DATABASE_URL=postgres://…, or the path of a file."
    if ":memory:" in name or "mode=memory" in name:
        yield _error(7, "DATABASE_URL is a database in memory: all is lost when the process ends.", postgres)
        return
    file = Path(name).absolute()
    if not _is_writable(file.parent) or (file.exists() and not _is_writable(file)):
        yield _error(
            8,
            f"The database {file} cannot be written here: SQLite needs its folder too.",
            "Give the service's user a folder, or the container a volume, and set DATABASE_URL to a file in it.",
        )
    elif _is_in_a_container() and not _is_mounted(file.parent):
        yield _warning(9, f"The database {file} is inside the container, and is lost with it.", "Put it on a volume.")
    if settings.WEB_CONCURRENCY > 1:
        yield _warning(
            10,
            f"{settings.WEB_CONCURRENCY} web processes share an SQLite file, which one of them can write at a time.",
            "Set DATABASE_URL=postgres://…, or WEB_CONCURRENCY=1.",
        )


def _is_writable(path: Path) -> bool:
    return os.access(path, os.W_OK)


def _is_in_a_container() -> bool:
    return any(Path(mark).exists() for mark in CONTAINER_MARKS)


def _is_mounted(folder: Path) -> bool:
    return folder.stat().st_dev != Path("/").stat().st_dev


@_registered
def cache() -> Iterator[checks.CheckMessage]:
    """Yield what is wrong with where tries are counted and used codes remembered."""
    backend = settings.CACHES["default"]["BACKEND"]
    if backend.endswith("DummyCache"):
        yield _error(
            11,
            "CACHE_URL keeps nothing: no try of a password would be counted.",
            "Set CACHE_URL=rediscache://host:6379/0, or leave it away for one process.",
        )
    elif backend.endswith("LocMemCache") and settings.WEB_CONCURRENCY > 1:
        yield _error(
            12,
            f"{settings.WEB_CONCURRENCY} web processes have a cache each: tries of passwords would count in one alone, "
            "and a code of a second factor would be good once in each.",
            "Set CACHE_URL=rediscache://host:6379/0, or WEB_CONCURRENCY=1.",
        )


@_registered
def static_files() -> Iterator[checks.CheckMessage]:
    """Yield what is wrong with the collected static files."""
    if not isinstance(staticfiles_storage, ManifestFilesMixin):
        return
    storage = cast("ManifestFilesMixin", staticfiles_storage)
    collect = "Run `manage.py collectstatic --noinput` with the settings of the site."
    names, _digest = storage.load_manifest()
    if not names:
        yield _error(
            13, f"STATIC_ROOT ({settings.STATIC_ROOT}) has no collected files: each page would be a 500.", collect
        )
        return
    if old := [path for path, source in _sources() if _is_old(path, source, names)]:
        named = ", ".join(sorted(old)[:3]) + (" and others" if len(old) > 3 else "")
        yield _error(14, f"STATIC_ROOT ({settings.STATIC_ROOT}) is of another version of the site: {named}.", collect)


def _sources() -> Iterator[tuple[str, Path]]:
    for finder in get_finders():
        for path, storage in finder.list(["CVS", ".*", "*~"]):
            yield path, Path(storage.path(path))


def _is_old(path: str, source: Path, names: dict[str, str]) -> bool:
    copy = Path(settings.STATIC_ROOT) / path
    return path not in names or (copy.exists() and not filecmp.cmp(source, copy, shallow=False))


@_registered
def mail() -> Iterator[checks.CheckMessage]:
    """Yield what keeps mails from people."""
    backend = settings.MAILERS["default"]["BACKEND"]
    smtp = "Set EMAIL_URL=smtp+tls://user:password@host:587."
    if backend.endswith("console.EmailBackend"):
        yield _error(
            15, "EMAIL_URL prints mails into the log, with links that open accounts, and nobody gets them.", smtp
        )
    elif not backend.endswith("smtp.EmailBackend") and backend.startswith("django.core.mail."):
        yield _warning(16, "EMAIL_URL sends no mail: nobody can confirm an address or reset a password.", smtp)
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]
    if not domain or _is_of_this_machine(domain):
        yield _warning(
            17,
            f"DEFAULT_FROM_EMAIL is {settings.DEFAULT_FROM_EMAIL}: mail servers take nothing from there.",
            "Set it to an address of your domain, as Console <console@example.org>.",
        )


@_registered
def keys() -> Iterator[checks.CheckMessage]:
    """Yield what is wrong with who may read and sign."""
    if not settings.AUDIT_KEY:
        yield _warning(
            18,
            "AUDIT_KEY is missing: the audit log is signed by SECRET_KEY, and a new SECRET_KEY would break the chain.",
            "Set AUDIT_KEY to 48 random letters; the old entries stay good while SECRET_KEY stays.",
        )
    if wide := [str(network) for network in settings.METRICS_ADDRESSES if network.prefixlen == 0]:
        yield _warning(
            19,
            f"METRICS_ADDRESSES has {', '.join(wide)}: everybody may read /metrics.",
            "Name the networks of your Prometheus, or set METRICS_KEY instead.",
        )


@checks.register(checks.Tags.database, deploy=True)
def connections_suffice(databases: Sequence[str] | None = None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Report pools that could hold more connections than PostgreSQL gives."""
    if settings.DEBUG or DEFAULT_DB_ALIAS not in (databases or ()) or connection.vendor != "postgresql":
        return []
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT current_setting('max_connections')::int"
                " - current_setting('superuser_reserved_connections')::int"
            )
            room = int(cursor.fetchone()[0])
    except DatabaseError:
        # It is gone or refuses: /readyz says so, and the site starts when it is back.
        return []
    size = settings.DATABASES["default"]["OPTIONS"]["pool"]["max_size"]
    processes = settings.WEB_CONCURRENCY + OTHER_PROCESSES
    if processes * size <= room:
        return []
    return [
        _error(
            20,
            f"{settings.WEB_CONCURRENCY} web processes, a worker and a scheduler may hold {processes * size} "
            f"connections (DATABASE_POOL_SIZE={size} each), and PostgreSQL has room for {room}.",
            f"Set DATABASE_POOL_SIZE to at most {max(1, room // processes)}, or raise PostgreSQL's max_connections.",
        )
    ]
