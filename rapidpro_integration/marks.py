"""What stands in the cache beside a list of flows, under the list's name, so that all processes know the same of it.

`lock`: who reads it. `progress`: how far that is. `looked`: that somebody is watching. `stopped`: that somebody did not
want to wait. `problem`: why the list is not a newer one. Each runs out, so that a killed process leaves nothing behind.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from django.conf import settings
from django.core.cache import cache

from rapidpro_integration.client.errors import Kind

type Name = Literal["lock", "looked", "problem", "progress", "stopped"]

# A living reader renews its lock and its progress long before.
LOCK_S = 30
# How long a list goes on after nobody looks any more.
UNATTENDED_S = 60.0
# While a list is there to be shown, a server that has just failed is not asked for every page that somebody opens.
REST_S = 30


@dataclass(frozen=True, slots=True)
class Progress:
    """So many flows came; about so many are expected, 0 if nobody knows."""

    rows_count: int
    expected_count: int = 0

    @property
    def can_be_measured(self) -> bool:
        """Whether it is known how much is missing."""
        return self.rows_count < self.expected_count


@dataclass(frozen=True, slots=True)
class Marks:
    """All marks of one list; `reference` is that of the problem in the log, `lock` names who holds it."""

    problem: Kind | None = None
    reference: str = ""
    progress: Progress | None = None
    is_watched: bool = False
    is_stopped: bool = False
    lock: str = ""


async def aread(key: str) -> Marks:
    """Return what stands beside the list of that name."""
    names: Iterable[Name] = ("lock", "looked", "problem", "progress", "stopped")
    found = await cache.aget_many([f"{key}:{name}" for name in names])
    kind, _, reference = str(found.get(f"{key}:problem", "")).partition(" ")
    if kind not in Kind:
        kind = ""  # another version's word for it
    progress = found.get(f"{key}:progress")
    return Marks(
        Kind(kind) if kind else None,
        reference,
        Progress(*progress) if progress else None,
        f"{key}:looked" in found,
        f"{key}:stopped" in found,
        str(found.get(f"{key}:lock", "")),
    )


async def anote_progress(key: str, progress: Progress) -> None:
    """Say how far the list is."""
    await cache.aset(f"{key}:progress", (progress.rows_count, progress.expected_count), LOCK_S)


async def anote_look(key: str) -> None:
    """Say that somebody is watching."""
    await cache.aset(f"{key}:looked", 1, UNATTENDED_S)


async def anote_stop(key: str) -> None:
    """Ask whoever reads the list to stop; nobody begins anew by himself as long as a list is fresh."""
    await cache.aset(f"{key}:stopped", 1, settings.FLOWS_FRESH_S)


async def anote_problem(key: str, kind: Kind, reference: str, retry_after_s: int | None) -> None:
    """Say why the list is not a newer one, and leave its server alone for a while."""
    await cache.aset(f"{key}:problem", f"{kind} {reference}", min(REST_S, retry_after_s or REST_S))


async def aerase(key: str, *names: Name) -> None:
    """Take marks away."""
    await cache.adelete_many([f"{key}:{name}" for name in names])


async def atake_lock(key: str, holder: str) -> bool:
    """Return whether `holder` may read the list now; nobody else may until it gives the lock back, or runs out."""
    return await cache.aadd(f"{key}:lock", holder, LOCK_S)


async def arenew_lock(key: str) -> None:
    """Keep the lock that one holds for longer."""
    await cache.atouch(f"{key}:lock", LOCK_S)


async def agive_lock_back(key: str, holder: str) -> None:
    """Let others read. It ran out meanwhile, if another one holds it now."""
    if await cache.aget(f"{key}:lock") == holder:
        await cache.adelete(f"{key}:lock")
