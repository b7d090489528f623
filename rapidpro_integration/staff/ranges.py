"""The time ranges of the staff pages, as they stand in the address: `?range=7d`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Expression
from django.db.models.functions import TruncDay, TruncHour
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

DEFAULT = "7d"
# Name: how long, its words, whether a chart has a column an hour (or a day).
_RANGES: dict[str, tuple[timedelta, Promise, bool]] = {
    "24h": (timedelta(hours=24), _("24 hours"), True),
    "7d": (timedelta(days=7), _("7 days"), True),
    "30d": (timedelta(days=30), _("30 days"), False),
    "90d": (timedelta(days=90), _("90 days"), False),
    "365d": (timedelta(days=365), _("A year"), False),
}
CHOICES = [(name, words) for name, (_length, words, _hourly) in _RANGES.items()]


@dataclass(frozen=True, slots=True)
class Range:
    """From `since` (whole hours or days of the person's time zone) until `until`, now."""

    name: str
    title: Promise
    since: datetime
    until: datetime
    is_hourly: bool

    def column(self, field: str) -> Expression:
        """Return the expression that puts rows by `field` into the columns of a chart."""
        return TruncHour(field) if self.is_hourly else TruncDay(field)

    def columns(self) -> list[datetime]:
        """Return the beginnings of all columns, empty ones too, the oldest first."""
        begin, columns = self.since, []
        while begin <= self.until:
            columns.append(begin)
            begin = _after(begin, hourly=self.is_hourly)
        return columns


def _after(begin: datetime, *, hourly: bool) -> datetime:
    if hourly:
        # In absolute time, so that an hour that a change of clocks repeats is there twice.
        return timezone.localtime(begin.astimezone(UTC) + timedelta(hours=1))
    day = begin.replace(tzinfo=None) + timedelta(days=1)
    return day.replace(tzinfo=begin.tzinfo)


def range_of(data: Mapping[str, Any], default: str = DEFAULT) -> Range:
    """Return the range that the address asks for; the usual one for a name that is none."""
    name = data.get("range", default)
    name = name if name in _RANGES else default
    length, title, hourly = _RANGES[name]
    until = timezone.now()
    since = timezone.localtime(until - length)
    since = since.replace(minute=0, second=0, microsecond=0) if hourly else since.replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    return Range(name, title, since, until, hourly)
