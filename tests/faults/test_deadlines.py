"""No server holds a call longer than its deadline, whatever it does to keep each single read alive."""

import asyncio
import time
from contextlib import aclosing

import pytest

from rapidpro_integration.client import transport
from rapidpro_integration.client.errors import AbstractRequestException, Kind
from rapidpro_integration.interface import RapidProInterface
from tests.conftest import SECRET
from tests.faults.server import Behaviour, FaultyServer, drip, flow, serve
from tests.rapidpro_integration.client.loopback import answer, page

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
DRIPS = {
    "endless 100 Continue": drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "dripping headers": drip(b"HTTP/1.1 200 OK\r\nX-Drop: ", b"x"),
    "dripping body": drip(HEAD + b"Content-Length: 100000\r\n\r\n", b" "),
}


async def seconds_and_kind(behave: Behaviour, deadline_s: float) -> tuple[float, Kind | None, int]:
    """Return how long the list of flows took, how it failed, and how many requests the server saw."""
    async with serve(behave) as server:
        started, kind = time.monotonic(), None
        try:
            await RapidProInterface(SECRET, server.origin, private=True, deadline_s=deadline_s).aget_flows()
        except AbstractRequestException as error:
            kind = error.kind
        return time.monotonic() - started, kind, len(server.heads)


async def test_drip_that_trips_no_read_time_out_ends_with_the_request_s_own_deadline() -> None:
    # Every limit as people have it, so this takes a while: but all of them side by side.
    outcomes = await asyncio.gather(*[seconds_and_kind(behave, 30) for behave in DRIPS.values()])
    for seconds, kind, heads in outcomes:
        assert transport.REQUEST_DEADLINE_S <= seconds < transport.REQUEST_DEADLINE_S + 1.5
        assert (kind, heads) == (Kind.TIMED_OUT, 1)


@pytest.mark.parametrize("name", DRIPS)
async def test_drip_ends_with_the_operation_s_deadline(name: str) -> None:
    seconds, kind, _ = await seconds_and_kind(DRIPS[name], 0.5)
    assert 0.5 <= seconds < 1.2
    assert kind is Kind.TIMED_OUT


class MiddlePageHangs:
    """Give the first page of three at once, and the second one never."""

    def __init__(self) -> None:
        self.connected = 0

    async def __call__(self, server: FaultyServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connected += 1
        try:
            while "cursor=two" not in await server.head(reader):
                writer.write(answer(page(flow("One"), following=f"{server.origin}/api/v2/flows.json?cursor=two")))
                await writer.drain()
            await reader.read()
        finally:
            self.connected -= 1


@pytest.mark.parametrize("concurrency", [1, 4])
async def test_list_whose_middle_page_hangs_ends_at_the_deadline_and_leaves_nothing_under_way(concurrency: int) -> None:
    hanging = MiddlePageHangs()
    async with serve(hanging) as server:
        tasks = asyncio.all_tasks()
        started = time.monotonic()
        with pytest.raises(AbstractRequestException) as caught:
            await RapidProInterface(SECRET, server.origin, private=True, deadline_s=0.8).aget_flows(
                concurrency=concurrency
            )
        assert caught.value.kind is Kind.TIMED_OUT
        assert 0.8 <= time.monotonic() - started < 1.6
        await asyncio.sleep(0.05)
        assert hanging.connected <= concurrency - 1, "only connections that are kept are left"
        left = {task for task in asyncio.all_tasks() - tasks if "connected" not in repr(task.get_coro())}
        assert left == set()


async def test_pages_before_the_one_that_hangs_are_handed_out() -> None:
    async with serve(MiddlePageHangs()) as server:
        names = list[str]()

        async def iterate() -> None:
            async with aclosing(
                RapidProInterface(SECRET, server.origin, private=True, deadline_s=0.5).aiter_flows()
            ) as pages:
                async for each in pages:
                    names.extend(row.name for row in each.rows)

        with pytest.raises(AbstractRequestException) as caught:
            await iterate()
    assert caught.value.kind is Kind.TIMED_OUT
    assert names == ["One"]
