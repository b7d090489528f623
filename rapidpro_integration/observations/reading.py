"""What the staff's pages and the metrics ask of the hourly rows. For staff alone: the rows know no owner.

`start` and `end` are rounded outwards to whole hours of UTC. Each call is one query, but for `workspace_budgets`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from asgiref.sync import sync_to_async
from django.db.models import (
    Case,
    ExpressionWrapper,
    F,
    FloatField,
    Manager,
    Max,
    Model,
    QuerySet,
    Sum,
    When,
)
from django.db.models.functions import TruncDay

from rapidpro_integration.observations.histogram import percentile_ms
from rapidpro_integration.observations.models import ServerHour, TokenStateHour, WorkspaceHour
from rapidpro_integration.observations.writing import DURATIONS, OUTCOMES

#: Requests that RapidPro gives each workspace in any 3,600 s, over all its tokens. Source: ../shared/rapidpro-api.md.
HOURLY_BUDGET = 3_600
#: How a request can end that is the server's failure; the others are answers, or say something of the token.
FAILURES = ("server_error", "unreachable", "timed_out", "tls", "not_rapidpro", "malformed", "too_large", "redirected")

type Step = Literal["hour", "day"]


@dataclass(frozen=True, slots=True)
class ServerNumbers:
    """What requests to one server met in a stretch of time. `at` is where the stretch begins, None for all of it.

    `outcomes` maps each name of `writing.OUTCOMES` to a count, `durations` are counts in `histogram.BOUNDS_MS`.
    """

    server: str
    at: datetime | None
    requests: int
    outcomes: dict[str, int]
    durations: Sequence[int]
    duration_ms: int
    last_success_on: datetime | None

    @property
    def failures(self) -> dict[str, int]:
        """The failures that were met, by kind, most frequent first."""
        met = {kind: self.outcomes[kind] for kind in FAILURES if self.outcomes[kind]}
        return dict(sorted(met.items(), key=lambda item: -item[1]))

    @property
    def failed(self) -> int:
        """How many requests failed because of the server."""
        return sum(self.outcomes[kind] for kind in FAILURES)

    @property
    def rate_limited(self) -> int:
        """How many were answered with a 429."""
        return self.outcomes["rate_limited"]

    @property
    def median_ms(self) -> int | None:
        """Half of the answers, and of the waits in vain, took no longer than this; None if there were none."""
        return percentile_ms(self.durations, 0.5)

    @property
    def p95_ms(self) -> int | None:
        """95 in 100 took no longer than this."""
        return percentile_ms(self.durations, 0.95)


@dataclass(frozen=True, slots=True)
class WorkspaceBudget:
    """The request budget of a workspace as this site has drawn on it in the last 60 minutes.

    Other programs draw on it too, so `left` is at most what is left. `by_token` maps ids of saved tokens to requests,
    the heaviest first; the id `models.UNKNOWN` stands for tokens that were only tried.
    """

    server: str
    workspace_uuid: UUID
    used: int
    rate_limited: int
    by_token: dict[UUID, int] = field(default_factory=dict)

    @property
    def left(self) -> int:
        """How many requests are left of HOURLY_BUDGET at most."""
        return max(0, HOURLY_BUDGET - self.used)


@dataclass(frozen=True, slots=True)
class WorkspacePoint:
    """One hour of a workspace: requests of ours, and how many of them were answered with a 429."""

    hour: datetime
    requests: int
    rate_limited: int


def servers_between(start: datetime, end: datetime, *, server: str = "") -> list[ServerNumbers]:
    """Return the numbers of each server that was asked anything, by name."""
    rows = _server_hours(start, end, server).order_by("server").values("server").annotate(**_SUMS)
    return [_numbers(dict(row), row["server"]) for row in rows]


def server_series(start: datetime, end: datetime, *, server: str, step: Step = "hour") -> list[ServerNumbers]:
    """Return the numbers of one server, or with "" of all together, by hour or by day of UTC, oldest first.

    Stretches without requests are missing.
    """
    rows, at = _server_hours(start, end, server), "hour"
    if step == "day":
        rows, at = rows.annotate(day=TruncDay("hour", tzinfo=UTC)), "day"
    return [_numbers(row, server, row[at]) for row in rows.order_by(at).values(at).annotate(**_SUMS)]


def last_successes() -> dict[str, datetime]:
    """Return when each server last answered a request well, as far back as rows are kept."""
    rows = ServerHour.objects.filter(last_success_on__isnull=False).order_by()
    return dict(rows.values_list("server").annotate(Max("last_success_on")))


def certificates(now: datetime | None = None) -> dict[str, datetime]:
    """Return when the certificate ends that each server has shown in the last two days; of several the last end."""
    since = _floor(now or datetime.now(UTC)) - timedelta(days=2)
    rows = ServerHour.objects.filter(hour__gte=since, certificate_until__isnull=False).order_by()
    return dict(rows.values_list("server").annotate(Max("certificate_until")))


def workspace_budgets(
    now: datetime | None = None, *, server: str = "", limit: int | None = 500
) -> list[WorkspaceBudget]:
    """Return the budgets drawn on in the last 60 minutes, the most used first, at most `limit` (None: all).

    RapidPro's hour slides: of the hour before this one the share counts that still lies within 60 minutes. Two queries.
    """
    now = now or datetime.now(UTC)
    hour = _floor(now)
    share = 1 - (now - hour) / timedelta(hours=1)
    rows = WorkspaceHour.objects.filter(hour__gte=hour - timedelta(hours=1), hour__lte=hour)
    if server:
        rows = rows.filter(server=server)

    def drawn(name: str) -> Sum:
        weighted = ExpressionWrapper(F(name) * share, output_field=FloatField())
        return Sum(Case(When(hour=hour, then=F(name)), default=weighted, output_field=FloatField()))

    sums = rows.order_by().values_list("server", "workspace_uuid").annotate(used=drawn("requests"))
    found = list(sums.annotate(limited=drawn("rate_limited")).order_by("-used", "server", "workspace_uuid")[:limit])
    if limit is not None:
        rows = rows.filter(workspace_uuid__in=[row[1] for row in found])
    tokens: dict[tuple[str, UUID], dict[UUID, float]] = {}
    by_token = rows.order_by().values_list("server", "workspace_uuid", "token").annotate(used=drawn("requests"))
    for origin, workspace, token, used in by_token:
        tokens.setdefault((origin, workspace), {})[token] = used
    return [
        WorkspaceBudget(origin, workspace, round(used), round(limited), _heaviest_first(tokens[origin, workspace]))
        for origin, workspace, used, limited in found
    ]


def workspace_series(start: datetime, end: datetime, *, server: str, workspace_uuid: UUID) -> list[WorkspacePoint]:
    """Return the requests of one workspace by hour, oldest first; hours without any are missing."""
    rows = _between(WorkspaceHour.objects, start, end).filter(server=server, workspace_uuid=workspace_uuid)
    sums = rows.order_by("hour").values("hour").annotate(drawn=Sum("requests"), limited=Sum("rate_limited"))
    return [WorkspacePoint(row["hour"], row["drawn"], row["limited"]) for row in sums]


def token_states(start: datetime, end: datetime, *, step: Step = "hour") -> list[tuple[datetime, dict[str, int]]]:
    """Return the counts of tokens by state, oldest first; with step "day" as each day's last hour had them."""
    rows = _between(TokenStateHour.objects, start, end)
    if step == "day":
        days = rows.order_by().annotate(day=TruncDay("hour", tzinfo=UTC)).values("day")
        rows = rows.filter(hour__in=days.annotate(last=Max("hour")).values("last"))
    found: dict[datetime, dict[str, int]] = {}
    for hour, state, count in rows.order_by("hour", "state").values_list("hour", "state", "count"):
        found.setdefault(hour, {})[state] = count
    return list(found.items())


