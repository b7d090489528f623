"""One run: everything is started, each program is measured under each load, and what was counted must fit together."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import batched
from pathlib import Path

from benchmarks import certs
from benchmarks.child import control
from benchmarks.harness import ROOT, Figures, Upstream
from benchmarks.pages import programs, trees
from benchmarks.pages.load import Orders, Visit
from benchmarks.pages.programs import Kind, Program, ProgramError
from benchmarks.pages.services import Services
from benchmarks.rows import PAGE_ROWS, Flows

LATENCY_MS = 100.0
KEPT_PEOPLE = 200
WINDOW = 10
GENERATIONS = 3
# Where that many people wait, a slow program is measured once, and for longer.
MANY = 500
_SLOW_SECONDS = 8.0
_LOAD_LIMIT_S = 240.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure: names of programs, numbers of requests in flight, rounds, seconds of warming up and of each."""

    kinds: Sequence[Kind]
    in_flight: Sequence[int]
    rounds: int
    warm_s: float
    seconds: float
    people: int


@dataclass(slots=True)
class Stage:
    """What runs: services, upstream, programs with the people that visit each."""

    folder: Path
    services: Services
    upstream: Upstream
    certificates: certs.Certificates
    site: dict[str, str]
    words: list[str]
    programs: dict[str, Program] = field(default_factory=dict)
    visits: dict[str, list[Visit]] = field(default_factory=dict)

    def begin_anew(self, latency_ms: float = LATENCY_MS) -> None:
        """Have the upstream count from zero."""
        control(self.upstream.origin, self.upstream.ca, f"/reset?latency_ms={latency_ms}")

    def stats(self) -> Figures:
        """Return what the upstream has counted."""
        return control(self.upstream.origin, self.upstream.ca, "/stats")

    def people(self, origin: str, count: int, environment: dict[str, str] | None = None) -> list[Visit]:
        """Make more people of the site, with tokens of the server at `origin`; return their visits."""
        command = ("-m", "benchmarks.pages.people", "make", origin, str(count))
        return _visits(programs.run(environment or self.site, *command))

    def renew(self) -> None:
        """Let no session of the site be so old that its next page notes it again."""
        programs.run(self.site, "-m", "benchmarks.pages.people", "renew")


def _visits(text: bytes) -> list[Visit]:
    return [Visit(**visit) for visit in json.loads(text)]


def words_of_the_page() -> list[str]:
    """Return the names of the first and the last flow of the upstream's page."""
    rows = [json.loads(row.body) for row in Flows(PAGE_ROWS).rows]
    return [rows[0]["name"], rows[-1]["name"]]


@contextmanager
def stage(folder: Path, certificates: certs.Certificates, more_origins: Sequence[str] = ()) -> Iterator[Stage]:
    """Start the services and the upstream, and make the site's tables and static files.

    The site may send tokens to `more_origins` too. Raises ProgramError and ServicesError.
    """
    with Services(folder) as services, Upstream(PAGE_ROWS, certificates) as upstream:
        url, ca = services.create_database("site"), str(certificates.ca)
        site = programs.of_the_site(folder, url, services.cache_url(0), [upstream.origin, *more_origins], ca)
        programs.run(site, "manage.py", "migrate", "--verbosity", "0")
        programs.run(site, "manage.py", "collectstatic", "--noinput", "--verbosity", "0")
        yield Stage(folder, services, upstream, certificates, site, words_of_the_page())


def start(stage: Stage, plan: Plan, stack: ExitStack) -> None:
    """Start the programs of the plan, with their people."""
    baselines: dict[str, str] = {}
    for kind in plan.kinds:
        if kind is programs.OURS:
            environment, visits = stage.site, stage.people(stage.upstream.origin, plan.people)
        elif kind is programs.KEPT:
            # A Redis of its own: the other one is emptied again and again.
            environment = stage.site | {"CACHE_URL": stage.services.cache_url(1)}
            visits = stage.people(stage.upstream.origin, KEPT_PEOPLE, environment)
        else:
            if not baselines:
                url = stage.services.create_database("baselines")
                baselines = programs.of_baselines(url, str(stage.certificates.bundle))
                command = ("-m", "benchmarks.baselines.people", stage.upstream.origin, str(plan.people))
                visits_of_all = _visits(programs.run(baselines, *command))
            environment, visits = baselines, visits_of_all
        stage.programs[kind.name] = stack.enter_context(Program(kind, stage.folder, environment))
        stage.visits[kind.name] = visits
    stage.begin_anew()
    for kind in plan.kinds:
        _first_pages(stage, stage.programs[kind.name])


def _first_pages(stage: Stage, program: Program) -> None:
    """Have each process import what it imports late, and keep the lists that are to be kept."""
    visits = stage.visits[program.kind.name]
    pages = len(visits) if program.kind is programs.KEPT else 20
    for address in program.addresses:
        orders = Orders([address], visits, 4, PAGE_ROWS, stage.words, 0, 120, pages=pages)
        figures = load(orders)
        if figures["errors"]:
            raise ProgramError(f"The first pages of {program.kind.name}: {figures['errors']}")
        stage.services.forget(0)


