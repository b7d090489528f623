"""Misbehaving servers on loopback, for what respx cannot show: real sockets, real time, real bytes."""

import asyncio
import contextlib
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

type Behaviour = Callable[["Server", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """What a server on loopback saw: one head a request, one connection a count."""

    def __init__(self) -> None:
        self.heads: list[str] = []
        self.connections = 0
        self.port = 0
        self.origin = ""

    async def head(self, reader: asyncio.StreamReader) -> str:
        """Read one request and return its head; raises IncompleteReadError when the client hangs up."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        self.heads.append(head)
        return head


@asynccontextmanager
async def serve(
    behave: Behaviour, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Server]:
    """Serve every connection with `behave` until the block ends."""
    seen, tasks = Server(), set[asyncio.Task[None]]()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.connections += 1
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await behave(seen, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            # The client is done with us, or the test is: both are the end that a behaviour waits for.
            writer.transport.abort()
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()

    server = await asyncio.start_server(connected, host, 0, ssl=tls)
    seen.port = server.sockets[0].getsockname()[1]
    seen.origin = f"{'https' if tls else 'http'}://{host}:{seen.port}"
    try:
        yield seen
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def answer(body: bytes, *, status: str = "200 OK", headers: str = "", content_type: str = "application/json") -> bytes:
    """Return a whole HTTP answer."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode("latin-1") + body


def always(reply: bytes) -> Behaviour:
    """Return a behaviour that gives every request of a connection the same bytes."""

    async def behave(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await server.head(reader)
            writer.write(reply)
            await writer.drain()

    return behave


class Hanging:
    """A server that takes requests and says nothing, and knows how many of them are still connected."""

    def __init__(self) -> None:
        self.connected = self.taken = 0

    async def __call__(self, server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.head(reader)
        self.connected += 1
        self.taken += 1
        try:
            await reader.read()
        finally:
            self.connected -= 1

    async def until(self, *, connected: int, seconds: float) -> float:
        """Return the seconds until exactly so many are connected. Raises TimeoutError."""
        started = time.monotonic()
        async with asyncio.timeout(seconds):
            while self.connected != connected:  # noqa: ASYNC110  # in seconds, since that is what is measured
                await asyncio.sleep(0.005)
        return time.monotonic() - started


def page(*rows: Any, following: str | None = None) -> bytes:
    """Return the JSON of a page of flows."""
    return json.dumps({"next": following, "previous": None, "results": list(rows)}).encode()
