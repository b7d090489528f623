"""The ASGI servers side by side: `python -m benchmarks.bench_servers`, a section of docs/benchmarks.md.

Each serves the real site from the same database in turn, round after round: a page of a signed-in person and the probe
of liveness; and each is told to stop while a request is under way. Loopback only; nothing is asserted here.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks import report, sections
from benchmarks.child import control
from benchmarks.harness import ROOT, Figures, Upstream, machine
from benchmarks.site import Site, SiteError
from tests.served import HOST, free_port, wait_for

SLOW_MS = 2_000.0
_TICKS = os.sysconf("SC_CLK_TCK")
PATHS = {"page": "/tokens/", "probe": "/livez"}
MANAGE = ["manage.py", "web", "--no-access-log", "--grace", "20"]
UVICORN = ["-m", "uvicorn", "config.asgi:application", "--loop", "uvloop", "--http", "httptools", "--ws", "none"]
UVICORN += ["--lifespan", "on", "--no-access-log", "--no-proxy-headers", "--timeout-graceful-shutdown", "20"]
GRANIAN = ["-m", "granian", "--interface", "asgi", "--loop", "uvloop", "--http", "1", "--no-ws"]
GRANIAN += ["--workers-kill-timeout", "20", "config.asgi:application"]


def command(server: str, port: int, workers: int) -> list[str]:
    """Return what starts a server."""
    if server == "manage.py web":
        return [sys.executable, *MANAGE, "--bind", f"{HOST}:{port}"]
    options = ["--host", HOST, "--port", str(port), "--workers", str(workers)]
    return [sys.executable, *(UVICORN if server == "uvicorn" else GRANIAN), *options]


SERVERS = ("uvicorn", "granian", "manage.py web")


def tree(pid: int) -> list[int]:
    """Return a process and all that it started."""
    found = [pid]
    for thread in Path(f"/proc/{pid}/task").iterdir():
        # A thread may end meanwhile; none that has started a process does.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found += [each for child in (thread / "children").read_text().split() for each in tree(int(child))]
    return found


def cpu_s(pid: int) -> float:
    """Return the user and system time that a process and all that it started have used so far."""
    total = 0
    for each in tree(pid):
        fields = Path(f"/proc/{each}/stat").read_text("ascii").rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def memory_mb(pid: int) -> float:
    """Return the memory of a process and all that it started; what they share is counted once."""
    kb = 0
    for each in tree(pid):
        lines = Path(f"/proc/{each}/smaps_rollup").read_text("ascii").splitlines()
        kb += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kb / 1024


async def _ask(port: int, path: str, cookie: str, until: float) -> int:
    """Ask for a page again and again on one connection; return how often. Raises SiteError unless each is a 200."""
    reader, writer = await asyncio.open_connection(HOST, port)
    head = f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nCookie: {cookie}\r\n\r\n".encode()
    count = 0
    while time.perf_counter() < until:
        writer.write(head)
        answer = await reader.readuntil(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise SiteError(f"{path}: {answer.partition(b'\r\n')[0].decode()}")
        headers = answer.lower()
        if b"transfer-encoding: chunked" in headers:
            while size := int((await reader.readline()).strip() or b"0", 16):
                await reader.readexactly(size + 2)
            await reader.readline()
        else:
            length = headers.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
        count += 1
    writer.close()
    return count


async def _load(port: int, path: str, cookie: str, in_flight: int, seconds: float) -> tuple[int, float]:
    started = time.perf_counter()
    asked = [_ask(port, path, cookie, started + seconds) for _ in range(in_flight)]
    return sum(await asyncio.gather(*asked)), time.perf_counter() - started


def measure(process: subprocess.Popen[bytes], port: int, cookie: str, in_flight: int, seconds: float) -> Figures:
    """Return pages a second and CPU a page for each kind, and the memory afterwards."""
    figures: Figures = {}
    for kind, path in PATHS.items():
        asyncio.run(_load(port, path, cookie, in_flight, 1.0))
        before = cpu_s(process.pid)
        count, took_s = asyncio.run(_load(port, path, cookie, in_flight, seconds))
        figures[kind] = {"rate": count / took_s, "cpu_ms": (cpu_s(process.pid) - before) * 1000 / count}
    figures["memory_mb"] = memory_mb(process.pid)
    return figures


def _readiness(port: int) -> int:
    """Return the status of /readyz to a new connection; 0 if there is none to be had."""
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1) as asked:
        asked.sendall(f"GET /readyz HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
        return int(asked.recv(12)[9:] or b"0")
    return 0


def stop(process: subprocess.Popen[bytes], port: int, upstream: Upstream, path: str, cookie: str, log: Path) -> Figures:
    """Send SIGTERM while a page waits for the upstream; return what became of it, of readiness and of the process."""
    control(upstream.origin, upstream.ca, f"/reset?latency_ms={SLOW_MS}")
    log.write_text("")
    with socket.create_connection((HOST, port), 60) as browser:
        browser.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n".encode()
        )
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        started, statuses = time.perf_counter(), list[int]()
        while time.perf_counter() - started < 1.5:
            statuses.append(_readiness(port))
            time.sleep(0.05)
        page = b""
        with contextlib.suppress(ConnectionError):
            while piece := browser.recv(65_536):
                page += piece
    try:
        code: int | str = process.wait(30)
    except subprocess.TimeoutExpired:
        code = "none within 30 s"
        for each in tree(process.pid):
            os.kill(each, signal.SIGKILL)
        process.wait()
    control(upstream.origin, upstream.ca, "/reset?latency_ms=0")
    return {
        "code": code,
        "seconds": time.perf_counter() - started,
        "page": page.partition(b"\r\n")[0].decode().removeprefix("HTTP/1.1 ") or "nothing",
        "told": 503 in statuses,
        "closed": log.read_text("utf-8").count("All that this process held open is closed."),
    }


def run_server(
    server: str, workers: int, site: Site, upstream: Upstream, token: str, options: argparse.Namespace
) -> Figures:
    """Start the server on the site's database, measure it and stop it."""
    port, log = free_port(), site.folder / "server.log"
    variables = site.variables | {"WEB_CONCURRENCY": str(workers), "STOP_DELAY_S": "1"}
    variables |= {"LOG_FILE": str(log), "LOG_LEVEL": "INFO"}
    with (site.folder / "server.out").open("wb") as output:
        process = subprocess.Popen(
            command(server, port, workers), env=variables, cwd=ROOT, stdout=output, stderr=output
        )
    wait_for(port, process)
    while _readiness(port) != 200:
        time.sleep(0.05)
    figures = measure(process, port, site.cookie, options.in_flight, options.seconds)
    figures["stop"] = stop(process, port, upstream, f"/tokens/{token}/flows/", site.cookie, log)
    return figures


