"""The section of docs/benchmarks.md from the figures of one run."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import targets
from benchmarks.harness import Figures
from benchmarks.pages.measuring import GENERATIONS, LATENCY_MS, WINDOW
from benchmarks.pages.programs import KINDS
from benchmarks.pages.targets import all_targets
from benchmarks.report import number, table

type Cells = Mapping[str, Mapping[int, Sequence[Figures]]]

_HEAD = (
    "Program",
    "CPU a page, ms",
    "pages/s",
    "median ms",
    "p99 ms",
    "peak MB",
    "PostgreSQL, ms",
    "Redis, ms",
    "load, ms",
    "upstream",
    "n",
)
_METHOD = """\
Two processes of each program on this machine, with a PostgreSQL (its usual settings, every commit on the disk) and a
Redis of this run's own, an upstream that answers over TLS after {latency_ms:g} ms with the same 250 flows, and a load
generator, each in processes of their own. The site runs as in production: `DEBUG` off, https ended by a proxy before
it, the upstream among `RAPIDPRO_SERVERS` and `RAPIDPRO_PRIVATE_ORIGINS`; besides, its process trusts this run's
certificate authority. Each connection of the generator asks for the next person's page as soon as the last one is
there; each person has a session and a sealed token of their own. Of each page are looked at: the status, 250 rows, the
names of the first and the last flow, and the label of this very person's token. The upstream must have got as many
requests as there were pages: one each of `ours`, none of `ours-kept`.

`ours` is the page of a person who has not looked in the last minute and whose list nobody has read: the kept lists are
thrown away before each measurement and nobody comes twice in one, so that each page opens its token, writes that into
the audit log, asks, keeps the list sealed and notes the visit. The programs beside it do nothing of that. `ours-kept`
is the same page when the list is kept and fresh.

The programs take turns, in {rounds} rounds, each for {seconds:g} s after a warm-up (a slow one with 500 in flight once,
for longer). A cell is the median of the rounds with the smallest and the largest; times are medians of windows of
{window} pages, with the smallest and the largest window. *CPU a page* is that of all processes of the program;
*PostgreSQL*, *Redis* and *load* are the same for the database, the cache and the generator; *peak* is the highest
resident memory of the program's processes together; *upstream* the share of one core that it used. Where fewer than
{generations} pages came over each connection, the pages of the warm-up and those under way at the end count too. Any
error anywhere makes the run fail. The fixed loop says how quick the machine was for everybody while this ran.
"""


def spread(values: Sequence[float]) -> str:
    """Return the median, and the smallest and the largest where there are several."""
    if len(values) < 2:
        return number(values[0]) if values else "–"
    return f"{number(statistics.median(values))} ({number(min(values))}–{number(max(values))})"


def faults(run: Figures) -> list[str]:
    """Return a sentence for each measurement with an error."""
    found = [
        f"{name}, {in_flight} in flight: {_errors(each)}"
        for name, loads in run["cells"].items()
        for in_flight, cells in loads.items()
        for each in cells
        if each["errors"]
    ]
    return found + [
        f"{name} pages beside slow servers: {_errors({'errors': errors})}"
        for name, errors in run.get("crowd", {}).get("errors", {}).items()
    ]


def _errors(figures: Figures) -> str:
    return ", ".join(f"{count} × {error}" for error, count in figures["errors"].items())


def render(run: Figures) -> str:
    """Return the section of one run."""
    cells: Cells = run["cells"]
    wanted = targets.table(all_targets(run), number)
    machine = run["machine"] | {
        "Load before it began": f"{run['load_before']:.1f}",
        "A fixed loop, ms of CPU, before and after": " and ".join(map(number, run["speed_ms"])),
        "It took": f"{run['took_s']:.0f} s",
    }
    parts = [
        "## Pages of the whole site",
        f"Written by `{run['command']}`; do not edit. Run it again instead.",
        table(("Machine", ""), [[name, fact] for name, fact in machine.items()]),
        "### What is wanted",
        table(("Target", "Wanted", "Measured", "Verdict"), wanted),
    ]
    if wrong := faults(run):
        parts += [
            "**Not all pages were right**, so this run shows nothing of these:",
            "\n".join(f"- {each}" for each in wrong),
        ]
    for in_flight in sorted({in_flight for loads in cells.values() for in_flight in loads}):
        parts += [f"### {in_flight} in flight", table(_HEAD, _rows(cells, in_flight))]
    parts += [_capacity(run), *_extras(run)]
    parts += [
        "### How pages are measured",
        _METHOD.format(**run, latency_ms=LATENCY_MS, window=WINDOW, generations=GENERATIONS).strip(),
    ]
    return "\n\n".join(parts)


def _capacity(run: Figures) -> str:
    rates = [each["rate"] for loads in run["cells"].values() for found in loads.values() for each in found]
    capacity, fastest = run["capacity"].get("rate"), max(rates, default=0.0)
    if not capacity or not fastest:
        return "What the upstream can carry was not measured."
    enough = "" if capacity >= 5 * fastest else ", **less than five times as many: it may hold back the fastest**"
    return (
        f"The upstream serves {number(capacity)} answers a second to a client that only counts bytes; the quickest "
        f"program asked for {number(fastest)} ({number(capacity / fastest)} ×{enough})."
    )


def _extras(run: Figures) -> list[str]:
    parts = []
    if rows := run.get("first_rows"):
        shown = [[f"{flows:,} flows", spread(values)] for flows, values in rows.items()]
        parts += ["### The first row of a list that nobody has read yet", table(("", "ms"), shown)]
    if crowd := run.get("crowd"):
        shown = [
            ["requests to slow servers under way, at least", number(crowd["at_once"])],
            ["memory of the process before, MB", number(crowd["idle_mb"])],
            ["memory of the process at most, MB", number(crowd["peak_mb"])],
            ["a page of a quick server alone, ms", number(crowd["idle_ms"])],
            ["the same beside them, ms", number(crowd["beside_ms"])],
        ]
        parts += ["### Many who wait for slow servers, in one process", table(("", ""), shown)]
    return parts


def _rows(cells: Cells, in_flight: int) -> list[list[str]]:
    rows = []
    for name, loads in cells.items():
        found = loads.get(in_flight, [])
        title = f"{KINDS[name].label} (`{name}`)"
        if wrong := [each for each in found if each["errors"]]:
            rows.append([title, f"**failed**: {_errors(wrong[0])}", *[""] * (len(_HEAD) - 2)])
        elif found:
            rows.append([title, *_figures(found)])
    return rows


def _figures(found: Sequence[Figures]) -> list[str]:
    def of(key: str) -> list[Any]:
        return [each[key] for each in found if each[key] is not None]

    def middle(key: str) -> str:
        return number(statistics.median(values)) if (values := of(key)) else "–"

    windows = [window for each in found for window in each["ms"]]
    return [
        spread(of("cpu_ms")),
        spread(of("rate")),
        spread(windows),
        middle("p99_ms"),
        number(max(of("peak_mb"))),
        middle("postgres_ms"),
        middle("redis_ms"),
        middle("load_ms"),
        f"{statistics.median(each['upstream']['busy'] for each in found):.0%}",
        str(len(found)),
    ]
