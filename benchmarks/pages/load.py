"""Signed-in browsers that ask for pages without a pause: a process of its own, and its CPU is counted.

    python -m benchmarks.pages.load < orders.json

Each connection asks for the next person's page as soon as the last one is there. Prints one line of JSON. Every answer
is looked at: its status, the number of its rows, and the words that must be on the page of this very person.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import httptools

from benchmarks.pages import trees

ROW = b'<th scope="row">'
LONGEST_S = 20.0
#: Whom the sessions belong to: a site that notes the browser of a session finds the same one each time.
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@dataclass(frozen=True, slots=True)
class Visit:
    """One person's page: its path, what the browser sends along, and words that stand on nobody else's page."""

    path: str
    cookie: str
    mark: str


@dataclass(frozen=True, slots=True)
class Orders:
    """What to do: `visits` are gone through in order, again from the start at their end."""

    addresses: list[tuple[str, int]]
    visits: list[Visit]
    in_flight: int
    rows: int
    words: list[str]
    warm_s: float
    seconds: float
    #: Whose CPU is read when the clock starts and when it stops.
    pids: list[int] = field(default_factory=list)
    #: Ends after so many pages, if not before.
    pages: int = 0
    #: The clock runs on until so many came, but no longer than LONGEST_S.
    least: int = 0
    #: How long it takes until all connections are there.
    ramp_s: float = 0.0

    def encode(self) -> bytes:
        """Return the orders as `load` reads them."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, text: bytes) -> "Orders":
        """Return the orders that `encode` wrote."""
        given = json.loads(text)
        addresses = [(str(host), int(port)) for host, port in given.pop("addresses")]
        return cls(addresses=addresses, visits=[Visit(**visit) for visit in given.pop("visits")], **given)


@dataclass(slots=True)
class Seen:
    """What came of it: (moment of the last byte, to the first row, to the last byte) of each page, in seconds."""

    pages: list[tuple[float, float, float]] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    bytes: int = 0


class _Browser(asyncio.Protocol):
    """One connection."""

    def __init__(self, load: "Load") -> None:
        self._load = load
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            if self._visit is not None:
                self._load.seen.errors["connection closed"] += 1
            self.closed.set_result(None)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._load.seen.errors[type(error).__name__] += 1
            self._visit = None
            self._transport.close()

    def on_body(self, body: bytes) -> None:
        self._body.append(body)
        if not self._row_at and ROW in body:
            self._row_at = time.perf_counter()

    def on_message_complete(self) -> None:
        now, load, visit = time.perf_counter(), self._load, self._visit
        assert visit is not None
        body = b"".join(self._body)
        if fault := load.fault_of(self._parser.get_status_code(), body, visit):
            load.seen.errors[fault] += 1
        else:
            load.seen.bytes += len(body)
            load.seen.pages.append((now, (self._row_at or now) - self._asked_at, now - self._asked_at))
        self._visit = None
        if not self._parser.should_keep_alive():
            load.seen.errors["not kept alive"] += 1
            self._transport.close()
            return
        # Not from within the parser, which is not done with this answer yet.
        asyncio.get_running_loop().call_soon(self._ask)

    def _ask(self) -> None:
        self._visit, self._body, self._row_at = self._load.following(), [], 0.0
        if self._visit is None:
            self._transport.close()
            return
        self._parser = httptools.HttpResponseParser(self)
        self._asked_at = time.perf_counter()
        self._transport.write(self._load.request(self._visit))


class Load:
    """All connections of one measurement."""

    def __init__(self, orders: Orders) -> None:
        self.orders, self.seen = orders, Seen()
        self._words = [word.encode() for word in orders.words]
        self._asked = 0
        self._until = time.perf_counter() + 3600

    def following(self) -> Visit | None:
        """Return the next visit, None when it is time to stop."""
        orders = self.orders
        if self.seen.errors or time.perf_counter() >= self._until or (orders.pages and self._asked >= orders.pages):
            return None
        visit = orders.visits[self._asked % len(orders.visits)]
        self._asked += 1
        return visit

    def request(self, visit: Visit) -> bytes:
        """Return what a browser sends, and the proxy that ends TLS before the site."""
        return (
            f"GET {visit.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: {USER_AGENT}\r\n"
            f"Accept: text/html\r\nAccept-Language: en\r\nCookie: {visit.cookie}\r\n"
            "X-Forwarded-Proto: https\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n"
        ).encode()

    def fault_of(self, status: int, body: bytes, visit: Visit) -> str:
        """Return what is wrong with an answer, "" for nothing."""
        if status != 200:
            return f"status {status}"
        if (rows := body.count(ROW)) != self.orders.rows:
            return f"{rows} rows"
        if visit.mark.encode() not in body:
            return "not this person's page"
        return "" if all(word in body for word in self._words) else "not the right flows"

    async def run(self) -> dict[str, Any]:
        """Do what was ordered, and return the figures."""
        orders, loop = self.orders, asyncio.get_running_loop()
        browsers = []
        begun, cpu_begun = time.perf_counter(), trees.cpu_s(orders.pids)
        for number in range(orders.in_flight):
            host, port = orders.addresses[number % len(orders.addresses)]
            make: Callable[[], _Browser] = lambda: _Browser(self)  # noqa: E731  # a factory, as asyncio wants it
            browsers.append((await loop.create_connection(make, host, port))[1])
            if orders.ramp_s:
                await asyncio.sleep(orders.ramp_s / orders.in_flight)
        await self._wait(browsers, orders.warm_s)
        started, own, cpu = time.perf_counter(), time.process_time(), trees.cpu_s(orders.pids)
        before = len(self.seen.pages)
        await self._wait(browsers, orders.seconds)
        while len(self.seen.pages) - before < orders.least and not all(each.closed.done() for each in browsers):
            if time.perf_counter() - started > LONGEST_S:
                break
            await self._wait(browsers, 0.1)
        ended = time.perf_counter()
        figures = {"wall_s": ended - started, "cpu_s": trees.cpu_s(orders.pids) - cpu}
        figures["own_cpu_s"] = time.process_time() - own
        self._until = 0.0
        await self._wait(browsers, 120)
        figures |= {"all_wall_s": time.perf_counter() - begun, "all_cpu_s": trees.cpu_s(orders.pids) - cpu_begun}
        # Those that came within the clock are the rate; those that were under way when it stopped count for the times.
        within = [page for page in self.seen.pages if started <= page[0] < ended]
        timed = [page for page in self.seen.pages if page[0] >= started]
        return figures | {
            "errors": dict(self.seen.errors),
            "asked": self._asked,
            "all": len(self.seen.pages),
            "done": len(within),
            "page_bytes": self.seen.bytes / max(1, len(self.seen.pages)),
            "row_ms": [row_s * 1000 for _, row_s, _ in timed],
            "ms": [all_s * 1000 for _, _, all_s in timed],
        }

    async def _wait(self, browsers: list[_Browser], seconds: float) -> None:
        if seconds:
            await asyncio.wait([browser.closed for browser in browsers], timeout=seconds)


def main() -> None:
    """Read the orders, and do them."""
    from uvloop import run

    orders = Orders.decode(sys.stdin.buffer.read())
    print(json.dumps(run(Load(orders).run())), flush=True)


if __name__ == "__main__":
    main()