def load(orders: Orders) -> Figures:
    """Return what a load of its own process has seen. Raises ProgramError."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.pages.load"],
        input=orders.encode(),
        cwd=ROOT,
        capture_output=True,
        timeout=_LOAD_LIMIT_S,
        check=False,
    )
    if done.returncode:
        raise ProgramError(f"The load did not come to its end: {done.stderr.decode()[-2000:]}")
    figures: Figures = json.loads(done.stdout)
    return figures


def cell(stage: Stage, program: Program, in_flight: int, plan: Plan, offset: int) -> Figures:
    """Return the figures of one program under one load. `offset` is where the visits begin: each time with others."""
    kind, services = program.kind, stage.services
    visits = stage.visits[kind.name]
    start = offset % len(visits)
    is_long = kind.is_slow and in_flight >= MANY
    orders = Orders(
        program.addresses,
        visits[start:] + visits[:start],
        in_flight,
        PAGE_ROWS,
        stage.words,
        0.0 if is_long else plan.warm_s,
        _SLOW_SECONDS if is_long else plan.seconds,
        program.pids,
        # One page a person: of a second one the list would be there already.
        pages=len(visits) if kind is programs.OURS else 0,
        least=WINDOW,
    )
    if kind is programs.OURS:
        services.forget(0)
    trees.forget_peaks(orders.pids)
    stage.begin_anew()
    before = [trees.whole_cpu_s(pid) for pid in (services.postgres_pid, services.redis_pid)]
    figures = load(orders)
    postgres_s, redis_s = (
        trees.whole_cpu_s(pid) - was
        for pid, was in zip((services.postgres_pid, services.redis_pid), before, strict=True)
    )
    upstream = stage.stats()
    _check(kind, figures, upstream)
    every, times = max(1, figures["all"]), figures.pop("ms")
    # Where a page takes about as long as the clock runs, its CPU is that of many others that are not done yet: then
    # all pages count, from the first request to the last answer.
    is_short = figures["done"] < GENERATIONS * in_flight
    done = figures["all" if is_short else "done"]
    wall_s, cpu_s = (figures["all_wall_s"], figures["all_cpu_s"]) if is_short else (figures["wall_s"], figures["cpu_s"])
    rows = figures.pop("row_ms")
    return figures | {
        "in_flight": in_flight,
        "rate": done / wall_s,
        "cpu_ms": cpu_s * 1000 / done if done else None,
        "ms": [statistics.median(window) for window in batched(times, WINDOW)],
        "p99_ms": _p99(times),
        "row_ms": statistics.median(rows) if rows else None,
        "peak_mb": trees.peak_mb(orders.pids),
        "postgres_ms": postgres_s * 1000 / every,
        "redis_ms": redis_s * 1000 / every,
        "load_ms": figures["own_cpu_s"] * 1000 / figures["done"] if figures["done"] else None,
        "upstream": upstream,
    }


def _p99(times: Sequence[float]) -> float | None:
    return sorted(times)[int(len(times) * 0.99)] if times else None


def _check(kind: Kind, figures: Figures, upstream: Figures) -> None:
    """Note it as an error where the upstream was not asked as often, or not with as many tokens, as it should."""
    if figures["errors"]:
        return
    wanted = figures["all"] * kind.asks
    if upstream["requests"] != wanted:
        figures["errors"]["the upstream's requests do not fit"] = abs(int(upstream["requests"]) - wanted)
    elif kind is programs.OURS and upstream["tokens"] != wanted:
        figures["errors"]["the upstream's tokens do not fit"] = abs(int(upstream["tokens"]) - wanted)


def all_cells(stage: Stage, plan: Plan) -> dict[str, dict[int, list[Figures]]]:
    """Return the figures of each round by program and number in flight; the programs take turns."""
    found: dict[str, dict[int, list[Figures]]] = {kind.name: {} for kind in plan.kinds}
    offsets = dict.fromkeys(found, 0)
    for number in range(plan.rounds):
        if number and {programs.OURS, programs.KEPT} & set(plan.kinds):
            stage.renew()
        # The other way round each second time, so that none is always the first.
        kinds = plan.kinds if number % 2 == 0 else list(reversed(plan.kinds))
        for in_flight in plan.in_flight:
            for kind in kinds:
                cells = found[kind.name].setdefault(in_flight, [])
                if kind.is_slow and in_flight >= MANY and cells:
                    continue
                if any(each["errors"] for each in cells):
                    continue
                figures = cell(stage, stage.programs[kind.name], in_flight, plan, offsets[kind.name])
                offsets[kind.name] += figures["asked"]
                cells.append(figures)
                _tell(number, kind, in_flight, figures)
    for program in stage.programs.values():
        if not any(each["errors"] for cells in found[program.kind.name].values() for each in cells):
            program.check_log()
    return found


def _tell(number: int, kind: Kind, in_flight: int, figures: Figures) -> None:
    said = ", ".join(f"{count} × {error}" for error, count in figures["errors"].items())
    if not said and figures["done"]:
        said = f"{figures['cpu_ms']:.2f} ms of CPU a page, {figures['rate']:.0f} pages/s"
    print(f"  round {number + 1}  {in_flight:>3} in flight  {kind.name:<12}  {said}", flush=True)


def speed_ms() -> float:
    """Return the CPU that a fixed piece of work takes now: how fast the machine is for everybody."""
    started = time.process_time()
    total = 0
    for number in range(300_000):
        total += number * number
    return (time.process_time() - started) * 1000
