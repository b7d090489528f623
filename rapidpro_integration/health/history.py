"""What the checks of the last days say together: how long a token worked, day by day, and how fast its server was.

Uptime is measured in time and not in checks: a state holds from its check to the next one, at most STALE. Time in
which nothing was learnt (never checked, rate limited, disabled) counts neither for nor against.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from statistics import median
from uuid import UUID

from asgiref.sync import sync_to_async
from django.utils import timezone

from rapidpro_integration.models import TokenCheck, TokenState
from rapidpro_integration.states import UNTOLD

# The longest pause between two checks, and a little more: what was found is not taken to hold for longer.
STALE = timedelta(hours=27)
DAYS = 30
_MOST = 20_000


@dataclass(frozen=True, slots=True)
class Check:
    """One check, as the history reads it."""

    started_on: datetime
    state: str
    duration_ms: int

    @property
    def tells(self) -> bool:
        """Whether it says anything of the token."""
        return self.state not in UNTOLD

    @property
    def is_working(self) -> bool:
        """Whether the token worked."""
        return self.state == TokenState.WORKING


@dataclass(slots=True)
class Span:
    """What is known of some time: the seconds in which the token worked and did not, and its checks."""

    up_s: float = 0.0
    down_s: float = 0.0
    checks: int = 0
    failures: int = 0
    durations_ms: list[int] = field(default_factory=list)

    @property
    def uptime(self) -> float | None:
        """The share of the known time in which the token worked, from 0 to 1; None where nothing is known."""
        known = self.up_s + self.down_s
        return self.up_s / known if known else None

    @property
    def percent(self) -> float | None:
        """The uptime as a percentage, cut and not rounded: what was down for a moment is never 100 %."""
        return None if self.uptime is None else int(self.uptime * 1000) / 10

    @property
    def median_ms(self) -> int | None:
        """The median duration of the checks that found the token working, in milliseconds."""
        return round(median(self.durations_ms)) if self.durations_ms else None

    def add_check(self, check: Check) -> None:
        """Count a check."""
        self.checks += 1
        self.failures += check.tells and not check.is_working
        if check.is_working:
            self.durations_ms.append(check.duration_ms)

    def add_time(self, seconds: float, *, is_working: bool) -> None:
        """Count time."""
        if is_working:
            self.up_s += seconds
        else:
            self.down_s += seconds


@dataclass(frozen=True, slots=True)
class Day:
    """A day of the history."""

    day: date
    span: Span


@dataclass(frozen=True, slots=True)
class History:
    """Some days of a token: all together, and each by itself, the oldest first."""

    whole: Span
    days: Sequence[Day]


def summarise(checks: Iterable[Check], start: datetime, now: datetime, zone: tzinfo) -> History:
    """Return what the checks, oldest first, say of the time from `start` to `now`, in days of `zone`."""
    first, last = start.astimezone(zone).date(), now.astimezone(zone).date()
    # Seconds are counted in UTC: on the clock's own time some days have an hour more or less than they say.
    start, now = start.astimezone(UTC), now.astimezone(UTC)
    spans = {first + timedelta(days=number): Span() for number in range((last - first).days + 1)}
    whole = Span()
    rows = list(checks)
    for position, check in enumerate(rows):
        if check.started_on >= start:
            whole.add_check(check)
            spans[check.started_on.astimezone(zone).date()].add_check(check)
        if not check.tells:
            continue
        following = rows[position + 1].started_on if position + 1 < len(rows) else now
        begin, end = max(check.started_on, start), min(following, check.started_on + STALE, now)
        _add_time(check, begin, end, zone, whole, spans)
    return History(whole, [Day(day, span) for day, span in spans.items()])


def _add_time(check: Check, begin: datetime, end: datetime, zone: tzinfo, whole: Span, spans: dict[date, Span]) -> None:
    while begin < end:
        local = begin.astimezone(zone)
        midnight = datetime.combine(local.date() + timedelta(days=1), datetime.min.time(), zone).astimezone(UTC)
        until = min(end, midnight)
        seconds = (until - begin).total_seconds()
        whole.add_time(seconds, is_working=check.is_working)
        spans[local.date()].add_time(seconds, is_working=check.is_working)
        begin = until


def of_tokens(token_ids: Sequence[UUID], start: datetime, now: datetime) -> dict[UUID, History]:
    """Return the history of each token in one query, in days of the current time zone."""
    zone = timezone.get_current_timezone()
    rows: dict[UUID, list[Check]] = defaultdict(list)
    # From before `start` too: what was found then holds on into it.
    found = TokenCheck.objects.filter(token_id__in=token_ids, started_on__gte=start - STALE, started_on__lte=now)
    facts = found.order_by("-started_on", "-pk").values_list("token_id", "started_on", "state", "duration_ms")
    for token_id, started_on, state, duration_ms in facts[:_MOST]:
        rows[token_id].append(Check(started_on, state, duration_ms))
    return {token_id: summarise(reversed(rows[token_id]), start, now, zone) for token_id in token_ids}


def of_token(token_id: UUID, days: int = DAYS) -> History:
    """Return the history of one token: today and the days before it, `days` in all."""
    now = timezone.now()
    midnight = timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)
    return of_tokens([token_id], midnight - timedelta(days=days - 1), now)[token_id]


def drifts_of(token_id: UUID, limit: int = 20) -> list[TokenCheck]:
    """Return the token's checks that found something changed behind it, newest first."""
    found = TokenCheck.objects.filter(token_id=token_id, drift__isnull=False)
    return list(found.order_by("-started_on", "-pk")[:limit])


aof_token = sync_to_async(of_token)
adrifts_of = sync_to_async(drifts_of)
