"""Dates and uuids as a caller writes them, made into what RapidPro understands, or refused before anything is sent.

The server answers a malformed date with an empty list, in silence: so nothing malformed may reach it.
Source: ../shared/rapidpro-api.md, section 4.
"""

import re
from datetime import UTC, date, datetime, time, tzinfo
from uuid import UUID
from zoneinfo import ZoneInfo

type DateLike = str | date | datetime | None

_HEX = re.compile(r"[0-9a-f]{32}", re.ASCII | re.IGNORECASE)
# datetime.fromisoformat takes any character between date and time: ISO 8601 has T, RFC 3339 also a blank.
_ISO = re.compile(r"[0-9W-]+([T ][0-9:.,]+(Z|[+-][0-9:.]+)?)?", re.ASCII)
_SHOWN = 40


def zone(timezone: str | tzinfo) -> tzinfo:
    """Return the zone of that name ("Africa/Kigali"), or the zone itself. Raises ValueError."""
    if isinstance(timezone, tzinfo):
        return timezone
    try:
        found = ZoneInfo(timezone)
    except (KeyError, ValueError, OSError, TypeError, AttributeError):
        found = None
    if found is None:
        raise ValueError(f"No time zone is called {_shown(timezone)}.")
    return found


def moment(value: DateLike, timezone: tzinfo) -> datetime | None:
    """Return the moment that `value` means, in UTC, or None where nothing is given (None or a blank text).

    A naive time is one in `timezone`; a date alone is the start of that day there. A time that a change of clocks
    skips is read with the offset before the change; one that comes twice is the first. Raises ValueError.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    parsed = _parsed(value)
    if parsed is None:
        raise ValueError(f"{_shown(value)} is no date: write 2026-11-24, or 2026-11-24T08:30:00+03:00.")
    if parsed.utcoffset() is None:
        parsed = parsed.replace(tzinfo=timezone)
    try:
        in_utc = parsed.astimezone(UTC)
    except (OverflowError, ValueError):
        in_utc = None
    if in_utc is None:
        raise ValueError(f"{_shown(value)} lies outside the years 1 to 9999.")
    return in_utc


def moments(before: DateLike, after: DateLike, timezone: tzinfo) -> tuple[datetime | None, datetime | None]:
    """Return the moments that `before` and `after` mean, None where not given.

    Raises ValueError, also if after > before.
    """
    last, first = moment(before, timezone), moment(after, timezone)
    if last is not None and first is not None and first > last:
        raise ValueError("The window of dates ends before it begins: after_date is later than before_date.")
    return last, first


def window(before: DateLike, after: DateLike, timezone: tzinfo) -> tuple[str, str]:
    """Return `before` and `after` as they are sent ("" where not given). Raises ValueError, also if after > before."""
    last, first = moments(before, after, timezone)
    return as_sent(last), as_sent(first)


def as_sent(in_utc: datetime | None) -> str:
    """Return a moment of UTC with microseconds and Z: a shorter stamp would miss rows within its last second."""
    if in_utc is None:
        return ""
    return in_utc.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def parse_uuid(value: object) -> UUID | None:
    """Return the UUID that `value` is or writes (hyphens, braces and `urn:uuid:` are optional), else None."""
    if isinstance(value, UUID):
        return value
    if not isinstance(value, str):
        return None
    digits = value.replace("urn:", "").replace("uuid:", "").strip("{}").replace("-", "")
    return UUID(hex=digits) if _HEX.fullmatch(digits) else None


def require_uuid(value: object) -> UUID:
    """Return the UUID that `value` is or writes. Raises ValueError, for an empty text too."""
    parsed = parse_uuid(value)
    if parsed is None:
        raise ValueError(f"{_shown(value)} is no UUID.")
    return parsed


def _parsed(value: object) -> datetime | None:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime.combine(value, time.min)
    text = value.strip() if isinstance(value, str) else ""
    if not _ISO.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _shown(value: object) -> str:
    """Return `value` for a message: short, and with nothing that a log or a terminal would act on."""
    return ascii(value)[:_SHOWN]
