"""The time ranges of the staff pages, as they stand in the address: `?range=7d`. Hours and days are those of UTC."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from rapidpro_integration.observations.reading import Step

DEFAULT = "7d"
# Name: how long, its words, whether its hours or its days are read, how many hours a column of a chart is.
_RANGES: dict[str, tuple[timedelta, Promise, Step, int]] = {
    "24h": (timedelta(hours=24), _("24 hours"), "hour", 1),
    "7d": (timedelta(days=7), _("7 days"), "hour", 6),
    "30d": (timedelta(days=30), _("30 days"), "day", 24),
    "90d": (timedelta(days=90), _("90 days"), "day", 24),
    "365d": (timedelta(days=365), _("A year"), "day", 7 * 24),
}
CHOICES = [(name, words) for name, (_length, words, _step, _hours) in _RANGES.items()]


@dataclass(frozen=True, slots=True)
class Range:
    """From `since`, the beginning of an hour or a day, until `until`, now."""

    name: str
    title: Promise
    since: datetime
    until: datetime
    step: Step
    column_hours: int

    @property
    def is_hourly(self) -> bool:
        """Whether a column of a chart is less than a day."""
        return self.column_hours < 24

    def columns(self) -> list[datetime]:
        """Return the beginnings of all columns, empty ones too, the oldest first."""
        length = timedelta(hours=self.column_hours)
        number = int((self.until - self.since) / length) + 1
        return [self.since + length * place for place in range(number)]

    def column_of(self, moment: datetime) -> datetime:
        """Return the beginning of the column that the moment is in."""
        length = timedelta(hours=self.column_hours)
        return self.since + length * ((moment - self.since) // length)


def range_of(data: Mapping[str, Any], default: str = DEFAULT) -> Range:
    """Return the range that the address asks for; the usual one for a name that is none."""
    name = str(data.get("range", default))
    name = name if name in _RANGES else default
    length, title, step, column_hours = _RANGES[name]
    until = datetime.now(UTC)
    since = (until - length).replace(minute=0, second=0, microsecond=0)
    since -= timedelta(hours=since.hour % min(column_hours, 24))
    return Range(name, title, since, until, step, column_hours)
