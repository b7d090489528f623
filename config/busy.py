"""What is wrong with the database, as far as the next try may find it well again: no room, out of reach, read-only."""

import enum
import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from asgiref.sync import sync_to_async
from django.db import DatabaseError, InterfaceError, OperationalError, connections

logger = logging.getLogger(__name__)


class DatabaseFault(enum.Enum):
    """What the database cannot do at this moment."""

    #: Locked for longer than we wait, or without a connection to spare; PostgreSQL cannot always be told from AWAY.
    BUSY = "has no room"
    AWAY = "is out of reach"
    READ_ONLY = "takes no changes"


# The low byte of SQLite's error code: SQLITE_BUSY, SQLITE_LOCKED; SQLITE_CANTOPEN; SQLITE_READONLY.
_SQLITE = {
    5: DatabaseFault.BUSY,
    6: DatabaseFault.BUSY,
    14: DatabaseFault.AWAY,
    8: DatabaseFault.READ_ONLY,
}
_POSTGRESQL = {
    # Too many connections, a lock not granted in time, a statement that took too long, deadlock, serialisation.
    **dict.fromkeys(("53300", "55P03", "57014", "40P01", "40001"), DatabaseFault.BUSY),
    # Shut down, crashed, starting up, and the server's time-outs of idle connections.
    **dict.fromkeys(("57P01", "57P02", "57P03", "57P05", "25P03"), DatabaseFault.AWAY),
    "25006": DatabaseFault.READ_ONLY,
}

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


@contextmanager
def if_writable() -> Iterator[None]:
    """Leave out what is written here, beside what was asked for, while the database takes no changes."""
    try:
        yield
    except DatabaseError as error:
        if fault_of(error) is not DatabaseFault.READ_ONLY:
            raise
        logger.debug("Not written: %s", " from ".join(kinds_of(error)))


def fault_of(error: BaseException | None) -> DatabaseFault | None:
    """Return what the database could not do, if the same request may well succeed in a while; None for all else.

    What it would refuse again (no such table, no more disk) is none.
    """
    return next((fault for cause in _chain(error) if (fault := _fault_of(cause))), None)


def kinds_of(error: BaseException | None) -> list[str]:
    """Return the kinds of the database's exceptions in the chain, each with PostgreSQL's code where there is one."""
    states = [(type(cause).__name__, getattr(cause, "sqlstate", None)) for cause in _chain(error)]
    return [f"{name} {state}" if state else name for name, state in states]


def _fault_of(error: BaseException) -> DatabaseFault | None:
    if not isinstance(error, DatabaseError | InterfaceError):
        return None
    of_driver: Any = error.__cause__
    code = getattr(of_driver, "sqlite_errorcode", None)
    if code is not None:
        return _SQLITE.get(code & 0xFF)
    if not hasattr(of_driver, "sqlstate"):
        return None
    state = of_driver.sqlstate
    if state is None:
        # psycopg has no state to tell where there was no connection to be told it over.
        return DatabaseFault.AWAY if isinstance(error, OperationalError | InterfaceError) else None
    return DatabaseFault.AWAY if state.startswith("08") else _POSTGRESQL.get(state)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    # Python lets a chain lead back into itself; this one is walked while a 500 is answered, and must end.
    seen = set[int]()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
