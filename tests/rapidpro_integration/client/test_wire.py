"""What the wire does with connections: which are kept, which are not, and when they are given up."""

import asyncio
import time
from collections.abc import AsyncIterator

import aiohttp
import httpx
import pytest

from rapidpro_integration.client.wire import AiohttpWire, HttpxWire, Opened
from tests.rapidpro_integration.client.loopback import Hanging, Server, always, answer, serve


async def get(wire: AiohttpWire, origin: str, path: str = "/") -> Opened:
    return await wire.open(origin + path, {"Accept": "application/json"}, 3.0, 3.0)


async def body_of(answer: Opened) -> bytes:
    chunks = []
    try:
        while chunk := await answer.chunk():
            chunks.append(chunk)
    finally:
        await answer.aclose()
    return b"".join(chunks)


async def test_answer_read_to_its_end_gives_the_connection_back() -> None:
    async with serve(always(answer(b"{}"))) as server:
        wire = AiohttpWire(server.origin, private=True)
        for _ in range(5):
            assert await body_of(await get(wire, server.origin)) == b"{}"
        assert server.connections == 1
        await wire.aclose()


@pytest.mark.parametrize("read", [0, 1])
async def test_answer_left_early_closes_its_connection_at_once(read: int) -> None:
    closed = asyncio.Event()

    async def endless(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nx")
        await reader.read()
        closed.set()

    async with serve(endless) as server:
        wire = AiohttpWire(server.origin, private=True)
        response = await get(wire, server.origin)
        if read:
            assert await response.chunk() == b"x"
        await response.aclose()
        async with asyncio.timeout(1):
            await closed.wait()
        await wire.aclose()


async def test_cancelled_request_closes_its_connection_at_once() -> None:
    hanging = Hanging()
    async with serve(hanging) as server:
        wire = AiohttpWire(server.origin, private=True)
        task = asyncio.create_task(get(wire, server.origin))
        await hanging.until(connected=1, seconds=5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await hanging.until(connected=0, seconds=5) < 1
        await wire.aclose()


async def test_connection_on_which_something_came_unasked_is_not_used_again() -> None:
    async def talkative(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.head(reader)
        writer.write(answer(b'"mine"'))
        await asyncio.sleep(0.05)
        writer.write(answer(b'"of somebody else"'))
        await server.head(reader)
        pytest.fail("The connection was used again.")

    async with serve(talkative) as server:
        wire = AiohttpWire(server.origin, private=True)
        for _ in range(3):
            assert await body_of(await get(wire, server.origin)) == b'"mine"'
            await asyncio.sleep(0.1)
        assert server.connections == 3
        await wire.aclose()


async def test_connection_that_the_server_closed_while_idle_is_replaced() -> None:
    async def forgetful(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.head(reader)
        writer.write(answer(b"{}"))
        await writer.drain()

    async with serve(forgetful) as server:
        wire = AiohttpWire(server.origin, private=True)
        for _ in range(3):
            assert await body_of(await get(wire, server.origin)) == b"{}"
            await asyncio.sleep(0.05)
        assert server.connections == 3
        await wire.aclose()


async def test_server_that_goes_on_is_waited_for_and_one_that_stops_is_not() -> None:
    # Pauses shorter than the limit, over and over; and then a longer one.
    async def dribble(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        for _ in range(8):
            await asyncio.sleep(0.1)
            writer.write(b"x")
        await reader.read()

    async with serve(dribble) as server:
        wire = AiohttpWire(server.origin, private=True)
        response = await wire.open(server.origin + "/", {}, 3.0, 0.4)
        started, got = time.monotonic(), b""
        while len(got) < 8:
            got += await response.chunk()
        with pytest.raises(aiohttp.SocketTimeoutError):
            await response.chunk()
        assert 1.1 < time.monotonic() - started < 5
        await response.aclose()
        await wire.aclose()


async def test_idle_connection_outlives_the_limit_of_a_read_and_the_next_request_has_a_limit_of_its_own() -> None:
    async def slower_and_slower(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for delay_s in (0.0, 0.2, 5.0):
            await server.head(reader)
            await asyncio.sleep(delay_s)
            writer.write(answer(b"{}"))

    async with serve(slower_and_slower) as server:
        wire = AiohttpWire(server.origin, private=True)
        for _ in range(2):
            assert await body_of(await wire.open(server.origin + "/", {}, 3.0, 0.3)) == b"{}"
            await asyncio.sleep(0.4)
        assert server.connections == 1
        with pytest.raises(aiohttp.SocketTimeoutError):
            await wire.open(server.origin + "/", {}, 3.0, 0.3)
        await wire.aclose()


async def test_address_is_sent_as_it_is() -> None:
    async with serve(always(answer(b"{}"))) as server:
        wire = AiohttpWire(server.origin, private=True)
        await body_of(await get(wire, server.origin, "/api/v2/flows.json?cursor=p%3D1%262&uuid=a%2Fb"))
        await wire.aclose()
    assert server.heads[0].startswith("GET /api/v2/flows.json?cursor=p%3D1%262&uuid=a%2Fb HTTP/1.1\r\n")


async def test_body_comes_as_it_was_sent() -> None:
    async with serve(always(answer(b"\x1f\x8bnot gzip", headers="Content-Encoding: gzip\r\n"))) as server:
        wire = AiohttpWire(server.origin, private=True)
        assert await body_of(await get(wire, server.origin)) == b"\x1f\x8bnot gzip"
        await wire.aclose()


async def test_head_is_told_as_it_came_and_lines_of_one_name_as_a_list() -> None:
    head = "X-Temba-Workspace: first\r\nx-temba-workspace: second\r\n"
    async with serve(always(answer(b"{}", headers=head))) as server:
        wire = AiohttpWire(server.origin, private=True)
        response = await get(wire, server.origin)
        assert (response.header("X-TEMBA-WORKSPACE"), response.header("retry-after")) == ("first, second", "")
        assert (b"x-temba-workspace", b"second") in response.raw_headers
        await body_of(response)
        await wire.aclose()


async def test_empty_chunk_of_a_stand_in_is_not_the_end() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for chunk in (b"", b"one", b"", b"", b"two", b""):
            yield chunk

    wire = HttpxWire(httpx.MockTransport(lambda _: httpx.Response(200, content=chunks())))
    assert await body_of(await wire.open("https://rapidpro.example/", {}, 3.0, 3.0)) == b"onetwo"


async def test_hundred_requests_at_once_are_not_queued_by_the_wire() -> None:
    together = asyncio.Barrier(100)

    async def wait_for_all(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.head(reader)
        await together.wait()
        writer.write(answer(b"{}"))
        await writer.drain()

    async with serve(wait_for_all) as server, asyncio.timeout(10):
        wire = AiohttpWire(server.origin, private=True)
        bodies = await asyncio.gather(
            *[body_of(await_one) for await_one in await asyncio.gather(*[get(wire, server.origin) for _ in range(100)])]
        )
        await wire.aclose()
    assert bodies == [b"{}"] * 100
