"""A whole list, many pages at once: the window of time is split, and split again where there turns out to be more.

It takes no fewer requests than page after page: a few more, and they are the workspace's. So it is for when a person
waits. The first requests are for windows that grow in width on the way back, since most of what there is is young;
a page that has a next one is continued in as many parts as there are free places.
Source: `before` and `after` are inclusive, to the microsecond, and a cursor keeps its meaning when a filter beside it
changes (../shared/rapidpro-api.md, section 4).
"""

import asyncio
import base64
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import attrgetter

from msgspec import Struct

from rapidpro_integration.client import dates
from rapidpro_integration.client.listing import PAGE_ROWS, Asker, Known, aiter_pages
from rapidpro_integration.client.resources import Resource
from rapidpro_integration.client.transport import MAX_BODY_BYTES, Params
from rapidpro_integration.client.types import Rows

# RapidPro's first commit is of 2012: nothing in any workspace is older.
_BEGINNING = datetime(2011, 1, 1, tzinfo=UTC)
# Two clocks that agree less well than this are somebody's problem already.
_CLOCKS_DIFFER = timedelta(minutes=2)
_SHORTEST = timedelta(milliseconds=1)
_TOGETHER_S = 0.015
_TELLING = 20
_WIDER = 1.5
# Of fifteen years the youngest of so many windows has an hour; narrower ones are hardly ever full.
_MOST_WINDOWS = 28


