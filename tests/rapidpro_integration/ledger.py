"""A list whose rows a test chooses, and changes while they are read; windows and cursors as RapidPro's."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx

from rapidpro_integration.client import pools
from rapidpro_integration.sandbox.paging import Cursor, cut_page


@dataclass
class Entry:
    """A row: `number` is the server's id, that ties are sorted by."""

    number: int
    created_on: datetime
    modified_on: datetime
    sent_on: datetime

    def body(self) -> dict[str, Any]:
        moments = {name: getattr(self, name).isoformat() for name in ("created_on", "modified_on", "sent_on")}
        return {"uuid": str(UUID(int=self.number)), "name": str(self.number), **moments}


@dataclass
class Ledger:
    """Answers lists of `entries`, `size` rows a page; `before_answer` is called with the number of each request."""

    entries: list[Entry]
    size: int = 4
    before_answer: Callable[[int], None] = lambda number: None
    requests: list[dict[str, str]] = field(default_factory=list)

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """Return a page of runs, flows or messages."""
        params = dict(request.url.params)
        self.requests.append(params)
        self.before_answer(len(self.requests))
        name = request.url.path.removeprefix("/api/v2/").removesuffix(".json")
        window = "created_on" if name == "messages" else "modified_on"
        order = {"flows": "created_on", "runs": "modified_on", "messages": "created_on"}[name]
        order = "sent_on" if params.get("folder") == "sent" else order
        reverse = "reverse" in params
        rows = [one for one in self.entries if _inside(getattr(one, window), params)]
        rows.sort(key=lambda one: (getattr(one, order), one.number), reverse=not reverse)
        page = cut_page(
            rows,  # type: ignore[arg-type]
            Cursor.decode(params.get("cursor", "")),
            lambda one: getattr(one, order),
            ascending=reverse,
            size=self.size,
        )
        following = f"https://rapidpro.example/?cursor={page.next.encode()}" if page.next else None
        return httpx.Response(200, json={"next": following, "results": [one.body() for one in page.rows]})

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Answer everything that goes out of loops to come."""
        pools.use_wire(lambda _: httpx.MockTransport(self.answer))
        try:
            yield
        finally:
            pools.use_wire(None)


def _inside(moment: datetime, params: dict[str, str]) -> bool:
    after, before = params.get("after"), params.get("before")
    return not (after and moment < datetime.fromisoformat(after)) and not (
        before and moment > datetime.fromisoformat(before)
    )


def entries(*moments: datetime) -> list[Entry]:
    """Return rows made and changed at these moments; ids are in the order of creation."""
    return [Entry(number, moment, moment, moment) for number, moment in zip(itertools.count(1), sorted(moments))]


_last = datetime.min.replace(tzinfo=UTC)


def touch(entry: Entry) -> None:
    """Modify a row, now: at a microsecond at which no other row was."""
    global _last
    _last = max(datetime.now(UTC), _last + timedelta(microseconds=1))
    entry.modified_on = _last
