"""The whole site under load, beside programs that do the same: `python -m benchmarks.bench_site`.

A section of docs/benchmarks.md, and all figures as JSON. It starts a PostgreSQL and a Redis of its own, an upstream
that answers over TLS after 100 ms, two processes of each program, and signed-in people with a token each. Loopback
only. Any error in any page makes it end with 1; what was measured is written all the same, and says so.

    python -m benchmarks.bench_site                                                     everything, some eight minutes
    python -m benchmarks.bench_site --quick                                             about a minute
    python -m benchmarks.bench_site --only ours ours-kept --in-flight 100 --quick       to see what a change brings
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

from benchmarks import certs, harness, sections
from benchmarks.harness import ROOT, Figures
from benchmarks.pages import extras, measuring, report
from benchmarks.pages.measuring import Plan
from benchmarks.pages.programs import KINDS, ProgramError
from benchmarks.pages.services import ServicesError, postgresql


def plan_of(options: argparse.Namespace) -> Plan:
    """Return what the options ask for."""
    quick = options.quick
    return Plan(
        kinds=[KINDS[name] for name in KINDS if name in (options.only or KINDS)],
        in_flight=options.in_flight or ([1, 10, 100] if quick else [1, 10, 100, 500]),
        rounds=options.rounds or (1 if quick else 5),
        warm_s=0.5 if quick else 0.7,
        seconds=options.seconds or (1.0 if quick else 2.0),
        people=2_000 if quick else 4_000,
    )


def versions() -> dict[str, str]:
    """Return the versions of what serves the pages and stores what they are made of."""
    names = ("django", "asgiref", "uvicorn", "gunicorn", "psycopg", "redis", "httptools")
    programs = [["redis-server", "--version"], [postgresql("postgres"), "--version"]]
    said = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for command in programs]
    found = [re.search(r"\d+\.\d[\d.]*", text) for text in said]
    stores = ", ".join(
        f"{name} {match[0] if match else '?'}" for name, match in zip(("Redis", "PostgreSQL"), found, strict=True)
    )
    return {"Servers": ", ".join(f"{name} {version(name)}" for name in names), "Stores": stores}


def main() -> None:
    """Measure, and write the section."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("output", nargs="?", type=Path, help="the page to write into; - writes nothing")
    parser.add_argument("--only", nargs="+", choices=KINDS, help="these programs alone")
    parser.add_argument("--in-flight", type=int, nargs="+")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument(
        "--extras", action="store_true", help="long lists and slow servers too, as a whole run has them"
    )
    parser.add_argument("--json", type=Path, default=ROOT / "docs" / "benchmarks-site.json")
    options = parser.parse_args()
    plan, started = plan_of(options), time.monotonic()
    # A part is for who asked for it; the page has whole runs.
    is_whole = options.extras or not (options.quick or options.only or options.in_flight)
    # What was started is stopped too when somebody else ends this.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped."))
    run: Figures = {
        "command": " ".join(["python -m benchmarks.bench_site", *sys.argv[1:]]),
        "machine": harness.machine() | versions(),
        "load_before": os.getloadavg()[0],
        "speed_ms": [measuring.speed_ms()],
        "seconds": plan.seconds,
        "rounds": plan.rounds,
    }
    try:
        with tempfile.TemporaryDirectory(prefix="bench-pages-") as name, ExitStack() as stack:
            certificates = certs.make(Path(name))
            long, slow = stack.enter_context(extras.upstreams(certificates)) if is_whole else ({}, [])
            origins = [upstream.origin for upstream in (*long.values(), *slow)]
            stage = stack.enter_context(measuring.stage(Path(name), certificates, origins))
            run["capacity"] = harness.capacity(stage.upstream)
            measuring.start(stage, plan, stack)
            run["cells"] = measuring.all_cells(stage, plan)
            if is_whole:
                run["first_rows"] = extras.first_rows(stage, stage.programs["ours"], long)
                run["crowd"] = extras.crowd(stage, slow)
    except (ProgramError, ServicesError) as error:
        sys.exit(f"Not measured: {error}")
    run["speed_ms"].append(measuring.speed_ms())
    run["took_s"] = time.monotonic() - started
    text = report.render(run)
    print(text)
    output = options.output or (ROOT / "docs" / "benchmarks.md" if is_whole else Path("-"))
    if str(output) != "-":
        sections.put(output, "site", text)
        options.json.write_text(json.dumps(run, indent=1), "utf-8")
    if faults := report.faults(run):
        sys.exit("\n".join(["Not all pages were right:", *faults]))


if __name__ == "__main__":
    main()
