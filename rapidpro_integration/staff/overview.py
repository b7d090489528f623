"""What staff want to know first: how tokens, people, servers and the work are doing, and what cannot wait."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q
from django.db.models.functions import Now
from django.tasks import TaskResultStatus
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django_tasks_db.models import DBTaskResult

from accounts.models import User
from rapidpro_integration.health.models import failed
from rapidpro_integration.models import RapidProToken, RequestState, ServerRequest, TokenCheck, TokenState, WorkerBeat
from rapidpro_integration.observations import reading
from rapidpro_integration.staff import server_health
from rapidpro_integration.staff.charts import Bar, Chart, Series, shares
from rapidpro_integration.staff.ranges import Range
from rapidpro_integration.staff.server_health import Condition, ServerLine
from rapidpro_integration.staff.tokens import BROKEN

_CSS: dict[str, str] = {
    TokenState.WORKING: "good",
    TokenState.UNCHECKED: "calm",
    TokenState.RATE_LIMITED: "warn",
    TokenState.UNREACHABLE: "sky",
    TokenState.SERVER_ERROR: "plum",
    TokenState.DISABLED: "dim",
    TokenState.REJECTED: "bad",
    TokenState.NOT_ALLOWED: "rust",
    TokenState.NOT_RAPIDPRO: "brown",
    TokenState.LOCKED: "night",
}
_ATTENTION_AT_MOST = 12
# A workspace that has used so much of its requests will soon refuse somebody.
_NEARLY_USED_UP = 0.9


@dataclass(frozen=True, slots=True)
class StateLine:
    """How many tokens are in one state."""

    state: TokenState
    css: str
    number: int
    share: float | None


@dataclass(frozen=True, slots=True)
class Attention:
    """One thing that wants somebody's look, and where the rows are."""

    text: str
    address: str
    is_bad: bool = False


@dataclass(frozen=True, slots=True)
class Tile:
    """A number that leads to its rows; `address` is "" where the person may not see them."""

    title: Promise | str
    number: int
    address: str = ""
    is_bad: bool = False


@dataclass(frozen=True, slots=True)
class Overview:
    """The page."""

    tiles: list[Tile]
    states: list[StateLine]
    bar: list[Bar]
    conditions: list[tuple[Condition, int]]
    attention: list[Attention]
    charts: list[Chart]


def overview(within: Range, allowed: frozenset[str]) -> Overview:
    """Return the page's content; what the person may not see elsewhere (`allowed` permissions) has no link here."""
    tokens, people, checks, work = _tokens(), _people(), _checks(), _work()
    lines = server_health.lines(server_health.last_day())
    return Overview(
        tiles=_tiles(tokens, people, checks, work, allowed),
        states=(states := _states(tokens)),
        bar=shares([(line.css, line.number) for line in states]),
        conditions=server_health.by_condition(lines),
        attention=_attention(tokens, people, lines, work, allowed)[:_ATTENTION_AT_MOST],
        charts=[_states_chart(within), *server_health.request_charts(within)],
    )


def _tokens() -> dict[str, Any]:
    """Return the counts of tokens: by state, and those that want something. Four queries, an index each."""
    rows, a_week_ago = RapidProToken.objects.order_by(), timezone.now() - timedelta(days=7)
    by_state = dict.fromkeys(TokenState.values, 0) | dict(rows.values_list("state").annotate(number=Count("*")))
    return by_state | {
        "all": sum(by_state.values()),
        "never": rows.filter(checked_on=None).exclude(state=TokenState.DISABLED).count(),
        "rotate": rows.filter(rotate_on__lt=Now()).count(),
        "long_broken": rows.filter(broken_since__lt=a_week_ago, state__in=BROKEN).count(),
    }


def _people() -> dict[str, int]:
    tokens = RapidProToken.objects.filter(owner_id=OuterRef("pk")).order_by()
    people = User.objects.filter(is_active=True).annotate(
        has_any=Exists(tokens), has_working=Exists(tokens.filter(state=TokenState.WORKING))
    )
    return people.aggregate(
        all=Count("pk"),
        working=Count("pk", filter=Q(has_working=True)),
        broken=Count("pk", filter=Q(has_any=True, has_working=False)),
        without=Count("pk", filter=Q(has_any=False)),
    )


def _checks() -> dict[str, int]:
    """Return the checks of the last 24 hours; one that tells nothing of the token has not failed. One query."""
    rows = TokenCheck.objects.filter(started_on__gte=server_health.last_day().since)
    return rows.aggregate(all=Count("pk"), failed=Count("pk", filter=failed()))


def _work() -> dict[str, Any]:
    """Return the counts of tasks, and whether a worker is alive. Two queries."""
    status = {name.value: Count("pk", filter=Q(status=name)) for name in TaskResultStatus}
    alive = WorkerBeat.objects.filter(role=WorkerBeat.Role.WORKER, beat_on__gt=timezone.now() - timedelta(minutes=1))
    return DBTaskResult.objects.aggregate(**status) | {"alive": alive.count()}


def _states(tokens: dict[str, Any]) -> list[StateLine]:
    lines = [
        StateLine(TokenState(state), css, tokens[state], tokens[state] / tokens["all"] if tokens["all"] else None)
        for state, css in _CSS.items()
    ]
    return [line for line in lines if line.number]


def _address(name: str, allowed: frozenset[str], **query: Any) -> str:
    """Return the address of the rows, "" for who may not see that page."""
    if f"staff_{'tokens' if name == 'checks' else name}" not in allowed:
        return ""
    return f"{reverse(f'staff:{name}')}?{urlencode(query)}" if query else reverse(f"staff:{name}")


