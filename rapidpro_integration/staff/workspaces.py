"""The hourly requests of each workspace as this site sees them: used, left, back when, and by whom.

RapidPro's hour slides: of the hour before this one the share counts that still lies within 60 minutes. Other programs
draw on the same requests unseen, so what is left is at most that.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.core.paginator import Page, Paginator
from django.db.models import Case, F, FloatField, OuterRef, Q, QuerySet, Subquery, Sum, Value, When
from django.db.models.functions import Cast, Coalesce
from django.utils.translation import gettext_lazy as _

from rapidpro_integration import servers
from rapidpro_integration.models import RapidProToken, WorkspaceHour
from rapidpro_integration.observations import reading
from rapidpro_integration.observations.models import UNKNOWN
from rapidpro_integration.staff.charts import Chart, Series
from rapidpro_integration.staff.exporting import Columns
from rapidpro_integration.staff.ranges import Range
from rapidpro_integration.staff.tables import ROWS_A_PAGE

BUDGET = reading.HOURLY_BUDGET
_DRAWERS_NAMED = 3


@dataclass(frozen=True, slots=True)
class Drawer:
    """A token that drew on a workspace; `token` is None for one that was only tried or is gone."""

    token: RapidProToken | None
    requests: int


@dataclass(frozen=True, slots=True)
class WorkspaceLine:
    """One workspace of the table."""

    server: str
    workspace_uuid: UUID
    name: str
    used: int
    rate_limited: int
    returns_on: datetime | None
    drawers: list[Drawer]

    @property
    def host(self) -> str:
        """The server as a person calls it."""
        return servers.host(self.server)

    @property
    def is_known(self) -> bool:
        """Whether it is known which workspace it is."""
        return self.workspace_uuid != UNKNOWN

    @property
    def left(self) -> int:
        """How many requests are left at most."""
        return max(0, BUDGET - self.used)

    @property
    def width(self) -> int:
        """How long the bar of what is used is, of 100."""
        return min(100, round(100 * self.used / BUDGET))

    @property
    def css(self) -> str:
        """The bar's colour."""
        return "bad" if self.used >= 0.9 * BUDGET else "warn" if self.used >= 0.6 * BUDGET else "blue"


EXPORTED: Columns = {
    "server": lambda line: line.server,
    "workspace_uuid": lambda line: line.workspace_uuid,
    "workspace": lambda line: line.name,
    "used_last_60_minutes": lambda line: line.used,
    "left_at_most": lambda line: line.left,
    "rate_limited": lambda line: line.rate_limited,
    "not_before": lambda line: line.returns_on,
}


class WorkspaceFilterForm(forms.Form):
    """The filters of the list of workspaces, as they stand in its address."""

    q = forms.CharField(
        label=_("Workspace"), required=False, max_length=200, widget=forms.TextInput({"type": "search"})
    )
    server = forms.CharField(label=_("Server"), required=False, max_length=255, widget=forms.Select)
    limited = forms.BooleanField(label=_("Rate limited"), required=False)

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__(data, label_suffix="")

    def offer_servers(self, origins: Iterable[str]) -> None:
        """Let these servers be chosen."""
        widget = self.fields["server"].widget
        assert isinstance(widget, forms.Select)  # noqa: S101  # narrows the type
        widget.choices = [("", _("Any")), *((origin, servers.host(origin)) for origin in origins)]

    def rows(self, now: datetime) -> Any:
        """Return the workspaces that were drawn on in the last 60 minutes and fit, the most used first."""
        hours = _two_hours(now)
        if not self.is_valid():
            return _sums(hours.none(), now)
        cleaned = self.cleaned_data
        if cleaned["server"]:
            hours = hours.filter(server=cleaned["server"])
        if text := cleaned["q"]:
            named = RapidProToken.objects.filter(workspace_name__icontains=text, workspace_uuid__isnull=False)
            hours = hours.filter(workspace_uuid__in=named.values("workspace_uuid"))
        sums: Any = _sums(hours, now)
        return sums.filter(limited__gt=0) if cleaned["limited"] else sums


