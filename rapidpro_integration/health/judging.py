"""What a check means for the token that was checked, beyond the state that it found. Pure: no database, no mail."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from django.conf import settings

from rapidpro_integration.client.types import Workspace
from rapidpro_integration.health import schedule
from rapidpro_integration.states import REFUSED, UNTOLD, TokenState

type Drift = dict[str, list[str]]
# How a drift stands among the details of an entry of the audit log: "drift_name": ["before", "now"].
DRIFT_PREFIX = "drift_"


class News(StrEnum):
    """What an owner is mailed about. The values are part of signed entries: never change one."""

    BROKEN = "broken"
    WORKS_AGAIN = "works_again"
    DRIFT = "drift"


class HealthRow(Protocol):
    """What is read of a token's row, as it was before the check."""

    pk: UUID
    state: str
    workspace_uuid: UUID | None
    workspace_name: str
    workspace_time_zone: str
    failures_in_a_row: int
    broken_since: datetime | None
    broken_told_on: datetime | None


class Found(Protocol):
    """What is read of a check's outcome (checking.CheckOutcome)."""

    @property
    def state(self) -> TokenState:
        """What it found."""

    @property
    def workspace(self) -> Workspace | None:
        """The workspace, if the token works."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The columns of the row that a check sets besides its own, what changed behind the token, and what to mail."""

    fields: dict[str, Any]
    drift: Drift | None = None
    news: list[News] = field(default_factory=list)


def told_after() -> timedelta:
    """Return for how long a token has to be out of reach before its owner is told: TOKEN_UNREACHABLE_TOLD_S."""
    return timedelta(seconds=settings.TOKEN_UNREACHABLE_TOLD_S)


def judge(row: HealthRow, found: Found, now: datetime, retry_on: datetime | None = None) -> Judgement:
    """Return what a check means for `row`.

    A refusal breaks a token at once; a failure of its server only when it has lasted. The owner hears of each once.
    """
    drift = drift_of(row, found)
    news = [News.DRIFT] if drift and drift.keys() != {"role"} else []
    if found.state in UNTOLD:
        return Judgement({"next_check_on": _next(row, found, row.failures_in_a_row, now, retry_on)}, drift, news)
    if found.state == TokenState.WORKING:
        if row.broken_told_on is not None:
            news.append(News.WORKS_AGAIN)
        fields: dict[str, Any] = {"failures_in_a_row": 0, "broken_since": None, "broken_told_on": None}
        return Judgement(fields | {"next_check_on": _next(row, found, 0, now, retry_on)}, drift, news)
    failures, since = row.failures_in_a_row + 1, row.broken_since or now
    fields = {"failures_in_a_row": failures, "broken_since": since}
    # Who was told of an outage has read that the token is in order: a refusal after that is news.
    is_refused = found.state in REFUSED and row.state not in REFUSED | UNTOLD
    if is_refused or (row.broken_told_on is None and (found.state in REFUSED or now - since >= told_after())):
        fields["broken_told_on"] = now
        news.append(News.BROKEN)
    return Judgement(fields | {"next_check_on": _next(row, found, failures, now, retry_on)}, drift, news)


def _next(row: HealthRow, found: Found, failures: int, now: datetime, retry_on: datetime | None) -> datetime:
    return schedule.next_check(row.pk, found.state, failures, now, retry_on)


def drift_of(row: HealthRow, found: Found) -> Drift | None:
    """Return what changed behind the token since it was last found working: {"name": ["before", "now"]}, or None.

    RapidPro tells no role; that the token's user lost it, or has it again, is seen by what they may do.
    """
    drift: Drift = {}
    workspace = found.workspace
    if workspace is not None and row.workspace_uuid is not None:
        pairs = {
            "workspace": (str(row.workspace_uuid), str(workspace.uuid)),
            "name": (row.workspace_name, workspace.name[:255]),
            "time_zone": (row.workspace_time_zone, workspace.timezone[:64]),
        }
        drift = {name: [before, after] for name, (before, after) in pairs.items() if before != after}
    if {row.state, found.state} == {TokenState.WORKING, TokenState.NOT_ALLOWED}:
        drift["role"] = [row.state, found.state.value]
    return drift or None
