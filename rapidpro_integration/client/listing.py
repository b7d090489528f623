"""A whole list, page after page: each row once, and nothing lost."""

from collections.abc import AsyncGenerator, Hashable
from typing import Any, Protocol

from msgspec import Struct

from rapidpro_integration.client.decoding import Decoded
from rapidpro_integration.client.resources import Resource
from rapidpro_integration.client.transport import MAX_BODY_BYTES, Params
from rapidpro_integration.client.types import Page, StoppedBecause

#: Rows of a full page; no server lets a client choose.
PAGE_ROWS = 250
# 25,000 rows. The largest workspace that we know of has a tenth of that in flows.
MAX_PAGES = 100


class Asker(Protocol):
    """What gets one page: a Connection."""

    @property
    def bytes_left(self) -> int:
        """The bytes that the operation may still take."""

    async def page[T: Struct](self, resource: Resource[T], params: Params) -> Decoded[T]:
        """Return a page of a list."""


class Known[T]:
    """The rows that have been seen: servers repeat some at the edges of pages and windows."""

    def __init__(self) -> None:
        self._seen: set[Hashable] = set()

    def new(self, rows: list[T]) -> tuple[T, ...]:
        """Return the rows that have not been seen before, which they then have."""
        fresh: list[T] = []
        for row in rows:
            identity: Any = row.identity  # type: ignore[attr-defined]  # every row type has one; a test looks
            if identity is None:
                fresh.append(row)
            elif identity not in self._seen:
                self._seen.add(identity)
                fresh.append(row)
        return tuple(fresh)


async def aiter_pages[T: Struct](
    asker: Asker, resource: Resource[T], params: Params, max_pages: int = MAX_PAGES
) -> AsyncGenerator[Page[T]]:
    """Iterate over the pages in the server's order. An empty page with a `next` does not end the list.

    Stops, and says so on its last page, at a position that was there before, at `max_pages`, and when the operation
    has taken as many bytes as it may. Raises AbstractRequestException.
    """
    known, positions, position = Known[T](), set[tuple[tuple[str, str], ...]](), dict[str, str]()
    for number in range(1, max_pages + 1):
        rows, unreadable_count, position = await asker.page(resource, {**params, **position})
        key = tuple(sorted(position.items()))
        stopped = _stopped(position, key in positions, number == max_pages, asker.bytes_left)
        yield Page(number, known.new(rows), unreadable_count, stopped, position)
        if stopped or not position:
            return
        positions.add(key)


def _stopped(position: dict[str, str], seen: bool, last: bool, bytes_left: int) -> StoppedBecause:
    if not position:
        return ""
    if seen:
        return "repeated_cursor"
    if last:
        return "page_cap"
    return "size_cap" if bytes_left < MAX_BODY_BYTES else ""
