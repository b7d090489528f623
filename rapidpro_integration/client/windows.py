"""A whole list, many pages at once: the window of time is split, and split again where there turns out to be more.

It takes no fewer requests than page after page: a few more, and they are the workspace's. So it is for when a person
waits. The first requests are for windows that grow in width on the way back, since most of what there is is young.
From then on each page tells how many rows are about left where it came from: a place that is free goes to where most
are left, and to nobody where less than a page is.
Source: `before` and `after` are inclusive, to the microsecond, and a cursor keeps its meaning when a filter beside it
changes (../shared/rapidpro-api.md, section 4).
"""

import asyncio
import base64
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from operator import attrgetter

from msgspec import Struct

from rapidpro_integration.client import dates
from rapidpro_integration.client.errors import TooLargeException
from rapidpro_integration.client.listing import PAGE_ROWS, Asker, Known, aiter_pages
from rapidpro_integration.client.resources import Resource
from rapidpro_integration.client.transport import MAX_BODY_BYTES, Params
from rapidpro_integration.client.types import Rows

# RapidPro's first commit is of 2012: nothing in any workspace is older.
_BEGINNING = datetime(2011, 1, 1, tzinfo=UTC)
# Two clocks that agree less well than this are somebody's problem already.
_CLOCKS_DIFFER = timedelta(minutes=2)
_SHORTEST = timedelta(milliseconds=1)
# The first answers come together, and say together where the rows are: worth so long a wait for the last of them.
_TOGETHER_S = 0.05
# The first windows: most of what there is was touched in these years, and each window is wider than the next younger.
_RECENT = timedelta(days=1500)
_WIDER = 1.35
# Narrower windows than so many make are hardly ever full.
_MOST_WINDOWS = 28
# So many rows say something of how the others lie in time, and so much is believed of it.
_TELLING = 20
_BELIEVED = 0.8
# Rows from before a window are in it since they moved there: so much of that time is counted as full of them.
_FROM_BEFORE = 0.25
# A part that is thought to hold more is worth two requests. A little less than a page: the thought is not exact.
_WORTH_SPLITTING = 0.95 * PAGE_ROWS


@dataclass(frozen=True, slots=True)
class _Part:
    """A window, both ends inclusive, None for open ones, and where in its list to go on.

    `oldest` is the oldest moment seen so far of a list that goes down its window: all that is left is as old or older.
    `seen` are the moments of the last page of any other list, oldest first: what is left may lie in time as they do.
    `reached` is where its list has come to in its order, and `pace` how many rows it had a second of that on the way.
    """

    after: datetime | None
    before: datetime | None
    position: dict[str, str] = field(default_factory=dict)
    oldest: datetime | None = None
    seen: tuple[datetime, ...] = ()
    reached: datetime | None = None
    pace: float = 0.0

    def params(self) -> dict[str, str]:
        bounds = {"after": dates.as_sent(self.after), "before": dates.as_sent(self.before)}
        return {name: value for name, value in bounds.items() if value} | self.position

    def span(self) -> tuple[datetime, datetime]:
        """Return the ends of what is left."""
        return self.after or _BEGINNING, self.oldest or self.before or datetime.now(UTC)

    def split(self, ways: int, floor: datetime) -> "list[_Part]":
        """Return what is left in at most so many parts, the youngest first.

        Hardly anything is thought to be older than `floor`.
        """
        first, last = self.span()
        ways = min(ways, int((last - first) / _SHORTEST))
        if ways < 2 or not (self.oldest or _is_place_in_time(self.position)):
            return [self]
        edges = self._edges(ways, floor)
        if not edges:
            return [self]
        # A list that goes down its window has nothing of the younger parts left: only the youngest goes on in it.
        position = {} if self.oldest else self.position
        older = [_Part(after, before, position) for after, before in zip([*edges[1:], self.after], edges, strict=True)]
        return [_Part(edges[0], self.before, self.position, self.oldest), *older]

    def _edges(self, ways: int, floor: datetime) -> list[datetime]:
        """Return moments between the parts, youngest first, such that about as many rows lie in each.

        They lie evenly, as far as anybody knows. Those of a list that has come to a time before its window have all
        moved there since: there the next ones lie as the last ones did.
        """
        first, last = self.span()
        if first < floor < last:
            first = floor
        seen = [moment for moment in self.seen if first < moment < last]
        have_moved = self.reached is not None and self.reached <= first
        believed = _BELIEVED if have_moved and len(seen) >= _TELLING else 0.0

        def share_before(moment: datetime) -> float:
            evenly = (moment - first) / (last - first)
            return evenly + believed * (bisect_left(seen, moment) / len(seen) - evenly) if believed else evenly

        edges = {_where(share_before, number / ways, first, last) for number in range(1, ways)}
        return sorted((edge for edge in edges if first < edge < last), reverse=True)