@dataclass(frozen=True, slots=True)
class _Part:
    """A window, both ends inclusive, None for open ones, and where in its list to go on.

    `oldest` is the oldest moment seen so far of a list that goes down its window: all that is left is as old or older.
    `seen` are the moments of the last page of any other list, youngest first: what is left may lie in time as they do.
    """

    after: datetime | None
    before: datetime | None
    position: dict[str, str] = field(default_factory=dict)
    oldest: datetime | None = None
    seen: tuple[datetime, ...] = ()

    def params(self) -> dict[str, str]:
        bounds = {"after": dates.as_sent(self.after), "before": dates.as_sent(self.before)}
        return {name: value for name, value in bounds.items() if value} | self.position

    def span(self) -> tuple[datetime, datetime]:
        """Return the ends of what is left."""
        return self.after or _BEGINNING, self.oldest or self.before or datetime.now(UTC)

    def width(self) -> timedelta:
        first, last = self.span()
        return max(last - first, timedelta(0))

    def split(self, ways: int) -> "list[_Part]":
        """Return what is left in at most so many parts, the youngest first."""
        ways = min(ways, int(self.width() / _SHORTEST))
        if ways < 2 or not (self.oldest or _is_place_in_time(self.position)):
            return [self]
        edges = self._edges(ways)
        if not edges:
            return [self]
        # A list that goes down its window has nothing of the younger parts left: only the youngest goes on in it.
        position = {} if self.oldest else self.position
        older = [_Part(after, before, position) for after, before in zip([*edges[1:], self.after], edges, strict=True)]
        return [_Part(edges[0], self.before, self.position, self.oldest), *older]

    def _edges(self, ways: int) -> list[datetime]:
        """Return moments between the parts, youngest first: half of them by width, half where what was seen lies thick.

        What was seen are the rows that were made last; where those were also modified last, only the width helps.
        """
        first, last = self.span()
        seen = [moment for moment in self.seen if first < moment < last]
        by_seen = (ways - 1) // 2 if len(seen) >= _TELLING else 0
        by_width = ways - 1 - by_seen
        edges = {last - (last - first) * number / (by_width + 1) for number in range(1, by_width + 1)}
        edges |= {seen[len(seen) * number // (by_seen + 1)] for number in range(1, by_seen + 1)}
        return sorted((edge for edge in edges if first < edge < last), reverse=True)


def _is_place_in_time(position: dict[str, str]) -> bool:
    """Say whether a position is a moment and nothing else, so that it means the same in each part of its window.

    One that also counts rows of one moment would skip as many in each part.
    """
    try:
        text = base64.b64decode(position.get("cursor", ""), validate=True).decode("ascii")
    except ValueError:
        return False
    return text.startswith("p=") and "&" not in text


class _Split[T: Struct]:
    """One list on its way."""

    def __init__(self, asker: Asker, resource: Resource[T], params: Params, concurrency: int, max_pages: int) -> None:
        self._asker, self._resource, self._params = asker, resource, params
        self._concurrency, self._max_rows = concurrency, max_pages * PAGE_ROWS
        # Split lists have pages that are not full; four times as many are a list without end.
        self._pages_left = 4 * max_pages + concurrency
        self._known = Known[T]()
        self._asked: set[tuple[object, ...]] = set()
        self.rows: Rows[T] = Rows()

    async def fetch(self, parts: list[_Part]) -> None:
        """Ask for all parts and what follows them. The first failure ends everything that is under way."""
        tasks = set[asyncio.Task[_Part | None]]()
        try:
            while parts or tasks:
                while parts and len(tasks) < self._concurrency and self._may_ask():
                    tasks.add(asyncio.create_task(self._ask(parts.pop(0))))
                if not tasks:
                    return
                done, under_way = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                if under_way and any(task.result() is None for task in done):
                    # Places are free, and what was asked together comes back together: more to share out to them.
                    more, under_way = await asyncio.wait(under_way, timeout=_TOGETHER_S)
                    done |= more
                left = [part for task in done if (part := task.result()) is not None]
                tasks = under_way
                parts = _shared_out(parts + left, self._concurrency - len(tasks))
        finally:
            # Those that have failed besides the first are among them: nobody else would hear of it.
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _may_ask(self) -> bool:
        if self._pages_left < 1 or len(self.rows) > self._max_rows:
            self.rows.stopped_because = "page_cap"
        elif self._asker.bytes_left < MAX_BODY_BYTES:
            self.rows.stopped_because = "size_cap"
        else:
            self._pages_left -= 1
            return True
        return False

    async def _ask(self, part: _Part) -> _Part | None:
        """Take a page of a part, and return what is left of it."""
        answer = await self._asker.get(self._resource.path, {**self._params, **part.params()})
        rows, unreadable_count, position = self._asker.read(self._resource, answer)
        self.rows.extend(self._known.new(rows))
        self.rows.unreadable_count += unreadable_count
        self.rows.fetched_at = datetime.now(UTC)
        key = (part.after, part.before, *sorted(position.items()))
        if not position:
            return None
        if key in self._asked:
            self.rows.stopped_because = "repeated_cursor"
            return None
        self._asked.add(key)
        moments = sorted(filter(None, map(attrgetter(self._resource.window), rows)), reverse=True)
        if self._resource.order == self._resource.window:
            return _Part(part.after, part.before, position, moments[-1] if moments else part.oldest)
        return _Part(part.after, part.before, position, seen=tuple(moments))


def _shared_out(parts: list[_Part], places: int) -> list[_Part]:
    """Return the parts split so that there is one for each free place, wide ones in more than narrow ones."""
    spare = places - len(parts)
    if spare < 1 or not parts:
        return parts
    whole = sum((part.width() for part in parts), timedelta(0)) or timedelta(1)
    shared = []
    for part in parts:
        shared += part.split(1 + round(spare * (part.width() / whole)))
    return shared


def _first_parts(after: datetime | None, before: datetime | None, ways: int) -> list[_Part]:
    """Return windows that together are the wanted one, each _WIDER times as wide as the next younger one."""
    first, last = after or _BEGINNING, before or datetime.now(UTC)
    ways = min(ways, _MOST_WINDOWS)
    unit = (last - first) / (_WIDER**ways - 1)
    edges = [last - unit * (_WIDER**number - 1) for number in range(1, ways)]
    edges = [edge for edge in edges if first < edge < last]
    return [_Part(older, younger) for older, younger in zip([*edges, after], [before, *edges], strict=True)]


async def aget_split[T: Struct](
    asker: Asker,
    resource: Resource[T],
    params: Params,
    window: tuple[datetime | None, datetime | None],
    concurrency: int,
    max_pages: int,
) -> Rows[T]:
    """Return the whole list between two moments (after, before), in no order.

    `concurrency` requests at most are under way at a time. Raises AbstractRequestException.
    """
    started = datetime.now(UTC)
    split = _Split(asker, resource, params, concurrency, max_pages)
    await split.fetch(_first_parts(*window, concurrency))
    if resource.rows_move and window[1] is None and not split.rows.stopped_because:
        # What was modified meanwhile may have moved from a window not yet asked into one that was.
        await aadd_moved(asker, resource, params, window[0], started, split.rows)
    return split.rows


async def aadd_moved[T: Struct](
    asker: Asker, resource: Resource[T], params: Params, after: datetime | None, started: datetime, rows: Rows[T]
) -> None:
    """Add to `rows` what was modified since `started`, and so moved to where the list had been read already.

    Rows that cannot be read were counted the first time. Raises AbstractRequestException.
    """
    known = Known[T]()
    known.new(rows)
    bounds = {"after": dates.as_sent(max(filter(None, (after, started - _CLOCKS_DIFFER))))}
    if resource.order == resource.window:
        # The oldest first: what is modified again meanwhile moves to where the reading still goes.
        bounds["reverse"] = "true"
    async for page in aiter_pages(asker, resource, {**params, **bounds}):
        rows.extend(known.new(list(page.rows)))
        rows.stopped_because = page.stopped_because
        rows.fetched_at = page.fetched_at
