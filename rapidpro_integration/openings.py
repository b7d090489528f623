"""Every opening of a sealed token leaves an entry in the audit log, before the token is used.

The first opening of a minute by one person from one place for one purpose is written at once. Those that follow in
the same minute are counted in the process, and written as one entry with a count when the minute is over or the
process ends. So a request waits for one short write at most, and a killed process loses a count, never the fact.
"""

import atexit
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from asgiref.sync import sync_to_async
from django.db import connections, models
from django.utils.translation import gettext_lazy as _

from accounts.audit.actions import Action, Outcome
from accounts.audit.context import Source, source
from accounts.audit.services import TokenFacts, record
from config.busy import let_go

logger = logging.getLogger(__name__)

_MINUTE_S = 60


class Purpose(models.TextChoices):
    """What a token is opened for."""

    CHECK = "check", _("check of the token")
    FLOWS = "flows", _("list of flows")
    FLOW = "flow", _("one flow")
    DEFINITION = "definition", _("definition of a flow")


@dataclass(frozen=True, slots=True)
class _Token:
    """A token's facts without the sealed text."""

    pk: UUID
    owner_id: int
    label: str


@dataclass(frozen=True, slots=True)
class _Key:
    token: _Token
    purpose: str
    who: Source
    minute: int


def _in_background(delay_s: float, call: Callable[[], None]) -> None:
    timer = threading.Timer(delay_s, call)
    timer.daemon = True  # what it has not written by then is written by atexit
    timer.start()


class Openings:
    """The openings of this process whose minute is not over. Safe to use from every thread."""

    def __init__(
        self,
        clock: Callable[[], float] = time.time,
        schedule: Callable[[float, Callable[[], None]], None] = _in_background,
    ) -> None:
        self._clock = clock
        self._schedule = schedule
        self._lock = threading.Lock()
        self._counts: dict[_Key, int] = {}
        self._scheduled = False

    def note(self, token: TokenFacts, purpose: str) -> None:
        """Write the first opening of this minute, or count one more. Raises what `record` raises."""
        who = source()
        facts = _Token(token.pk, token.owner_id, token.label)
        key = _Key(facts, purpose, replace(who, reference=""), int(self._clock() // _MINUTE_S))
        with self._lock:
            is_first = key not in self._counts
            self._counts[key] = self._counts.get(key, -1) + 1
            self._schedule_flush()
        if is_first:
            try:
                record(Action.TOKEN_OPENED, token=facts, by=who, details={"purpose": purpose})
            except BaseException:
                # The next one is a first one again; those that were counted meanwhile are still written.
                with self._lock:
                    if counted := self._counts.pop(key, 0):
                        self._keep(replace(key, minute=key.minute - 1), counted)
                raise

    def flush(self, *, everything: bool = False) -> None:
        """Write what was counted in the minutes that are over, or in every one. What cannot be written is kept."""
        with self._lock:
            now = int(self._clock() // _MINUTE_S)
            due = [key for key in self._counts if everything or key.minute < now]
            counts = [(key, self._counts.pop(key)) for key in due]
        for position, (key, count) in enumerate(counts):
            try:
                if count:
                    _write_counted(key, count)
            except Exception:
                with self._lock:
                    for kept, number in counts[position:]:
                        self._keep(kept, number)
                raise

    def _keep(self, key: _Key, count: int) -> None:
        self._counts[key] = self._counts.get(key, 0) + count

    def _schedule_flush(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._schedule(_MINUTE_S - self._clock() % _MINUTE_S + 0.5, self._flush_on_time)

    def _flush_on_time(self) -> None:
        with self._lock:
            self._scheduled = False
        try:
            self.flush()
        except Exception:
            logger.exception("Counted openings of tokens could not be written to the audit log; they are kept")
        finally:
            connections.close_all()  # this thread's own
        with self._lock:
            if self._counts:
                self._schedule_flush()


def _write_counted(key: _Key, count: int) -> None:
    minute = datetime.fromtimestamp(key.minute * _MINUTE_S, UTC)
    details = {"purpose": key.purpose, "again_in_minute": f"{minute:%Y-%m-%d %H:%M} UTC"}
    record(Action.TOKEN_OPENED, token=key.token, by=key.who, count=count, details=details)


_openings = Openings()


def note_opening(token: TokenFacts, purpose: str) -> None:
    """Write down that `token` was opened for `purpose`, before it is used. Raises if that cannot be written."""
    _openings.note(token, purpose)


def note_rotation(*, key_id: str, moved: int, failed: int = 0) -> None:
    """Write down that a batch of rows was opened and sealed again under the key `key_id`; one entry for the batch."""
    record(
        Action.KEYS_ROTATED,
        count=max(1, moved),
        outcome=Outcome.FAILED if failed else Outcome.DONE,
        details={"key": key_id, "moved": moved, "failed": failed},
    )


@atexit.register
def _flush_at_exit() -> None:
    _openings.flush(everything=True)


def _note_and_let_go(token: TokenFacts, purpose: str) -> None:
    note_opening(token, purpose)
    let_go()


# What is opened is asked for next, and a server takes its time: meanwhile the database's connection is somebody else's.
anote_opening = sync_to_async(_note_and_let_go)
