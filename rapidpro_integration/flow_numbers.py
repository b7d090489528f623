"""What a person would otherwise work out of a list of flows: totals, runs by state, the busiest and the idlest."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import nlargest, nsmallest
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from rapidpro_integration.client.types import Flow

TEN = 10
_NEVER = datetime.max.replace(tzinfo=UTC)
# The bar is drawn in a box of this width and height; the page scales it.
_WIDTH, _HEIGHT = 1000, 28

# State: its words, in the order in which the bar shows them.
RUN_STATES: dict[str, Promise] = {
    "completed": _("Completed"),
    "active": _("Active"),
    "waiting": _("Waiting"),
    "expired": _("Expired"),
    "interrupted": _("Interrupted"),
    "failed": _("Failed"),
}


@dataclass(frozen=True, slots=True)
class TypeTotals:
    """How many flows of one type there are."""

    type: str | None
    active: int
    archived: int

    @property
    def total(self) -> int:
        """Both together."""
        return self.active + self.archived


@dataclass(frozen=True, slots=True)
class Part:
    """The runs in one state: their number and share (0 to 1), and where the bar shows them."""

    state: str
    title: Promise
    count: int
    share: float | None
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Changes:
    """What is new or was modified after `since`, the last first, TEN of each with the whole number of them."""

    since: datetime
    new: list[Flow]
    new_count: int
    modified: list[Flow]
    modified_count: int


@dataclass(frozen=True, slots=True)
class Numbers:
    """All of it; `idlest` are flows that are not archived and have no run under way, the longest unmodified first."""

    types: list[TypeTotals]
    parts: list[Part]
    runs: int
    completion_rate: float | None
    busiest: list[Flow]
    idlest: list[Flow]
    width: int = _WIDTH
    height: int = _HEIGHT

    @property
    def active(self) -> int:
        """Flows that are not archived."""
        return sum(totals.active for totals in self.types)

    @property
    def archived(self) -> int:
        """Flows that are."""
        return sum(totals.archived for totals in self.types)


def numbers_of(flows: Sequence[Flow]) -> Numbers:
    """Return the numbers of these flows."""
    parts = _parts(flows)
    runs = sum(part.count for part in parts)
    idle = (
        flow
        for flow in flows
        if flow.modified_on is not None and not flow.archived and not flow.runs.active + flow.runs.waiting
    )
    return Numbers(
        types=_types(flows),
        parts=parts,
        runs=runs,
        completion_rate=parts[0].count / runs if runs else None,
        busiest=nlargest(TEN, (flow for flow in flows if flow.runs.total), key=lambda flow: flow.runs.total),
        idlest=nsmallest(TEN, idle, key=lambda flow: flow.modified_on or _NEVER),  # none is without
    )


def _types(flows: Iterable[Flow]) -> list[TypeTotals]:
    counts: dict[str | None, list[int]] = {}
    for flow in flows:
        counts.setdefault(flow.type or None, [0, 0])[flow.archived] += 1
    totals = [TypeTotals(kind, *pair) for kind, pair in counts.items()]
    return sorted(totals, key=lambda each: (-each.total, each.type or ""))


def _parts(flows: Sequence[Flow]) -> list[Part]:
    counts = {state: sum(getattr(flow.runs, state) for flow in flows) for state in RUN_STATES}
    runs, before, parts = sum(counts.values()), 0, []
    for state, count in counts.items():
        x, width = (_WIDTH * before / runs, _WIDTH * count / runs) if runs else (0.0, 0.0)
        parts.append(
            Part(state, RUN_STATES[state], count, count / runs if runs else None, round(x, 2), round(width, 2))
        )
        before += count
    return parts


def changes_of(flows: Iterable[Flow], since: datetime) -> Changes:
    """Return what changed after `since`. What was deleted in the meantime is not in the list, so nobody can tell."""
    rows = list(flows)
    new = [flow for flow in rows if flow.created_on is not None and flow.created_on > since]
    known = {flow.uuid for flow in new}
    modified = [
        flow for flow in rows if flow.uuid not in known and flow.modified_on is not None and flow.modified_on > since
    ]

    def last(some: list[Flow], read: Callable[[Flow], Any]) -> list[Flow]:
        return nlargest(TEN, some, key=read)

    return Changes(
        since,
        last(new, lambda flow: flow.created_on),
        len(new),
        last(modified, lambda flow: flow.modified_on),
        len(modified),
    )
