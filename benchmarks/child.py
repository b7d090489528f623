"""One measurement in a process of its own, so that its CPU and its memory are nobody else's. Prints one line of JSON.

    python -m benchmarks.child rate NAME ORIGIN CA IN_FLIGHT SECONDS LATENCY_MS EACH
    python -m benchmarks.child list NAME ORIGIN CA LATENCY_MS
    python -m benchmarks.child capacity - ORIGIN CA IN_FLIGHT SECONDS

CA is the file of the authority to trust, or "" for plain HTTP. EACH is 1 where every worker makes one request at least,
even when the time is over before it comes to it.
"""

import asyncio
import gc
import http.client
import json
import resource
import ssl
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks import contenders, lists

type Figures = dict[str, Any]


def control(origin: str, ca: str, path: str) -> Figures:
    """Return the answer of the upstream's /stats or /reset."""
    address = urlsplit(origin).netloc
    connection: http.client.HTTPConnection
    if ca:
        connection = http.client.HTTPSConnection(address, context=ssl.create_default_context(cafile=ca), timeout=30)
    else:
        connection = http.client.HTTPConnection(address, timeout=30)
    try:
        connection.request("GET", path)
        figures: Figures = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    return figures


def memory_mb(name: str) -> float:
    """Return VmRSS (now) or VmHWM (the peak) of this process in MB."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) / 1024
    return 0.0


def forget_peak() -> float:
    """Start the peak anew, and return the memory that is used now, in MB."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", "ascii")
    return memory_mb("VmRSS")


def cpu_s() -> float:
    """Return the seconds of CPU that this process has used, its threads included."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Count:
    """What came of the requests."""

    def __init__(self) -> None:
        self.done = 0
        self.errors: Counter[str] = Counter()


async def _many(contender: contenders.Contender, in_flight: int, until: float, *, each: bool) -> Count:
    count = Count()

    async def worker(number: int) -> None:
        first = each
        while first or time.perf_counter() < until:
            first = False
            try:
                await contender.one(number)
                count.done += 1
            except Exception as error:  # noqa: BLE001  # whatever it is, it counts as an error
                count.errors[type(error).__name__] += 1

    await asyncio.gather(*(worker(number) for number in range(in_flight)))
    return count


def _many_threads(contender: contenders.ThreadContender, in_flight: int, until: float, *, each: bool) -> Count:
    count, lock = Count(), threading.Lock()

    def worker(number: int) -> None:
        first = each
        while first or time.perf_counter() < until:
            first = False
            try:
                contender.call(number)
            except Exception as error:  # noqa: BLE001  # whatever it is, it counts as an error
                with lock:
                    count.errors[type(error).__name__] += 1
            else:
                with lock:
                    count.done += 1

    threads = [threading.Thread(target=worker, args=(number,)) for number in range(in_flight)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return count


async def rate(
    name: str, origin: str, ca: str, in_flight: int, seconds: float, latency_ms: float, each: float
) -> Figures:
    """Keep `in_flight` requests going for some seconds, and let the last ones end."""
    contender = contenders.BY_NAME[name](origin, ca)
    await contender.setup()
    idle_mb = forget_peak()
    await _warm(contender, in_flight)
    gc.collect()
    control(origin, ca, f"/reset?latency_ms={latency_ms}")
    cpu, started = cpu_s(), time.perf_counter()
    if isinstance(contender, contenders.ThreadContender):
        count = await asyncio.to_thread(_many_threads, contender, in_flight, started + seconds, each=bool(each))
    else:
        count = await _many(contender, in_flight, started + seconds, each=bool(each))
    wall_s, spent_s = time.perf_counter() - started, cpu_s() - cpu
    figures = {
        "done": count.done,
        "errors": dict(count.errors),
        "wall_s": wall_s,
        "rate": count.done / wall_s,
        "cpu_ms": spent_s * 1000 / count.done if count.done else None,
        "idle_mb": idle_mb,
        "peak_mb": memory_mb("VmHWM"),
        "server": control(origin, ca, "/stats"),
    }
    await contender.teardown()
    return figures


async def _warm(contender: contenders.Contender, in_flight: int) -> None:
    """Import what is imported late, and open the connections that are kept."""
    if isinstance(contender, contenders.ThreadContender):
        await asyncio.to_thread(contender.call, 0)
        return
    await contender.one(0)
    if contender.pooled:
        await asyncio.gather(*(contender.one(number) for number in range(in_flight)), return_exceptions=True)


async def whole_list(name: str, origin: str, ca: str, latency_ms: float) -> Figures:
    """Fetch a whole list once, connections and all."""
    _, fetch = lists.ALL[name]
    for module in ("aiohttp", "temba_client.v2") if "ours" not in name else ("rapidpro_integration.interface",):
        __import__(module)
    if ca and "ours" in name:
        contenders.trust(ca)
    control(origin, ca, f"/reset?latency_ms={latency_ms}")
    idle_mb, cpu, started = forget_peak(), cpu_s(), time.perf_counter()
    try:
        rows, first_at = await fetch(origin, ca)
    except lists.NotThereError:
        return {"missing": True}
    ended_at, peak_mb = time.perf_counter(), memory_mb("VmHWM")
    server = control(origin, ca, "/stats")
    return {
        "rows": rows,
        "first_s": first_at - started,
        "all_s": ended_at - started,
        "cpu_s": cpu_s() - cpu,
        "above_idle_mb": peak_mb - idle_mb,
        "to_latency": (ended_at - started) / server["latency_sum_s"],
        "server": server,
    }


class _Reader(asyncio.Protocol):
    """A client that counts bytes and asks again: nothing in Python does less."""

    def __init__(self, request: bytes, size: int, until: float, done: Callable[[int], None]) -> None:
        self._request, self._size, self._until, self._done = request, size, until, done
        self._left, self._answers = 0, 0

    def connection_made(self, transport: Any) -> None:
        """Ask for the first time."""
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Count."""
        self._left -= len(data)
        if self._left <= 0:
            self._answers += 1
            self._ask()

    def _ask(self) -> None:
        if time.perf_counter() >= self._until:
            self._transport.close()
            self._done(self._answers)
            return
        self._left = self._size
        self._transport.write(self._request)