def _tiles(
    tokens: dict[str, Any],
    people: dict[str, int],
    checks: dict[str, int],
    work: dict[str, Any],
    allowed: frozenset[str],
) -> list[Tile]:
    broken = sum(tokens[state] for state in BROKEN)
    failed = work[TaskResultStatus.FAILED.value]
    return [
        Tile(gettext_lazy("Tokens"), tokens["all"], _address("tokens", allowed)),
        Tile(gettext_lazy("Tokens that need attention"), broken, _address("tokens", allowed, broken="on"), broken > 0),
        Tile(gettext_lazy("People"), people["all"], _address("users", allowed, active="yes")),
        Tile(
            gettext_lazy("People with a working token"),
            people["working"],
            _address("users", allowed, active="yes", tokens="working"),
        ),
        Tile(
            gettext_lazy("People whose tokens all fail"),
            people["broken"],
            _address("users", allowed, active="yes", tokens="broken"),
            people["broken"] > 0,
        ),
        Tile(gettext_lazy("Checks in 24 hours"), checks["all"], _address("checks", allowed, range="24h")),
        Tile(
            gettext_lazy("Failed checks in 24 hours"),
            checks["failed"],
            _address("checks", allowed, range="24h", failed="on"),
            checks["failed"] > 0,
        ),
        Tile(gettext_lazy("Failed tasks"), failed, _address("work", allowed, status="FAILED"), failed > 0),
    ]


def _attention(
    tokens: dict[str, Any],
    people: dict[str, int],
    lines: Sequence[ServerLine],
    work: dict[str, Any],
    allowed: frozenset[str],
) -> list[Attention]:
    """Return what cannot wait, the worst first. Two queries."""
    found = [_server_attention(line, allowed) for line in lines if line.condition == Condition.FAILING and line.tokens]
    if work[TaskResultStatus.READY.value] and not work["alive"]:
        found.append(Attention(_("No worker is alive, and work is waiting."), _address("work", allowed), is_bad=True))
    number = tokens[TokenState.LOCKED]
    text = ngettext("%(number)d token is locked.", "%(number)d tokens are locked.", number)
    found += _if(number, text, _address("tokens", allowed, state="locked"), is_bad=True)
    number = work[TaskResultStatus.FAILED.value]
    text = ngettext("%(number)d task has failed.", "%(number)d tasks have failed.", number)
    found += _if(number, text, _address("work", allowed, status="FAILED"), is_bad=True)
    number = tokens["long_broken"]
    text = ngettext(
        "%(number)d token has been broken for a week.", "%(number)d tokens have been broken for a week.", number
    )
    found += _if(number, text, _address("tokens", allowed, broken="on"), is_bad=True)
    number = sum(budget.used >= _NEARLY_USED_UP * reading.HOURLY_BUDGET for budget in reading.workspace_budgets())
    text = ngettext(
        "%(number)d workspace has nearly used up its requests.",
        "%(number)d workspaces have nearly used up their requests.",
        number,
    )
    found += _if(number, text, _address("workspaces", allowed))
    found += [
        _server_attention(line, allowed)
        for line in lines
        if line.condition in {Condition.SHAKY, Condition.PAUSED} and line.tokens
    ]
    number = sum(1 for line in lines if line.certificate_ends and line.tokens)
    text = ngettext(
        "The certificate of %(number)d server ends within two weeks.",
        "The certificates of %(number)d servers end within two weeks.",
        number,
    )
    found += _if(number, text, _address("servers", allowed))
    number = ServerRequest.objects.filter(state=RequestState.WAITING).count()
    text = ngettext("%(number)d wish for a server waits.", "%(number)d wishes for servers wait.", number)
    found += _if(number, text, reverse("admin:rapidpro_integration_serverrequest_changelist") + "?state=waiting")
    number = tokens["rotate"]
    text = ngettext(
        "%(number)d token should have been replaced by now.",
        "%(number)d tokens should have been replaced by now.",
        number,
    )
    found += _if(number, text, _address("tokens", allowed, rotate="on"))
    number = tokens["never"]
    text = ngettext("%(number)d token was never checked.", "%(number)d tokens were never checked.", number)
    return found + _if(number, text, _address("tokens", allowed, never="on"))


def _if(number: int, text: str, address: str, *, is_bad: bool = False) -> list[Attention]:
    return [Attention(text % {"number": number}, address, is_bad)] if number else []


def _server_attention(line: ServerLine, allowed: frozenset[str]) -> Attention:
    address = f"{reverse('staff:server')}?{urlencode({'server': line.origin})}" if "staff_servers" in allowed else ""
    text = ngettext(
        "%(server)s: %(condition)s. %(number)d token depends on it.",
        "%(server)s: %(condition)s. %(number)d tokens depend on it.",
        line.tokens,
    )
    facts = {"server": line.host, "condition": line.condition.label, "number": line.tokens}
    return Attention(text % facts, address, line.condition == Condition.FAILING)


def _states_chart(within: Range) -> Chart:
    """Return the tokens by state over time; a column that nobody has counted is empty."""
    # The last hour of a column stands for it.
    hours = reading.token_states(within.since, within.until, step=within.step)
    by_column = {within.column_of(hour): counts for hour, counts in hours}
    columns = within.columns()
    series = [
        Series(css, TokenState(state).label, values)
        for state, css in _CSS.items()
        if any(values := [by_column.get(column, {}).get(state, 0) for column in columns])
    ]
    return Chart("states", _("Tokens by state"), columns, series, is_hourly=within.is_hourly)
