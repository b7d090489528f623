"""What the page of a token shows of its health."""

from collections.abc import Sequence
from dataclasses import dataclass

from rapidpro_integration.health import charts, history, wording
from rapidpro_integration.health.history import History
from rapidpro_integration.models import RapidProToken, TokenCheck

_RECENT = 10


@dataclass(frozen=True, slots=True)
class Change:
    """Something that changed behind the token: when, and what, as (what, before, now) in words."""

    check: TokenCheck
    lines: Sequence[tuple[wording.Text, wording.Text, wording.Text]]


@dataclass(frozen=True, slots=True)
class Health:
    """The last 30 days of a token, its two charts, its last checks, and what changed behind it, newest first."""

    past: History
    strip: charts.Strip
    line: charts.Line | None
    recent: Sequence[TokenCheck]
    changes: Sequence[Change]

    @property
    def newest_first(self) -> Sequence[history.Day]:
        """The days for the table: those of which something is known, the newest first."""
        return [day for day in reversed(self.past.days) if day.span.checks or day.span.uptime is not None]


def of_token(token: RapidProToken) -> Health:
    """Return the health of a token whose owner is looking, in days of the current time zone. Three queries."""
    past = history.of_token(token.pk)
    recent = list(TokenCheck.objects.filter(token_id=token.pk)[:_RECENT])
    changes = [Change(check, wording.drift_lines(check.drift or {})) for check in history.drifts_of(token.pk)]
    return Health(past, charts.strip(past.days), charts.line(past.days), recent, changes)
