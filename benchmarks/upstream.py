"""A RapidPro-like upstream that is much faster than its clients: `python -m benchmarks.upstream --port 0`.

It prints `READY <port>` and ends when its stdin closes. It reads the request line and whose token it is, and answers

    /api/v2/flows.json?cursor=&before=&after=   pages of 250 flows, newest first; before/after bound modified_on
    /api/v2/workspace.json                      one workspace
    /stats                                      what was served since the last reset, as JSON
    /reset?latency_ms=                          forget that, and optionally answer later from now on

Bodies are built once a query. A latency is a timer of the event loop for each request, so any number run at once.
"""

import argparse
import asyncio
import base64
import binascii
import contextlib
import json
import ssl
import sys
import threading
import time
from typing import cast
from urllib.parse import parse_qsl, urlencode

from benchmarks.rows import PAGE_ROWS, Flows, Row, microseconds

WORKSPACE_UUID = "0b7a9c1e-5d42-4f3a-9b1d-2f6c8e4a7d10"
_WORKSPACE = {
    "uuid": WORKSPACE_UUID,
    "name": "Benchmark District Health",
    "country": "MZ",
    "languages": ["por", "eng"],
    "timezone": "Africa/Maputo",
    "date_style": "day_first",
    "anon": False,
    "primary_language": "por",
}
_AUTHORIZATION = b"uthorization: Token "
_HEAD = (
    "HTTP/1.1 %s\r\nServer: gunicorn\r\nConnection: keep-alive\r\nContent-Type: application/json\r\n"
    f"Vary: Accept, Cookie\r\nAllow: GET, HEAD, OPTIONS\r\nX-Temba-Workspace: {WORKSPACE_UUID}\r\n"
    "Content-Length: %d\r\n\r\n"
)


def answer(body: bytes, status: str = "200 OK") -> bytes:
    """Return a whole HTTP answer."""
    return (_HEAD % (status, len(body))).encode() + body


class Pages:
    """The answers to flows.json, each built when it is first asked for."""

    def __init__(self, flows: Flows, origin: str) -> None:
        self._flows, self._origin = flows, origin
        self._windows: dict[tuple[str, str], list[Row]] = {}
        self._answers: dict[str, bytes] = {}

    def get(self, query: str) -> bytes:
        """Return the answer to a query; 400 to one that cannot be read."""
        found = self._answers.get(query)
        if found is None:
            try:
                found = self._answers[query] = answer(self._page(dict(parse_qsl(query))))
            except (ValueError, binascii.Error):
                found = answer(b'{"detail":"Invalid cursor or date"}', "400 Bad Request")
        return found

    def build_all(self) -> None:
        """Build the pages that follow from the first, so that no measured request pays for them."""
        query = ""
        while True:
            page = json.loads(self.get(query).partition(b"\r\n\r\n")[2])
            if not page["next"]:
                return
            query = page["next"].partition("?")[2]

    def _page(self, params: dict[str, str]) -> bytes:
        bounds = (params.get("before", ""), params.get("after", ""))
        rows = self._windows.get(bounds)
        if rows is None:
            before_us, after_us = (microseconds(text) if text else None for text in bounds)
            rows = self._windows[bounds] = self._flows.window(before_us, after_us)
        start = _start(rows, params.get("cursor", ""))
        shown = rows[start : start + PAGE_ROWS]
        following = None
        if start + PAGE_ROWS < len(rows):
            cursor = base64.b64encode(f"p={shown[-1].created_us}".encode()).decode()
            kept = {name: value for name, value in params.items() if name != "cursor"}
            following = f"{self._origin}/api/v2/flows.json?{urlencode({'cursor': cursor} | kept)}"
        head = b'{"next":%s,"previous":null,"results":[' % json.dumps(following).encode()
        return head + b",".join(row.body for row in shown) + b"]}"


def _start(rows: list[Row], cursor: str) -> int:
    """Return the index of the first row that is older than the cursor says."""
    if not cursor:
        return 0
    last_us = int(base64.b64decode(cursor, validate=True).removeprefix(b"p="))
    low, high = 0, len(rows)
    while low < high:
        middle = (low + high) // 2
        if rows[middle].created_us < last_us:
            high = middle
        else:
            low = middle + 1
    return low


