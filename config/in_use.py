"""Who has the SQLite file of the site open for good: servers and workers, for as long as they live.

SQLite knows of open connections alone, and an idle server has none. So each process that serves holds a shared lock
on an empty file beside the database, which the kernel gives back however the process ends; whoever puts another
database in the place of the file takes it alone. On PostgreSQL there is nothing to hold.
"""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

logger = logging.getLogger(__name__)

# Open until the process ends: closing it gives the lock back.
_held: list[int] = []


class InUse(Exception):
    """Another process serves with this database."""


def sqlite_file(database: dict[str, Any]) -> Path | None:
    """Return the file of a database of the settings; None where it is PostgreSQL's or in memory."""
    name = str(database["NAME"])
    if database["ENGINE"] != "django.db.backends.sqlite3" or ":memory:" in name or name.startswith("file:"):
        return None
    return Path(name).absolute()


def lock_file(file: Path) -> Path:
    """Return the file beside the database on which the locks are."""
    return file.with_name(f"{file.name}-in-use")


def hold(database: dict[str, Any]) -> None:
    """Say, until this process ends, that it works on the database. Raises ImproperlyConfigured during a restore."""
    file = sqlite_file(database)
    if file is None or _held:
        return
    try:
        descriptor = _open(file)
    except OSError as error:
        # A folder that cannot be written to: the site may serve, and cannot be restored there either.
        logger.warning("%s cannot be locked (%s).", lock_file(file), error.strerror)
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise ImproperlyConfigured(f"{file} is just being restored: start this when that has ended.") from None
    _held.append(descriptor)


@contextmanager
def alone(file: Path) -> Iterator[None]:
    """Keep every server and worker away from the database inside. Raises InUse, OSError."""
    descriptor = _open(file)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUse from None
        yield
    finally:
        os.close(descriptor)


def _open(file: Path) -> int:
    # To be read by all: whoever restores may be another user than the one that serves.
    return os.open(lock_file(file), os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
