"""A server that misbehaves over real sockets on loopback: one behaviour a server, each server on a port of its own.

No port is used twice in a process: a client that remembers which servers failed must not take one for another.
"""

import asyncio
import itertools
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from uuid import NAMESPACE_URL, uuid5

from tests.rapidpro_integration.client.loopback import Server, answer, page

HOST = "127.0.0.1"
# Below the ports that the system hands out for outgoing connections.
_PORTS = itertools.count(os.getpid() * 97)
_FIRST_PORT, _PORT_COUNT = 14_000, 18_000


class FaultyServer(Server):
    """What the server saw, the bytes that a pouring behaviour got rid of, and another server that nobody may ask."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = 0
        self.elsewhere = ""


type Behaviour = Callable[[FaultyServer, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serve(
    behave: Behaviour | None, *, tls: ssl.SSLContext | None = None, scheme: str = "http"
) -> AsyncIterator[FaultyServer]:
    """Serve every connection with `behave` until the block ends; with None, refuse connections."""
    seen, tasks, writers = FaultyServer(), set[asyncio.Task[None]](), set[asyncio.StreamWriter]()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert behave is not None
        seen.connections += 1
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        writers.add(writer)
        # The client is done with us, or the test is: both are the end that a behaviour waits for.
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            await behave(seen, reader, writer)
        writer.close()

    with _bound() as listener:
        seen.port = listener.getsockname()[1]
        seen.origin = f"{scheme}://{HOST}:{seen.port}"
        server = await asyncio.start_server(connected, sock=listener, ssl=tls) if behave else None
        try:
            yield seen
        finally:
            if server is not None:
                server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for writer in writers:
                writer.transport.abort()
            await asyncio.sleep(0)


def _bound() -> socket.socket:
    """Return a socket bound to a port that this process has not used before."""
    while True:
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((HOST, _FIRST_PORT + next(_PORTS) % _PORT_COUNT))
        except OSError:
            bound.close()
        else:
            return bound


def reset(writer: asyncio.StreamWriter) -> None:
    """Close the connection with RST in place of FIN."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


# --- Behaviours ---------------------------------------------------------------------------------


def once(reply: bytes) -> Behaviour:
    """Answer one request with these bytes, and close."""

    async def behave(server: FaultyServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.head(reader)
        writer.write(reply)
        await writer.drain()

    return behave


def greet(banner: bytes) -> Behaviour:
    """Speak first, as servers of other protocols do."""

    async def behave(server: FaultyServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(banner)
        await writer.drain()
        await server.head(reader)

    return behave


def reset_after(reply: bytes) -> Behaviour:
    """Answer one request with these bytes, and reset the connection."""

    async def behave(server: FaultyServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.head(reader)
        if reply:
            writer.write(reply)
            await writer.drain()
        reset(writer)

    return behave


def stall_after(reply: bytes) -> Behaviour:
    """Answer with these bytes, and leave the connection open without another one."""

    async def behave(server: FaultyServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.head(reader)
        writer.write(reply)
        await writer.drain()
        await reader.read()

    return behave


def drip(start: bytes, drop: bytes) -> Behaviour:
    """Answer with `start`, and then with a little of nothing, again and again, too soon for a read time-out."""

    async def behave(server: FaultyServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.head(reader)
        writer.write(start)
        while True:
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(0.03)

    return behave


def pour(start: bytes, piece: bytes, *, total: int | None = None) -> Behaviour:
    """Answer with `start`, and with `piece` as fast as the client takes it, up to `total` bytes or without end."""

    async def behave(server: FaultyServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.head(reader)
        writer.write(start)
        poured = 0
        while total is None or poured < total:
            writer.write(piece)
            await writer.drain()
            poured += len(piece)
            server.sent += len(piece)
            await asyncio.sleep(0)  # A write that needs no waiting would starve the client in this same loop.

    return behave


def redirect(status: str, location: str | None) -> Behaviour:
    """Point to `location`, in which {origin}, {port}, {elsewhere} and {neighbour} stand for the servers of the case."""

    async def behave(server: FaultyServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        places = {"origin": server.origin, "port": server.port, "elsewhere": server.elsewhere}
        places["neighbour"] = server.elsewhere.partition("//")[2]
        header = "" if location is None else f"Location: {location.format(**places)}\r\n"
        while True:
            await server.head(reader)
            writer.write(answer(b"", status=status, headers=header))
            await writer.drain()

    return behave


# --- Two pages, so that one operation makes two requests ----------------------------------------


def flow(name: str, **fields: object) -> dict[str, object]:
    """Return the row of a flow, its uuid made of its name."""
    return {"uuid": str(uuid5(NAMESPACE_URL, name)), "name": name} | fields


def _page_for(server: FaultyServer, head: str) -> bytes:
    if "cursor=two" in head:
        return answer(page(flow("Two")))
    return answer(page(flow("One"), following=f"{server.origin}/api/v2/flows.json?cursor=two"))


async def close_after_each(server: FaultyServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Promise to keep the connection, and close it after one answer."""
    writer.write(_page_for(server, await server.head(reader)))
    await writer.drain()


async def reset_on_second(server: FaultyServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Keep the connection until the next request has come, and reset it then: no client can see that ahead."""
    writer.write(_page_for(server, await server.head(reader)))
    await writer.drain()
    await server.head(reader)
    reset(writer)


async def answer_twice(server: FaultyServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a second answer behind each, which the client must not take for that to its next request."""
    while True:
        writer.write(_page_for(server, await server.head(reader)) + answer(page(flow("Evil"))))
        await writer.drain()


async def answer_again_later(server: FaultyServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a second answer when the client has put the connection aside."""
    while True:
        await server.head(reader)
        writer.write(answer(page(flow("Good"))))
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(answer(page(flow("Evil"))))
        await writer.drain()


async def mute(server: FaultyServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Listen, and say nothing."""
    await reader.read(1_000_000)
    await reader.read()
