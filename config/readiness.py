"""Whether this process can serve: its parts, each looked at in a thread of its own and never waited for long."""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from django.core.cache import cache
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from config.asides import Aside

logger = logging.getLogger(__name__)

#: How long a part may take, and how long what it said is believed: somebody may ask a thousand times a second.
LIMIT_S = 0.8
KEPT_S = 1.0
_LOG_EVERY_S = 60.0

OK, FAILED, TIMED_OUT = "ok", "failed", "timed out"


class NotReady(Exception):
    """A part is not as it should be. The message goes into the log, and nowhere else."""


@dataclass(frozen=True, slots=True)
class Part:
    """A name that anybody may read, and a check that raises whatever it likes if something is wrong.

    Of a part that is not `needed` the answer tells too, and the process serves without it.
    """

    name: str
    check: Callable[[], None]
    needed: bool = True


class Readiness:
    """The parts of a process and what they last said. Safe between threads and loops. `clock` is in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._parts: dict[str, tuple[Part, Aside[str]]] = {}
        self._log_after: dict[str, float] = {}

    def register(self, part: Part) -> None:
        """Ask this part too, from now on; it takes the place of one with the same name."""
        aside = Aside(lambda: self._look(part), limit_s=LIMIT_S, kept_s=KEPT_S, clock=self._clock)
        self._parts[part.name] = (part, aside)

    def forget(self) -> None:
        """Believe nothing that was said so far."""
        for _, aside in self._parts.values():
            aside.forget()

    async def alook(self) -> tuple[bool, dict[str, str]]:
        """Return whether all needed parts are well, and what each part says: OK, FAILED or TIMED_OUT."""
        asked = list(self._parts.values())
        words = await asyncio.gather(*[self._word(part, aside) for part, aside in asked])
        told = {part.name: word for (part, _), word in zip(asked, words, strict=True)}
        return all(told[part.name] == OK for part, _ in asked if part.needed), told

    async def _word(self, part: Part, aside: Aside[str]) -> str:
        try:
            return await aside.ask()
        except TimeoutError:
            self._say(part, "takes too long")
            return TIMED_OUT

    def _look(self, part: Part) -> str:
        try:
            part.check()
        except NotReady as reason:
            self._say(part, str(reason))
        except Exception as error:  # noqa: BLE001  # whatever it is, the part is not ready
            # The words of a driver can hold an address with a password.
            self._say(part, type(error).__name__)
        else:
            return OK
        return FAILED

    def _say(self, part: Part, reason: str) -> None:
        """Log why a part is not well, once a minute."""
        now = self._clock()
        if now >= self._log_after.get(part.name, now):
            self._log_after[part.name] = now + _LOG_EVERY_S
            logger.error("Not ready: %s (%s).", part.name, reason)


#: Of this process.
readiness = Readiness()


def check_database() -> None:
    """Ask the database for something."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchone()


def check_cache() -> None:
    """Put something into the cache and get it back."""
    value = secrets.token_hex(8)
    cache.set("readiness", value, 10)
    # What another process put there meanwhile is as good; what a Redis that is gone is replaced by is not.
    if cache.get("readiness") is None or not getattr(cache, "is_shared", lambda: True)():
        raise NotReady("what was put there is not there")


class MigrationsApplied:
    """Sees whether a migration waits to be applied; once none does, none will, as long as this code runs."""

    def __init__(self) -> None:
        self._are_applied = False

    def __call__(self) -> None:
        """Look. Raises NotReady."""
        if self._are_applied:
            return
        executor = MigrationExecutor(connection)
        if waiting := executor.migration_plan(executor.loader.graph.leaf_nodes()):
            raise NotReady(f"{len(waiting)} migrations wait to be applied")
        self._are_applied = True


readiness.register(Part("database", check_database))
readiness.register(Part("migrations", MigrationsApplied()))
# Without a shared cache each process counts and keeps for itself.
readiness.register(Part("cache", check_cache, needed=False))
