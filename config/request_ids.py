"""One id for all that belongs to a request: its answer's X-Request-Id, each line of the log, pages, mails, audit log.

The id is short enough to be read out over the telephone. A proxy of ours may have given the request an id already:
that one is taken then, and people read the end of it, as their *reference*.
"""

import logging
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.conf import settings

HEADER = "X-Request-Id"
_WELL_FORMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{6,62}[A-Za-z0-9]")
_REFERENCE_LENGTH = 8

_current: ContextVar[str] = ContextVar("request_id", default="")


def current() -> str:
    """Return the id of the request that is answered now, or "" where there is none."""
    return _current.get()


def reference() -> str:
    """Return a short id that a person can read out and an administrator can find in the log.

    That of the request, in capitals; outside a request a fresh one.
    """
    letters = re.sub(r"[^A-Za-z0-9]", "", _current.get())
    return letters[-_REFERENCE_LENGTH:].upper() if len(letters) >= _REFERENCE_LENGTH else _fresh()


@contextmanager
def begun(offered: str | None, *, anew: bool = False) -> Iterator[str]:
    """Give what happens inside an id, and return it: the one there is, else the offered one, else a fresh one.

    With `anew` the one there is counts for nothing: asyncio hands the context of one request on to the next on the
    same connection (pipelined, or after a pause in reading a long body; python/cpython#140947).

    An offered one counts only behind a proxy of ours (TRUSTED_PROXY_COUNT), and if it has 8 to 64 letters, digits,
    dots, hyphens and underscores: anybody can send a header.
    """
    if (known := _current.get()) and not anew:
        yield known
        return
    is_taken = settings.TRUSTED_PROXY_COUNT > 0 and offered is not None and _WELL_FORMED.fullmatch(offered)
    taken = offered if is_taken and offered is not None else _fresh()
    before = _current.set(taken)
    try:
        yield taken
    finally:
        _current.reset(before)


def _fresh() -> str:
    return secrets.token_hex(_REFERENCE_LENGTH // 2).upper()


class RequestIdFilter(logging.Filter):
    """Puts the request's id on each record, "-" where there is none."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True: nothing is left out."""
        record.request_id = _current.get() or "-"
        return True
