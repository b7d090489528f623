"""A request's parameters, read as RapidPro reads them: some strictly, most not at all."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import parse_qsl
from uuid import UUID

from rapidpro_integration.sandbox.errors import BadParam

MAX_VALUES = 100

_DATE = re.compile(
    r"(?P<year>\d{4})"
    r"(?:(?:-(?P<month>\d{1,2})|(?P<month_compact>\d{2})(?=\d))"
    r"(?:(?:-(?P<day>\d{1,2})|(?P<day_compact>\d{2}))"
    r"(?:[ T](?P<hour>\d{2})(?::?(?P<minute>\d{2})(?::?(?P<second>\d{2})(?:[.,](?P<fraction>\d+))?)?)?"
    r"(?P<zone>Z|[-+]\d{2}:?(?:\d{2})?)?)?)?)?",
    re.ASCII,
)


class Params:
    """The parameters of one request, in the order they came."""

    def __init__(self, query: str) -> None:
        self._pairs = parse_qsl(query, keep_blank_values=True)

    def all(self, name: str) -> list[str]:
        """Return every value of a repeated parameter."""
        return [value for key, value in self._pairs if key == name]

    def last(self, name: str) -> str:
        """Return the value that counts for most parameters, "" if there is none."""
        return next((value for key, value in reversed(self._pairs) if key == name), "")

    def names(self) -> list[str]:
        """Return the names, each once, sorted."""
        return sorted({key for key, _ in self._pairs})

    def uuid(self, name: str) -> str | None:
        """Return the *first* value as a canonical UUID, None if the parameter is absent.

        Raises: BadParam for anything but a UUID, empty text included, and for more than 100 values.
        """
        uuids = self.uuids(name, only=1)
        return uuids[0] if uuids else None

    def uuids(self, name: str, only: int = MAX_VALUES) -> list[str] | None:
        """Return the first `only` values as canonical UUIDs, None if the parameter is absent.

        Raises: BadParam for anything but UUIDs, empty text included, and for more than 100 values.
        """
        values = self.all(name)
        if not values:
            return None
        if len(values) > MAX_VALUES:
            raise BadParam(f"Param '{name}' can have a maximum of {MAX_VALUES} values.")
        uuids = []
        for value in values[:only]:
            canonical = as_uuid(value)
            if canonical is None:
                raise BadParam(f"Param '{name}': {value} is not a valid UUID.")
            uuids.append(canonical)
        return uuids

    def integer(self, name: str) -> int | None:
        """Return a whole number, None if the parameter is absent or empty."""
        value = self.last(name)
        if not value:
            return None
        try:
            return int(value)
        except ValueError:
            raise BadParam(f"Value for {name} must be an integer") from None

    def flag(self, name: str) -> bool | None:
        """Return what a yes-or-no parameter means: None if absent or empty, False for any unknown word."""
        value = self.last(name)
        return value.lower() in {"true", "1", "yes", "y", "t", "on"} if value else None

    def only_one_of(self, names: Sequence[str]) -> None:
        """Raise BadParam if more than one of these parameters has a value."""
        if sum(bool(self.last(name)) for name in names) > 1:
            raise BadParam(f"You may only specify one of the {', '.join(names)} parameters")


def as_uuid(text: str) -> str | None:
    """Return a UUID in its usual spelling, also from capitals, braces, urn: or without hyphens; None if it is none."""
    try:
        return str(UUID(text))
    except ValueError:
        return None


def as_moment(text: str) -> datetime | None:
    """Return the moment that an ISO 8601 text means, None if it is malformed; no zone means UTC.

    A raw `+` arrives as a space, and is malformed. Nanoseconds are cut to microseconds.
    """
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    parts = match.groupdict()
    fraction = (parts["fraction"] or "0").ljust(6, "0")[:6]
    try:
        return datetime(
            int(parts["year"]),
            int(parts["month"] or parts["month_compact"] or 1),
            int(parts["day"] or parts["day_compact"] or 1),
            int(parts["hour"] or 0),
            int(parts["minute"] or 0),
            int(parts["second"] or 0),
            int(fraction),
            tzinfo=_zone(parts["zone"]),
        )
    except ValueError:
        return None


def _zone(text: str | None) -> timezone:
    if text is None or text == "Z":
        return UTC
    digits = text[1:].replace(":", "")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:] or 0))
    return timezone(-offset if text[0] == "-" else offset)
