"""The section of docs/benchmarks.md from the figures of one run."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.harness import Figures
from benchmarks.pages.programs import KINDS
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


def spread(values: Sequence[float]) -> str:
    """Return the median, and the smallest and the largest where there are several."""
    if len(values) < 2:
        return number(values[0]) if values else "–"
    return f"{number(statistics.median(values))} ({number(min(values))}–{number(max(values))})"


def faults(cells: Cells) -> list[str]:
    """Return a sentence for each cell with an error."""
    return [
        f"{name}, {in_flight} in flight: {_errors(each)}"
        for name, loads in cells.items()
        for in_flight, found in loads.items()
        for each in found
        if each["errors"]
    ]


def _errors(figures: Figures) -> str:
    return ", ".join(f"{count} × {error}" for error, count in figures["errors"].items())


def render(run: Figures) -> str:
    """Return the section of one run."""
    cells: Cells = run["cells"]
    parts = ["## Pages of the whole site"]
    for in_flight in sorted({in_flight for loads in cells.values() for in_flight in loads}):
        parts += [f"### {in_flight} in flight", table(_HEAD, _rows(cells, in_flight))]
    return "\n\n".join(parts)


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