def spread(values: Sequence[float]) -> str:
    """Return the median, and the smallest and the largest."""
    return f"{report.number(statistics.median(values))} ({report.number(min(values))}–{report.number(max(values))})"


def render(found: dict[tuple[int, str], list[Figures]], options: argparse.Namespace, load: float) -> str:
    """Return the section."""
    rates, stops = [], []
    for (workers, server), rounds in found.items():
        row = [f"{server}, {workers}"]
        for kind in PATHS:
            row += [spread([each[kind]["cpu_ms"] for each in rounds]), spread([each[kind]["rate"] for each in rounds])]
        rates.append([*row, spread([each["memory_mb"] for each in rounds])])
        ends = [each["stop"] for each in rounds]
        words = [sorted({str(end[key]) for end in ends}) for key in ("code", "page")]
        told = f"{sum(end['told'] for end in ends)} of {len(ends)}"
        closed = f"{sum(end['closed'] for end in ends)} of {workers * len(ends)}"
        seconds = spread([end["seconds"] for end in ends])
        stops.append([f"{server}, {workers}", *(" / ".join(each) for each in words), told, closed, seconds])
    facts = machine() | {"Servers": ", ".join(f"{name} {version(name)}" for name in ("uvicorn", "granian", "uvloop"))}
    head = ["Server, processes", "CPU a page, ms", "pages a second", "CPU a probe, ms", "probes a second", "memory, MB"]
    stop_head = [
        "Server, processes",
        "exit code",
        "the page under way",
        "/readyz said 503",
        "closed in order",
        "seconds",
    ]
    return "\n\n".join(
        [
            "## The ASGI server",
            report.table(("Machine", ""), [[name, fact] for name, fact in facts.items()]),
            f"`python -m benchmarks.bench_servers --rounds {options.rounds}`, load of the machine before {load:.1f}. "
            f"{options.in_flight} requests in flight for {options.seconds:g} s; median (smallest–largest) of "
            f"{options.rounds} rounds, interleaved. The load generator runs on the same cores, so CPU is the figure to "
            "go by; it is that of all processes of the server. *Page* is the list of a person's tokens, *probe* is "
            "`/livez`. Below, SIGTERM comes while a page waits two seconds for RapidPro, with `STOP_DELAY_S=1`.",
            report.table(head, rates),
            report.table(stop_head, stops),
        ]
    )


def main() -> None:
    """Measure, print, and write the section."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--in-flight", type=int, default=32)
    parser.add_argument("--no-page", action="store_true", help="print the section and leave docs/benchmarks.md alone")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    found: dict[tuple[int, str], list[Figures]] = {}
    runs = options.rounds * 2 * len(SERVERS)
    with Upstream(250) as upstream, Site(upstream.origin, tokens=runs) as site:
        tokens = iter(site.tokens)
        for number in range(options.rounds):
            for workers in (1, 2):
                for server in SERVERS:
                    figures = run_server(server, workers, site, upstream, next(tokens), options)
                    found.setdefault((workers, server), []).append(figures)
                    shown = f"page {figures['page']['cpu_ms']:.2f} ms, probe {figures['probe']['cpu_ms']:.3f} ms"
                    print(f"  round {number + 1}  {server}, {workers}: {shown}, {figures['stop']}", flush=True)
    section = render(dict(sorted(found.items())), options, load)
    print(section)
    if not options.no_page:
        sections.put(ROOT / "docs" / "benchmarks.md", "servers", section)


if __name__ == "__main__":
    main()