class State:
    """What the upstream has served since the last reset; one for all connections."""

    def __init__(self, pages: Pages, latency_s: float) -> None:
        self.pages, self.latency_s = pages, latency_s
        self.in_flight = 0
        self.reset()

    def reset(self) -> None:
        """Start to count anew."""
        self.requests = self.connections = 0
        self.max_in_flight = self.in_flight
        self.latency_sum_s = 0.0
        self.tokens: set[bytes] = set()
        self._since, self._cpu_since = time.perf_counter(), time.process_time()

    def stats(self) -> dict[str, float]:
        """Return the counts; `busy` is the share of one core that the upstream used."""
        seconds = time.perf_counter() - self._since
        return {
            "requests": self.requests,
            "connections": self.connections,
            "tokens": len(self.tokens),
            "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
            "latency_sum_s": self.latency_sum_s,
            "seconds": seconds,
            "busy": (time.process_time() - self._cpu_since) / seconds if seconds else 0.0,
        }


class Upstream(asyncio.Protocol):
    """One connection."""

    def __init__(self, state: State, loop: asyncio.AbstractEventLoop) -> None:
        self._state, self._loop = state, loop
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count a connection."""
        self._transport = cast("asyncio.Transport", transport)
        self._state.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:
        """Answer nothing that is still waiting."""
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Take whole requests from the stream; none of them has a body."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
            if (token := head.find(_AUTHORIZATION)) >= 0:
                self._state.tokens.add(head[token:].partition(b"\r\n")[0])
            self._request(head[: head.find(b"\r\n")])

    def _request(self, line: bytes) -> None:
        started = time.perf_counter()
        path, _, query = line.split(b" ", 2)[1].decode("latin-1").partition("?")
        if path in {"/stats", "/reset"}:
            self._control(path, query)
            return
        state = self._state
        state.in_flight += 1
        state.max_in_flight = max(state.max_in_flight, state.in_flight)
        if path == "/api/v2/flows.json":
            body = state.pages.get(query)
        elif path == "/api/v2/workspace.json":
            body = answer(json.dumps(_WORKSPACE).encode())
        else:
            body = answer(b'{"detail":"Not found."}', "404 Not Found")
        if state.latency_s:
            self._loop.call_later(state.latency_s, self._answer, body, started)
        else:
            self._answer(body, started)

    def _answer(self, body: bytes, started: float) -> None:
        state = self._state
        state.in_flight -= 1
        if self._transport is None:
            return
        self._transport.write(body)
        state.requests += 1
        state.latency_sum_s += time.perf_counter() - started

    def _control(self, path: str, query: str) -> None:
        if path == "/reset":
            params = dict(parse_qsl(query))
            if "latency_ms" in params:
                self._state.latency_s = float(params["latency_ms"]) / 1000
            self._state.reset()
        if self._transport is not None:
            self._transport.write(answer(json.dumps(self._state.stats()).encode()))


async def serve(options: argparse.Namespace) -> None:
    """Serve on loopback until stdin closes."""
    loop = asyncio.get_running_loop()
    context = None
    if options.tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*options.tls)
        context.set_alpn_protocols(["http/1.1"])
    stopped = asyncio.Event()
    state: State
    server = await loop.create_server(
        lambda: Upstream(state, loop), "127.0.0.1", options.port, ssl=context, backlog=2048
    )
    port = server.sockets[0].getsockname()[1]
    pages = Pages(Flows(options.flows, options.spread), f"{'https' if context else 'http'}://127.0.0.1:{port}")
    pages.build_all()
    state = State(pages, options.latency_ms / 1000)

    def wait_for_the_end() -> None:
        sys.stdin.buffer.read()
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(stopped.set)

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    print(f"READY {port}", flush=True)
    await stopped.wait()
    server.close()


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--flows", type=int, default=PAGE_ROWS)
    parser.add_argument("--spread", choices=("even", "recent"), default="even")
    parser.add_argument("--latency-ms", type=float, default=0.0)
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
    options = parser.parse_args()
    try:
        from uvloop import run
    except ImportError:
        from asyncio import run
    run(serve(options))


if __name__ == "__main__":
    main()
