"""What the table of loads does not show: the first row of a long list, and many people who wait for slow servers."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from benchmarks.certs import Certificates
from benchmarks.child import control
from benchmarks.harness import ROOT, Figures, Upstream
from benchmarks.pages import programs, trees
from benchmarks.pages.load import Orders
from benchmarks.pages.measuring import LATENCY_MS, Stage, load
from benchmarks.pages.programs import Program
from benchmarks.rows import PAGE_ROWS

LONG = (2_500, 25_000)
ROUNDS = 3
SLOW = 500
# A process sends no more than 200 requests to one server at once.
_SLOW_SERVERS = 3
# Below what a site waits for a piece of an answer.
_SLOW_MS = 7_000.0
_RAMP_S = 3.5
_FAST_PAGES = 15
_QUIET_S, _LIMIT_S = 0.3, 60.0


@contextmanager
def upstreams(certificates: Certificates) -> Iterator[tuple[dict[int, Upstream], list[Upstream]]]:
    """Start a server for each length of a list, and the slow ones."""
    with ExitStack() as stack:
        long = {flows: stack.enter_context(Upstream(flows, certificates)) for flows in LONG}
        slow = [stack.enter_context(Upstream(PAGE_ROWS, certificates)) for _ in range(_SLOW_SERVERS)]
        yield long, slow


def first_rows(stage: Stage, program: Program, long: dict[int, Upstream]) -> dict[int, list[float]]:
    """Return the milliseconds to the first row by the number of flows, each of somebody new."""
    found: dict[int, list[float]] = {}
    for flows, upstream in {PAGE_ROWS: stage.upstream, **long}.items():
        control(upstream.origin, upstream.ca, f"/reset?latency_ms={LATENCY_MS}")
        found[flows] = []
        for visit in stage.people(upstream.origin, ROUNDS):
            orders = Orders(program.addresses, [visit], 1, PAGE_ROWS, [], 0, _LIMIT_S, pages=1)
            figures = load(orders)
            if figures["errors"]:
                raise programs.ProgramError(f"A list of {flows} flows: {figures['errors']}")
            found[flows] += figures["row_ms"]
            _until_quiet(upstream)
        print(f"  {flows:>6,} flows: first row after {statistics.median(found[flows]):.0f} ms", flush=True)
    return found


def _until_quiet(upstream: Upstream) -> None:
    """Wait until the rest of the list has come, which nobody looks at any more."""
    deadline, last = time.monotonic() + _LIMIT_S, -1
    while time.monotonic() < deadline:
        count = int(control(upstream.origin, upstream.ca, "/stats")["requests"])
        if count == last:
            return
        last = count
        time.sleep(_QUIET_S)


def crowd(stage: Stage, slow: Sequence[Upstream]) -> Figures:
    """Return what 500 people who wait for slow servers cost one process, and somebody else whose server is quick."""
    share = -(-SLOW // len(slow))
    waiting = [visit for upstream in slow for visit in stage.people(upstream.origin, share)][:SLOW]
    quick = stage.people(stage.upstream.origin, 3 * _FAST_PAGES)
    stage.begin_anew()
    with Program(programs.OURS, stage.folder, stage.site, processes=1) as program:

        def alone(number: int) -> Figures:
            visits = quick[number * _FAST_PAGES : (number + 1) * _FAST_PAGES]
            return load(Orders(program.addresses, visits, 1, PAGE_ROWS, stage.words, 0, _LIMIT_S, pages=len(visits)))

        alone(0)
        idle, idle_mb = alone(1), trees.peak_mb(program.pids)
        trees.forget_peaks(program.pids)
        for upstream in slow:
            control(upstream.origin, upstream.ca, f"/reset?latency_ms={_SLOW_MS}")
        orders = Orders(
            program.addresses, waiting, SLOW, PAGE_ROWS, stage.words, 0, _LIMIT_S, pages=SLOW, ramp_s=_RAMP_S
        )
        written = stage.folder / "crowd.json"
        written.write_bytes(orders.encode())
        with written.open("rb") as orders_file:
            child = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.pages.load"], cwd=ROOT, stdin=orders_file, stdout=subprocess.PIPE
            )
        begun = time.monotonic()
        while _under_way(slow) < SLOW and time.monotonic() - begun < _SLOW_MS / 1000:
            time.sleep(0.05)
        before, beside, after = _under_way(slow), alone(2), _under_way(slow)
        answers, _ = child.communicate(timeout=2 * _LIMIT_S)
        peak_mb = trees.peak_mb(program.pids)
    found = {"idle": idle, "beside": beside, "slow": json.loads(answers)}
    print(f"  {min(before, after)} waiting for slow servers: {peak_mb:.0f} MB", flush=True)
    return {
        "at_once": min(before, after),
        "idle_mb": idle_mb,
        "peak_mb": peak_mb,
        "idle_ms": statistics.median(idle["ms"]) if idle["ms"] else None,
        "beside_ms": statistics.median(beside["ms"]) if beside["ms"] else None,
        "errors": {name: figures["errors"] for name, figures in found.items() if figures["errors"]},
    }


def _under_way(upstreams: Sequence[Upstream]) -> int:
    """Return how many requests these servers have not answered yet."""
    return sum(int(control(upstream.origin, upstream.ca, "/stats")["in_flight"]) for upstream in upstreams)
