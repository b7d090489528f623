"""Page after page: what is asked for ahead, and that it changes nothing but the time that a list takes."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest

from rapidpro_integration.client import RapidProAPI, pools
from rapidpro_integration.client.api import Connection
from rapidpro_integration.client.decoding import following_of
from rapidpro_integration.client.errors import MalformedException
from rapidpro_integration.client.listing import aiter_pages
from rapidpro_integration.client.resources import GROUPS
from rapidpro_integration.client.transport import Answer
from tests.conftest import SECRET, SERVER

type Reply = Callable[[str], bytes]


def page(number: int, following: str = "", last_word: str = "") -> bytes:
    """Return a page of one row, that names its successor first as RapidPro does, and perhaps another one at its end."""
    link = json.dumps(f"{SERVER}/api/v2/groups.json?cursor={following}") if following else "null"
    end = f', "next": "?cursor={last_word}"' if last_word else ""
    return f'{{"next": {link}, "previous": null, "results": [{{"uuid": "{number:032}"}}]{end}}}'.encode()


class Asked:
    """The cursors of the requests so far, and of those that were left before their answer."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self.cursors: list[str] = []
        self.left: list[str] = []
        self.holding: set[str] = set()

    async def answer(self, request: httpx.Request) -> httpx.Response:
        cursor = request.url.params.get("cursor", "")
        self.cursors.append(cursor)
        try:
            if cursor in self.holding:
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.left.append(cursor)
            raise
        return httpx.Response(200, headers={"Content-Type": "application/json"}, content=self._reply(cursor))


@contextmanager
def answering(asked: Asked) -> Iterator[Connection]:
    pools.use_wire(lambda _: httpx.MockTransport(asked.answer))
    try:
        yield RapidProAPI(SECRET, SERVER).connect()
    finally:
        pools.use_wire(None)


def three_pages(cursor: str) -> bytes:
    return {"": page(1, "b"), "b": page(2, "c"), "c": page(3)}[cursor]


async def rows_of(connection: Connection, *, ahead: bool) -> AsyncIterator[tuple[int, list[str]]]:
    async for found in aiter_pages(connection, GROUPS, {}, ahead=ahead):
        yield found.number, [str(row.uuid)[-1] for row in found.rows]


@pytest.mark.parametrize(("ahead", "counts"), [(True, [2, 3, 3]), (False, [1, 2, 3])])
async def test_next_page_is_asked_for_while_one_is_read_where_all_are_wanted(ahead: bool, counts: list[int]) -> None:
    asked = Asked(three_pages)
    with answering(asked) as connection:
        found = [(number, rows, len(asked.cursors)) async for number, rows in rows_of(connection, ahead=ahead)]
    assert found == [(number, [str(number)], count) for number, count in enumerate(counts, start=1)]
    assert asked.cursors == ["", "b", "c"]


async def test_page_that_cannot_be_read_ends_the_request_that_went_ahead() -> None:
    asked = Asked(lambda cursor: page(1, "b")[:-9])
    asked.holding = {"b"}
    with answering(asked) as connection, pytest.raises(MalformedException):
        await anext(aiter_pages(connection, GROUPS, {}, ahead=True))
    assert asked.left == ["b"]


async def test_loop_that_is_left_early_ends_the_request_that_went_ahead() -> None:
    asked = Asked(three_pages)
    asked.holding = {"b"}
    with answering(asked) as connection:
        pages = aiter_pages(connection, GROUPS, {}, ahead=True)
        await anext(pages)
        await pages.aclose()
    assert asked.left == ["b"]


async def test_page_has_the_last_word_on_where_the_list_goes_on() -> None:
    asked = Asked(lambda cursor: {"": page(1, "b", last_word="c"), "c": page(3)}[cursor])
    asked.holding = {"b"}
    with answering(asked) as connection:
        found = [rows async for _, rows in rows_of(connection, ahead=True)]
    assert found == [["1"], ["3"]]
    assert (asked.cursors, asked.left) == (["", "b", "c"], ["b"])


async def test_nothing_goes_ahead_of_a_list_that_stops() -> None:
    asked = Asked(lambda cursor: page(1, "b"))
    with answering(asked) as connection:
        stopped = [found.stopped_because async for found in aiter_pages(connection, GROUPS, {}, ahead=True)]
        capped = [found.stopped_because async for found in aiter_pages(connection, GROUPS, {}, 1, ahead=True)]
    assert (stopped, capped) == (["", "repeated_cursor"], ["page_cap"])
    assert asked.cursors == ["", "b", ""]


@pytest.mark.parametrize(
    ("body", "following"),
    [
        (b'{"next":"https://rapidpro.example/?cursor=cD0y%3D","results":[]}', {"cursor": "cD0y="}),
        (b' {\n"next" : "?cursor=b&evil=1" , "results": []}', {"cursor": "b"}),
        (b'{"next":null,"previous":null,"results":[]}', {}),
        (b'{"results":[],"next":"?cursor=b"}', None),
        (b'{"next":"?cursor=\\u0062","results":[]}', None),
        (b'{"next":"?cursor=b', None),
        (b'{"next":"?cursor=\xc3\xa9","results":[]}', None),
        (b'{"next":"?page=2","results":[]}', None),
        (b'{"next":"?cursor=%00","results":[]}', None),
        (b'{"next":7,"results":[]}', None),
        (b"", None),
    ],
)
def test_where_a_page_goes_on_is_read_ahead_only_where_it_is_plain(
    body: bytes, following: dict[str, str] | None
) -> None:
    assert following_of(Answer(200, [], body, 0, SERVER), ("cursor",)) == following
    assert following_of(Answer(502, [], body, 0, SERVER), ("cursor",)) is None
