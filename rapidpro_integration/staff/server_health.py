"""How each server is doing: what its requests met, whether it is paused, how many tokens depend on it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import models, transaction
from django.db.models import Count, Q
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from rapidpro_integration import server_services, servers
from rapidpro_integration.client import transport
from rapidpro_integration.models import RapidProToken, Server
from rapidpro_integration.observations import reading
from rapidpro_integration.observations.reading import ServerNumbers
from rapidpro_integration.staff.charts import Chart, Series
from rapidpro_integration.staff.exporting import Columns
from rapidpro_integration.staff.ranges import Range, range_of
from rapidpro_integration.staff.tokens import BROKEN

# A server of which so large a part of the requests fail is failing, and shaky before that; so slow a one is slow.
FAILING, SHAKY, SLOW_MS = 0.5, 0.05, 5_000
# How long before its end a certificate needs attention: the usual ones are renewed 30 days ahead.
CERTIFICATE_ENDS = timedelta(days=14)
# One whose requests fail, and that has given no good answer for so long, is failing whatever it did before.
SILENT = timedelta(hours=2)

FAILURES: dict[str, Promise] = {
    "server_error": _("Server error"),
    "unreachable": _("Unreachable"),
    "timed_out": _("Timed out"),
    "tls": _("Certificate refused"),
    "not_rapidpro": _("Not RapidPro"),
    "malformed": _("Unreadable answer"),
    "too_large": _("Answer too large"),
    "redirected": _("Redirected"),
}


class Condition(models.TextChoices):
    """How a server is doing, the worst first."""

    FAILING = "failing", _("Failing")
    SHAKY = "shaky", _("Shaky")
    SLOW = "slow", _("Slow")
    PAUSED = "paused", _("Paused by staff")
    WELL = "well", _("Well")
    QUIET = "quiet", _("Not asked")


@dataclass(frozen=True, slots=True)
class ServerLine:
    """One server of the table. `numbers` is None for one that was not asked anything in the time."""

    origin: str
    name: str
    paused: bool
    tokens: int
    broken: int
    numbers: ServerNumbers | None
    last_success_on: datetime | None
    breaker_open: bool
    certificate_until: datetime | None = None

    @property
    def host(self) -> str:
        """The server as a person calls it."""
        return servers.host(self.origin)

    @property
    def is_silent(self) -> bool:
        """Whether the last good answer is hours old."""
        return self.last_success_on is None or timezone.now() - self.last_success_on > SILENT

    @property
    def certificate_ends(self) -> bool:
        """Whether its certificate ends soon, or has."""
        return self.certificate_until is not None and self.certificate_until - timezone.now() < CERTIFICATE_ENDS

    @property
    def condition(self) -> Condition:
        """How it is doing."""
        numbers = self.numbers
        if self.paused:
            return Condition.PAUSED
        if numbers is None or not numbers.requests:
            return Condition.QUIET
        failed = numbers.failed / numbers.requests
        if failed >= FAILING or self.breaker_open or (failed and self.is_silent):
            return Condition.FAILING
        if failed >= SHAKY:
            return Condition.SHAKY
        return Condition.SLOW if (numbers.p95_ms or 0) >= SLOW_MS else Condition.WELL

    @property
    def failed_share(self) -> float | None:
        """Which part of the requests failed, 0 to 1."""
        return self.numbers.failed / self.numbers.requests if self.numbers and self.numbers.requests else None

    @property
    def failures(self) -> list[tuple[Promise, int]]:
        """The failures by kind in words, the most frequent first."""
        return [(FAILURES[kind], number) for kind, number in (self.numbers.failures if self.numbers else {}).items()]


EXPORTED: Columns = {
    "server": lambda line: line.origin,
    "name": lambda line: line.name,
    "condition": lambda line: line.condition.value,
    "paused": lambda line: line.paused,
    "tokens": lambda line: line.tokens,
    "tokens_that_need_attention": lambda line: line.broken,
    "requests": lambda line: line.numbers.requests if line.numbers else 0,
    "failed": lambda line: line.numbers.failed if line.numbers else 0,
    "rate_limited": lambda line: line.numbers.rate_limited if line.numbers else 0,
    "median_ms": lambda line: line.numbers.median_ms if line.numbers else None,
    "p95_ms": lambda line: line.numbers.p95_ms if line.numbers else None,
    **{
        kind: (lambda line, kind=kind: line.numbers.outcomes[kind] if line.numbers else 0)  # type: ignore[misc]
        for kind in FAILURES
    },
    "last_success_on": lambda line: line.last_success_on,
    "certificate_until": lambda line: line.certificate_until,
}


def lines(within: Range, origin: str = "") -> list[ServerLine]:
    """Return every server that is known, or that one; the worst first. Five queries."""
    rows = {row.origin: row for row in Server.objects.all()}
    tokens = {
        row["server"]: row
        for row in RapidProToken.objects.order_by("server")
        .values("server")
        .annotate(number=Count("*"), broken=Count("state", filter=Q(state__in=BROKEN)))
    }
    numbers = {each.server: each for each in reading.servers_between(within.since, within.until)}
    successes, certificates = reading.last_successes(), reading.certificates()
    known = [origin] if origin else sorted({*rows, *tokens, *numbers, *servers.named()})
    found = [
        ServerLine(
            origin=each,
            name=rows[each].name if each in rows else servers.host(each),
            paused=each in rows and rows[each].paused,
            tokens=tokens[each]["number"] if each in tokens else 0,
            broken=tokens[each]["broken"] if each in tokens else 0,
            numbers=numbers.get(each),
            last_success_on=successes.get(each),
            breaker_open=transport.breaker.is_paused(each),
            certificate_until=certificates.get(each),
        )
        for each in known
        if not origin or each in {*rows, *tokens, *numbers, *servers.named()}
    ]
    worst = list(Condition)
    return sorted(found, key=lambda line: (worst.index(line.condition), -line.tokens, line.origin))


def request_charts(within: Range, origin: str = "") -> list[Chart]:
    """Return how requests ended and how long answers took, of one server or of all. One query."""
    found: dict[datetime, list[ServerNumbers]] = {}
    for row in reading.server_series(within.since, within.until, server=origin, step=within.step):
        if row.at is not None:
            found.setdefault(within.column_of(row.at), []).append(row)
    columns = within.columns()
    each = [_together(found[column]) if column in found else None for column in columns]
    ended = [
        Series("good", _("Answered"), [row.requests - row.failed - row.rate_limited if row else 0 for row in each]),
        Series("warn", _("Rate limited"), [row.rate_limited if row else 0 for row in each]),
        Series("bad", _("Failed"), [row.failed if row else 0 for row in each]),
    ]
    lasted = [
        Series("blue", _("Median"), [row.median_ms if row else None for row in each]),
        Series("plum", _("95th percentile"), [row.p95_ms if row else None for row in each]),
    ]
    return [
        Chart("requests", _("Requests to servers"), columns, ended, is_hourly=within.is_hourly),
        Chart("durations", _("How long answers took"), columns, lasted, "lines", _("ms"), within.is_hourly),
    ]


def _together(rows: Sequence[ServerNumbers]) -> ServerNumbers:
    """Return the numbers of several stretches of time as one."""
    first = rows[0]
    return replace(
        first,
        requests=sum(row.requests for row in rows),
        outcomes={kind: sum(row.outcomes[kind] for row in rows) for kind in first.outcomes},
        durations=[sum(counts) for counts in zip(*(row.durations for row in rows), strict=True)],
        duration_ms=sum(row.duration_ms for row in rows),
    )


def set_paused(origin: str, *, paused: bool) -> bool:
    """Pause a server or end the pause; return whether that changed anything.

    A server that has no row yet gets one, which leaves it as open as it was once the pause ends.
    """
    with transaction.atomic():
        server = Server.objects.filter(origin=origin).first()
        if server is None:
            if not paused:
                return False
            is_named = origin in servers.named()
            server = Server.objects.create(
                name=servers.host(origin)[:80],
                origin=origin,
                open_to_all=is_named,
                allow_private=is_named and origin in servers.private_origins(),
            )
        return server_services.pause_server(server, paused=paused)


def last_day() -> Range:
    """Return the last 24 hours, by which the overview judges servers."""
    return range_of({"range": "24h"})


def by_condition(found: Sequence[ServerLine]) -> list[tuple[Condition, int]]:
    """Return how many servers there are in each condition that any is in."""
    counts: dict[Any, int] = dict.fromkeys(Condition, 0)
    for line in found:
        counts[line.condition] += 1
    return [(condition, number) for condition, number in counts.items() if number]
