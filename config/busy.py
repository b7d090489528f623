"""A database that has no room at this moment: locked for longer than we wait, or with no connection to spare."""

import random
from collections.abc import Iterator
from typing import Any

from asgiref.sync import sync_to_async
from django.db import OperationalError, connections

# SQLITE_BUSY and SQLITE_LOCKED, in the low byte of SQLite's error code.
_SQLITE_BUSY = {5, 6}
# PostgreSQL: too many connections, a lock not granted in time, deadlock, serialisation, starting up or shutting down.
_POSTGRESQL_BUSY = {"53300", "55P03", "40P01", "40001", "57P01", "57P03"}

# Whoever is turned away together must not come back together.
_RETRY_AFTER_S = (1, 6)


def retry_after_s() -> int:
    """Return in how many seconds to try again: another number for each."""
    return random.randint(*_RETRY_AFTER_S)  # noqa: S311  # spreads load, guards nothing


def let_go() -> None:
    """Hand this thread's connections back to their pool: a wait for another server may last, and needs none.

    Within a transaction it does nothing. Whoever queries next in this thread gets a connection again.
    """
    for connection in connections.all(initialized_only=True):
        if "pool" in connection.settings_dict["OPTIONS"] and not connection.in_atomic_block:
            connection.close()


alet_go = sync_to_async(let_go)


def is_busy(error: BaseException | None) -> bool:
    """Return whether the same request may well succeed in a moment, because the database had no room for it.

    What it would refuse again (no such table, no more disk) is not busy.
    """
    return any(_is_busy(cause) for cause in _chain(error))


def _is_busy(error: BaseException) -> bool:
    if not isinstance(error, OperationalError):
        return False
    of_driver: Any = error.__cause__
    code = getattr(of_driver, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in _SQLITE_BUSY
    # psycopg has no state to tell where there was no connection to be told it over.
    return hasattr(of_driver, "sqlstate") and (of_driver.sqlstate is None or of_driver.sqlstate in _POSTGRESQL_BUSY)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    # Python lets a chain lead back into itself; this one is walked while a 500 is answered, and must end.
    seen = set[int]()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