async def capacity(origin: str, ca: str, in_flight: int, seconds: float) -> Figures:
    """Measure what the upstream itself can serve, without a latency, to a client that does next to nothing."""
    address, context = urlsplit(origin), ssl.create_default_context(cafile=ca) if ca else None
    connection = http.client.HTTPSConnection if ca else http.client.HTTPConnection
    once = connection(address.netloc, **({"context": context} if ca else {}))
    once.request("GET", contenders.PATH)
    first = once.getresponse()
    size = len(first.read()) + len("HTTP/1.1 200 OK\r\n\r\n") + sum(len(k) + len(v) + 4 for k, v in first.getheaders())
    once.close()
    control(origin, ca, "/reset?latency_ms=0")
    loop, started = asyncio.get_running_loop(), time.perf_counter()
    request = f"GET {contenders.PATH} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode()
    answers = [loop.create_future() for _ in range(in_flight)]
    for future in answers:

        def make(done: Callable[[int], None] = future.set_result) -> _Reader:
            return _Reader(request, size, started + seconds, done)

        await loop.create_connection(make, address.hostname, address.port, ssl=context)
    done = sum(await asyncio.gather(*answers))
    wall_s = time.perf_counter() - started
    return {"rate": done / wall_s, "page_bytes": size, "server": control(origin, ca, "/stats")}


def main() -> None:
    """Do what the arguments say."""
    kind, name, origin, ca, *numbers = sys.argv[1:]
    values = [float(number) for number in numbers]
    if kind == "rate":
        figures = asyncio.run(rate(name, origin, ca, int(values[0]), *values[1:]))
    elif kind == "list":
        figures = asyncio.run(whole_list(name, origin, ca, values[0]))
    else:
        try:
            from uvloop import run
        except ImportError:
            from asyncio import run
        figures = run(capacity(origin, ca, int(values[0]), values[1]))
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