def _floor(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _between[M: Model](rows: Manager[M], start: datetime, end: datetime) -> QuerySet[M]:
    # An end inside an hour takes that hour along: it is the present one, mostly.
    last = _floor(end - timedelta(microseconds=1))
    return rows.filter(hour__gte=_floor(start), hour__lte=last)


def _server_hours(start: datetime, end: datetime, server: str) -> QuerySet[ServerHour]:
    rows = _between(ServerHour.objects, start, end)
    return rows.filter(server=server) if server else rows


_ADDED = ("requests", "duration_ms", *OUTCOMES, *DURATIONS)
_SUMS: dict[str, Sum | Max] = {f"sum_{name}": Sum(name) for name in _ADDED} | {"last": Max("last_success_on")}


def _numbers(row: dict[str, Any], server: str, at: datetime | None = None) -> ServerNumbers:
    return ServerNumbers(
        server=server,
        at=at,
        requests=row["sum_requests"],
        outcomes={name: row[f"sum_{name}"] for name in OUTCOMES},
        durations=[row[f"sum_{name}"] for name in DURATIONS],
        duration_ms=row["sum_duration_ms"],
        last_success_on=row["last"],
    )


def _heaviest_first(drawn: dict[UUID, float]) -> dict[UUID, int]:
    return {token: round(count) for token, count in sorted(drawn.items(), key=lambda item: -item[1])}


aservers_between = sync_to_async(servers_between)
aserver_series = sync_to_async(server_series)
alast_successes = sync_to_async(last_successes)
aworkspace_budgets = sync_to_async(workspace_budgets)
aworkspace_series = sync_to_async(workspace_series)
atoken_states = sync_to_async(token_states)
