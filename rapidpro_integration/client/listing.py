"""A whole list, page after page: each row once, and nothing lost."""

import asyncio
from collections.abc import AsyncGenerator, Hashable
from typing import Any, Protocol

from msgspec import Struct

from rapidpro_integration.client.decoding import Decoded, following_of
from rapidpro_integration.client.resources import Resource
from rapidpro_integration.client.transport import MAX_BODY_BYTES, Answer, Params
from rapidpro_integration.client.types import Page, StoppedBecause

type Position = tuple[tuple[str, str], ...]

#: Rows of a full page; no server lets a client choose.
PAGE_ROWS = 250
# 25,000 rows. The largest workspace that we know of has a tenth of that in flows.
MAX_PAGES = 100


class Asker(Protocol):
    """What gets pages and reads them: a Connection."""

    @property
    def bytes_left(self) -> int:
        """The bytes that the operation may still take."""

    async def get(self, path: str, params: Params) -> Answer:
        """Return the answer to a GET."""

    def read[T: Struct](self, resource: Resource[T], answer: Answer) -> Decoded[T]:
        """Return the page of a list that an answer holds."""


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
    asker: Asker, resource: Resource[T], params: Params, max_pages: int = MAX_PAGES, *, ahead: bool = False
) -> AsyncGenerator[Page[T]]:
    """Iterate over the pages in the server's order. An empty page with a `next` does not end the list.

    Stops, and says so on its last page, at a position that was there before, at `max_pages`, and when the operation
    has taken as many bytes as it may. With `ahead` a page is asked for while the one before it is being read: for who
    takes them all, since a request is in vain otherwise. Raises AbstractRequestException.
    """
    known, positions, position = Known[T](), set[Position](), dict[str, str]()
    asked: asyncio.Task[Answer] | None = None

    def stopped_at(following: dict[str, str]) -> StoppedBecause:
        return _stopped(following, _key(following) in positions, number == max_pages, asker.bytes_left)

    try:
        for number in range(1, max_pages + 1):
            answer = await (asked or asker.get(resource.path, {**params, **position}))
            asked = None
            expected = following_of(answer, resource.position) if ahead else None
            if expected and not stopped_at(expected):
                asked = asyncio.create_task(asker.get(resource.path, {**params, **expected}))
                await asyncio.sleep(0)  # it is on its way now
            rows, unreadable_count, position = asker.read(resource, answer)
            if asked is not None and position != expected:
                await _leave(asked)
                asked = None
            stopped = stopped_at(position)
            yield Page(number, known.new(rows), unreadable_count, stopped, position)
            if stopped or not position:
                return
            positions.add(_key(position))
    finally:
        if asked is not None:
            await _leave(asked)


async def _leave(task: asyncio.Task[Answer]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _key(position: dict[str, str]) -> Position:
    return tuple(sorted(position.items()))


def _stopped(position: dict[str, str], seen: bool, last: bool, bytes_left: int) -> StoppedBecause:
    if not position:
        return ""
    if seen:
        return "repeated_cursor"
    if last:
        return "page_cap"
    return "size_cap" if bytes_left < MAX_BODY_BYTES else ""