def _hour_of(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _two_hours(now: datetime) -> QuerySet[WorkspaceHour]:
    hour = _hour_of(now)
    return WorkspaceHour.objects.filter(hour__gte=hour - timedelta(hours=1), hour__lte=hour).order_by()


def _weighted(field: str, now: datetime) -> Sum:
    hour = _hour_of(now)
    share = 1 - (now - hour) / timedelta(hours=1)
    number = Cast(F(field), FloatField())
    return Sum(Case(When(hour=hour, then=number), default=number * Value(share), output_field=FloatField()))


def _sums(hours: QuerySet[WorkspaceHour], now: datetime) -> QuerySet[WorkspaceHour, Any]:
    tokens = RapidProToken.objects.filter(server=OuterRef("server"), workspace_uuid=OuterRef("workspace_uuid"))
    waiting = tokens.filter(retry_on__gt=now).order_by("-retry_on").values("retry_on")[:1]
    found: Any = (
        hours.values("server", "workspace_uuid")
        .annotate(
            used=_weighted("requests", now),
            limited=_weighted("rate_limited", now),
            name=Coalesce(Subquery(tokens.order_by().values("workspace_name")[:1]), Value("")),
            returns_on=Subquery(waiting),
        )
        .order_by("-used", "server", "workspace_uuid")
    )
    return found  # type: ignore[no-any-return]


def page_of(rows: QuerySet[WorkspaceHour, Any], number: str | None, now: datetime) -> Page[Any]:
    """Return a page of the lines, each with who drew the most on it. Four queries."""
    page: Page[Any] = Paginator(rows, ROWS_A_PAGE).get_page(number)
    found = list(page.object_list)
    drawers = _drawers(found, now)
    page.object_list = [line_of(row, drawers.get((row["server"], row["workspace_uuid"]), [])) for row in found]
    return page


def line_of(row: Mapping[str, Any], drawers: list[Drawer]) -> WorkspaceLine:
    """Return a row of `rows` as a line."""
    return WorkspaceLine(
        server=row["server"],
        workspace_uuid=row["workspace_uuid"],
        name=row["name"],
        used=round(row["used"]),
        rate_limited=round(row["limited"]),
        returns_on=row["returns_on"],
        drawers=drawers,
    )


def _drawers(found: list[dict[str, Any]], now: datetime) -> dict[tuple[str, UUID], list[Drawer]]:
    uuids = {row["workspace_uuid"] for row in found}
    hours = _two_hours(now).filter(workspace_uuid__in=uuids).values("server", "workspace_uuid", "token")
    drawn = list(hours.annotate(used=_weighted("requests", now)).order_by("-used"))
    tokens = _tokens(row["token"] for row in drawn)
    drawers: dict[tuple[str, UUID], list[Drawer]] = {}
    for row in drawn:
        mine = drawers.setdefault((row["server"], row["workspace_uuid"]), [])
        if len(mine) < _DRAWERS_NAMED and round(row["used"]):
            mine.append(Drawer(tokens.get(row["token"]), round(row["used"])))
    return drawers


def _tokens(ids: Iterable[UUID]) -> dict[UUID, RapidProToken]:
    rows = RapidProToken.objects.filter(pk__in=set(ids)).select_related("owner")
    return {token.pk: token for token in rows.only("label", "server", "owner__email", "owner__name", "owner__username")}


def name_of(server: str, workspace_uuid: UUID) -> str | None:
    """Return the workspace's name as its tokens know it, "" if none of them does, None for no such workspace."""
    tokens = RapidProToken.objects.filter(server=server, workspace_uuid=workspace_uuid)
    names = list(tokens.order_by("-checked_on").values_list("workspace_name", flat=True)[:1])
    if names:
        return names[0]
    is_drawn_on = WorkspaceHour.objects.filter(server=server, workspace_uuid=workspace_uuid).exists()
    return "" if is_drawn_on else None


def chart_of(within: Range, server: str, workspace_uuid: UUID) -> Chart:
    """Return the requests to one workspace by hour or day."""
    points = reading.workspace_series(within.since, within.until, server=server, workspace_uuid=workspace_uuid)
    columns = within.columns()
    drawn, limited = dict.fromkeys(columns, 0), dict.fromkeys(columns, 0)
    for point in points:
        column = within.column_of(point.hour)
        if column in drawn:
            drawn[column] += point.requests - point.rate_limited
            limited[column] += point.rate_limited
    series = [
        Series("blue", _("Answered or failed"), list(drawn.values())),
        Series("warn", _("Rate limited"), list(limited.values())),
    ]
    return Chart("workspace", _("Requests of ours"), columns, series, is_hourly=within.is_hourly)


def drawers_of(within: Range, server: str, workspace_uuid: UUID, number: str | None) -> Page[Any]:
    """Return a page of who drew on the workspace in that time, the most first."""
    hours = WorkspaceHour.objects.filter(
        Q(hour__gte=within.since), Q(hour__lte=within.until), server=server, workspace_uuid=workspace_uuid
    )
    rows = hours.order_by().values("token").annotate(used=Sum("requests")).order_by("-used", "token")
    page: Page[Any] = Paginator(rows, ROWS_A_PAGE).get_page(number)
    found = list(page.object_list)
    tokens = _tokens(row["token"] for row in found)
    page.object_list = [Drawer(tokens.get(row["token"]), row["used"]) for row in found]
    return page
