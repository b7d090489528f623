"""Pages of 250 with opaque cursors: a position in time, a direction, and an offset among rows of one moment.

Source: the cursors in tests/recordings, and Django REST framework's documentation of cursor pagination.
"""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

from rapidpro_integration.sandbox.errors import InvalidCursor, ServerFailure
from rapidpro_integration.sandbox.model import Row

PAGE_SIZE = 250
MAX_OFFSET = 100_000

#: How a row's place is read: a moment, or text where a list is ordered by text.
type Position = Callable[[Row], Any]


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins: after `position` in reading direction, and then `offset` rows further."""

    offset: int = 0
    reverse: bool = False
    position: str | None = None

    @classmethod
    def decode(cls, text: str) -> "Cursor":
        """Return the cursor; empty text is the first page.

        Raises: InvalidCursor if it is not base64 or has a wrong offset.
        """
        try:
            tokens = parse_qs(base64.b64decode(text.encode("ascii")).decode("ascii"), keep_blank_values=True)
            offset = int(tokens.get("o", ["0"])[0])
            reverse = bool(int(tokens.get("r", ["0"])[0]))
        except ValueError:
            raise InvalidCursor from None
        if offset < 0:
            raise InvalidCursor
        return cls(min(offset, MAX_OFFSET), reverse, tokens.get("p", [None])[0])

    def encode(self) -> str:
        """Return the opaque text of this cursor."""
        tokens = {}
        if self.offset:
            tokens["o"] = str(self.offset)
        if self.reverse:
            tokens["r"] = "1"
        if self.position is not None:
            tokens["p"] = self.position
        return base64.b64encode(urlencode(tokens).encode("ascii")).decode("ascii")

    def moment(self) -> datetime | None:
        """Return the position as a moment.

        Raises: ServerFailure if it is no time: RapidPro does not look at it before its database does.
        """
        if self.position is None:
            return None
        try:
            moment = datetime.fromisoformat(self.position)
        except ValueError:
            raise ServerFailure("the cursor's position is no time") from None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Page:
    """The rows of one page and the cursors beside it, None where the list ends."""

    rows: Sequence[Row]
    next: Cursor | None
    previous: Cursor | None


def cut_page(
    rows: Sequence[Row],
    cursor: Cursor,
    position: Position,
    *,
    ascending: bool = False,
    by_text: bool = False,
    size: int = PAGE_SIZE,
) -> Page:
    """Return the page where the cursor points; `rows` are in list order already."""
    at = cursor.position if by_text else cursor.moment()
    walk = list(reversed(rows)) if cursor.reverse else rows
    if at is not None:
        onward = cursor.reverse == ascending
        walk = [row for row in walk if (position(row) < at if onward else position(row) > at)]
    beyond = walk[cursor.offset : cursor.offset + size + 1]
    page = list(beyond[:size])
    more = _text(beyond[size], position) if len(beyond) > size else None
    behind = cursor.position is not None or cursor.offset > 0
    if cursor.reverse:
        page.reverse()
        return Page(
            page,
            _beside(page, cursor, position, cursor.position, more, reverse=False, size=size) if behind else None,
            _beside(page, cursor, position, more, cursor.position, reverse=True, size=size) if more else None,
        )
    return Page(
        page,
        _beside(page, cursor, position, more, cursor.position, reverse=False, size=size) if more else None,
        _beside(page, cursor, position, cursor.position, more, reverse=True, size=size) if behind else None,
    )


def _beside(
    page: Sequence[Row],
    cursor: Cursor,
    position: Position,
    target: str | None,
    opposite: str | None,
    *,
    reverse: bool,
    size: int,
) -> Cursor:
    """Return the cursor of a neighbour page: `target` is the position beyond that edge, `opposite` beyond the other.

    Rows of one moment cannot be told apart by position, so rows at the edge that share it are skipped by offset.
    """
    if not page:
        return Cursor(0, reverse, target)
    ordered = page if reverse else list(reversed(page))
    texts = [_text(row, position) for row in ordered]
    turned = cursor.reverse != reverse
    compare = texts[0] if turned and cursor.offset else target
    same = sum(1 for _ in takewhile(lambda text: text == compare, texts))
    if same < len(texts):
        return Cursor(same, reverse, texts[same])
    other_end = opposite is not None or (cursor.offset > 0 and not turned)
    if not other_end:
        return Cursor(size, reverse, None)
    if turned:
        return Cursor(0, reverse, opposite)
    return Cursor(cursor.offset + size, reverse, opposite)


def _text(row: Row, position: Position) -> str:
    return str(position(row))


def with_cursor(url: str, cursor: Cursor) -> str:
    """Return the address with this cursor."""
    return with_params(url, cursor=cursor.encode())


def with_params(url: str, **changes: str | int | None) -> str:
    """Return the address with these parameters, None removing one: all others are kept, empty ones too, sorted."""
    parts = urlsplit(url)
    query = parse_qs(parts.query, keep_blank_values=True)
    for name, value in changes.items():
        query.pop(name, None)
        if value is not None:
            query[name] = [str(value)]
    return urlunsplit(parts._replace(query=urlencode(sorted(query.items()), doseq=True)))