def _where(growing: Callable[[datetime], float], wanted: float, first: datetime, last: datetime) -> datetime:
    """Return the moment at which a growing function of time comes to a value, to a millisecond."""
    while last - first > _SHORTEST:
        middle = first + (last - first) / 2
        if growing(middle) < wanted:
            first = middle
        else:
            last = middle
    return last


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
        self.known = Known[T]()
        self._asked: set[tuple[object, ...]] = set()
        self._goes_down = resource.order == resource.window
        # The oldest moment seen so far, in the list's order, and whether a part with rows has come to its end.
        self._oldest, self._has_ended = datetime.max.replace(tzinfo=UTC), False
        self._are_all_busy = False
        self.rows: Rows[T] = Rows()

    async def fetch(self, parts: list[_Part]) -> None:
        """Ask for all parts and what follows them. The first failure ends everything that is under way."""
        tasks = set[asyncio.Task[_Part | None]]()
        together_s = _TOGETHER_S
        try:
            while parts or tasks:
                while parts and len(tasks) < self._concurrency and self._may_ask():
                    tasks.add(asyncio.create_task(self._ask(parts.pop(0))))
                if not tasks:
                    return
                self._are_all_busy = len(tasks) == self._concurrency and not together_s
                done, under_way = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                self._are_all_busy = False
                if under_way and together_s and not any(task.exception() for task in done):
                    # The first answers say together where the rows are, and come together.
                    more, under_way = await asyncio.wait(under_way, timeout=together_s)
                    done |= more
                together_s = 0.0
                left = [part for task in done if (part := task.result()) is not None]
                tasks = under_way
                parts = self._shared_out(parts + left, self._concurrency - len(tasks))
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
        """Take pages of a part, as long as no place is free to share it with, and return what is left of it."""
        while (left := await self._page(part)) is not None and self._are_all_busy and self._may_ask():
            part = left
        if left is None:
            self._are_all_busy = False
        return left

    async def _page(self, part: _Part) -> _Part | None:
        """Take a page of a part, and return what is left of it."""
        try:
            answer = await self._asker.get(self._resource.path, {**self._params, **part.params()})
        except TooLargeException:
            if self._asker.bytes_left >= MAX_BODY_BYTES:
                raise
            # Those beside it have taken what the operation might still take.
            self.rows.stopped_because = "size_cap"
            return None
        rows, unreadable_count, position = self._asker.read(self._resource, answer)
        self.rows.extend(self.known.new(rows))
        self.rows.unreadable_count += unreadable_count
        self.rows.fetched_at = datetime.now(UTC)
        moments = sorted(filter(None, map(attrgetter(self._resource.order), rows)))
        key = (part.after, part.before, *sorted(position.items()))
        if moments:
            self._oldest = min(moments[0], self._oldest)
        if not position:
            self._has_ended = self._has_ended or bool(moments)
            return None
        if key in self._asked:
            self.rows.stopped_because = "repeated_cursor"
            return None
        self._asked.add(key)
        left = replace(part, position=position)
        if moments:
            seconds = max((moments[-1] - moments[0]).total_seconds(), 1e-6)
            left = replace(left, reached=moments[0], pace=len(moments) / seconds)
        if self._goes_down:
            return replace(left, oldest=left.reached or part.oldest)
        return replace(left, seen=tuple(sorted(filter(None, map(attrgetter(self._resource.window), rows)))))

    def _rows_left(self, part: _Part) -> float:
        """Return about how many rows are left of a part: as many a second as in its last page, back to its end."""
        if part.reached is None:
            return PAGE_ROWS
        start = part.span()[0]
        end = self._oldest if self._has_ended and self._oldest < part.reached else _BEGINNING
        if self._goes_down or self._resource.order_is_later:
            end = start
        elif part.reached > start > end:
            end = start - (start - end) * _FROM_BEFORE
        return part.pace * max((part.reached - end).total_seconds(), 0.0)

    def _shared_out(self, parts: list[_Part], places: int) -> list[_Part]:
        """Return the parts, those with most rows first, and split where a free place is worth it."""
        left = [self._rows_left(part) for part in parts]
        ways = [1] * len(parts)
        for _ in range(places - len(parts) if parts else 0):
            share, most = max((left[place] / ways[place], place) for place in range(len(parts)))
            if share < _WORTH_SPLITTING:
                break
            ways[most] += 1
        floor = self._oldest if self._has_ended and not self._goes_down else _BEGINNING
        order = sorted(range(len(parts)), key=lambda place: left[place] / ways[place], reverse=True)
        return [part for place in order for part in parts[place].split(ways[place], floor)]


def _first_parts(after: datetime | None, before: datetime | None, ways: int) -> list[_Part]:
    """Return windows that together are the wanted one, each _WIDER times as wide as the next younger one.

    Where the wanted one has no beginning, the oldest holds all that is older than _RECENT.
    """
    now = datetime.now(UTC)
    last = before or now
    first = after or max(min(last, now), _BEGINNING + _RECENT) - _RECENT
    ways = min(ways, _MOST_WINDOWS) - (after is None)
    unit = (last - first) / (_WIDER**ways - 1)
    edges = [last - unit * (_WIDER**number - 1) for number in range(1, ways)] + [first] * (after is None)
    edges = [edge for edge in edges if (after or _BEGINNING) < edge < last]
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
        await aadd_moved(asker, resource, params, window[0], started, split.rows, split.known)
    return split.rows


async def aadd_moved[T: Struct](
    asker: Asker,
    resource: Resource[T],
    params: Params,
    after: datetime | None,
    started: datetime,
    rows: Rows[T],
    known: Known[T] | None = None,
) -> None:
    """Add to `rows` what was modified since `started`, and so moved to where the list had been read already.

    `known` are those rows, where somebody has them ready. Rows that cannot be read were counted the first time. Raises
    AbstractRequestException.
    """
    if known is None:
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
