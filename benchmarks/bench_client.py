"""The client against the other ways to do the same: `python -m benchmarks.bench_client`, written to docs/benchmarks.md.

A full run takes less than eight minutes, `--quick` less than two. Loopback only.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks import certs, contenders, lists, report, sections
from benchmarks.harness import ROOT, Figures, Upstream, capacity, machine

SLOW_S = 6.0
LIST_LATENCY_MS = 100.0
_SIZES = (250, 2_500, 25_000)
# After this many seconds no other round begins, so that the lists still fit.
_ROUNDS_UNTIL_S = {False: 330.0, True: 60.0}


def latency_ms(in_flight: int) -> float:
    """Return the upstream's latency: enough that all are under way at once, and that it allows 5,000 a second."""
    return in_flight / 5 if in_flight > 1 else 0.0


def measure_rates(upstream: Upstream, options: argparse.Namespace) -> dict[tuple[str, int], Figures]:
    """Return the medians of each contender at each number in flight."""
    found: dict[tuple[str, int], list[Figures]] = {}
    slow: set[tuple[str, int]] = set()
    for round_number in range(options.rounds):
        for in_flight in options.in_flight:
            for name in options.contenders:
                cell = (name, in_flight)
                if round_number and (cell in slow or time.monotonic() > options.rounds_until):
                    continue
                started = time.monotonic()
                numbers = (in_flight, options.seconds, latency_ms(in_flight), int(options.each))
                figures = upstream.measure("rate", name, *numbers)
                if time.monotonic() - started > SLOW_S:
                    slow.add(cell)
                found.setdefault(cell, []).append(figures)
                shown = report.number(figures.get("rate")) if "rate" in figures else figures.get("failed")
                print(f"  round {round_number + 1}  {in_flight:>3} in flight  {name:<24} {shown}", flush=True)
    return {cell: _medians(rounds) for cell, rounds in found.items()}


def _medians(rounds: list[Figures]) -> Figures:
    whole = [figures for figures in rounds if "rate" in figures]
    if not whole:
        return rounds[-1]
    medians: Figures = {"n": len(whole), "errors": sum((Counter(each["errors"]) for each in whole), Counter())}
    for key in ("rate", "cpu_ms", "idle_mb", "peak_mb"):
        values = [each[key] for each in whole if each[key] is not None]
        medians[key] = statistics.median(values) if values else None
    medians["server"] = {
        "max_in_flight": max(each["server"]["max_in_flight"] for each in whole),
        "busy": statistics.median(each["server"]["busy"] for each in whole),
    }
    return medians


def measure_lists(
    certificates: certs.Certificates | None, options: argparse.Namespace
) -> dict[tuple[str, int], Figures]:
    """Return the figures of each way to fetch a whole list, of each length."""
    found = {}
    for flows in _SIZES:
        with Upstream(flows, certificates, options.spread) as upstream:
            for name in options.lists:
                if options.quick and flows == max(_SIZES) and not name.startswith("ours"):
                    continue
                figures = found[(name, flows)] = upstream.measure("list", name, LIST_LATENCY_MS)
                shown = f"{figures['all_s']:.2f} s" if "all_s" in figures else str(figures)
                print(f"  {flows:>6,} flows  {name:<20} {shown}", flush=True)
    return found


def measure_decoding() -> Figures:
    """Return what bench_decode measures, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.bench_decode", "--json"]
    child = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    if child.returncode:
        return {"failed": (child.stderr.strip().splitlines() or ["no word"])[-1][:200]}
    figures: Figures = json.loads(child.stdout.splitlines()[-1])
    return figures


def measure(options: argparse.Namespace, folder: Path) -> Figures:
    """Return everything that one run measures."""
    run: Figures = {
        "command": " ".join(["python -m benchmarks.bench_client", *sys.argv[1:]]),
        "machine": machine(),
        "options": {"seconds": options.seconds, "rounds": options.rounds, "slow_s": SLOW_S, "spread": options.spread},
        "each": options.each,
        "list_latency_ms": LIST_LATENCY_MS,
        "schemes": {},
    }
    options.rounds_until = time.monotonic() + _ROUNDS_UNTIL_S[options.quick] / len(options.schemes)
    for scheme in options.schemes:
        certificates = certs.make(folder) if scheme == "tls" else None
        print(report.SCHEMES[scheme], flush=True)
        with Upstream(contenders.ROWS, certificates) as upstream:
            figures: Figures = {"capacity": capacity(upstream), "rates": measure_rates(upstream, options)}
        figures["lists"] = measure_lists(certificates, options)
        run["schemes"][scheme] = figures
        options.rounds_until = time.monotonic() + _ROUNDS_UNTIL_S[options.quick] / len(options.schemes)
    if not options.only:
        run["decode"] = measure_decoding()
    return run


def read_options() -> argparse.Namespace:
    """Return the options, and what follows from them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    names = (*contenders.BY_NAME, *lists.ALL)
    parser.add_argument("output", nargs="?", type=Path, default=ROOT / "docs" / "benchmarks.md")
    parser.add_argument("--quick", action="store_true", help="1 s, one round, 1 and 500 in flight")
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--no-lists", action="store_true")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--spread", choices=("even", "recent"), default="even", help="how modified_on lies in time")
    parser.add_argument("--in-flight", type=int, nargs="+")
    which = parser.add_mutually_exclusive_group()
    for scheme in ("tls", "plain", "both"):
        which.add_argument(f"--{scheme}", dest="which", action="store_const", const=scheme)
    options = parser.parse_args()
    options.schemes = ["tls", "plain"] if options.which == "both" else [options.which or "tls"]
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.seconds = options.seconds or (1.0 if options.quick else 1.5)
    options.in_flight = options.in_flight or ([1, 500] if options.quick else [1, 50, 500])
    options.each = not options.quick
    chosen: Any = options.only or names
    options.contenders = [name for name in contenders.BY_NAME if name in chosen]
    options.lists = [] if options.no_lists else [name for name in lists.ALL if name in chosen]
    return options


def main() -> None:
    """Measure, and write the page."""
    options, started = read_options(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        run = measure(options, Path(folder))
    others = sections.sections(options.output.read_text("utf-8")) if options.output.exists() else ""
    options.output.write_text(report.render(run) + others, "utf-8")
    print(f"{options.output}, after {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
