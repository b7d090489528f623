"""Where the CPU of a page goes: `python -m benchmarks.profile_page`, a section of docs/benchmarks.md.

The site as `benchmarks.bench_site` runs it, under a steady load; py-spy looks at one of its processes some hundred
times a second and sees which code holds the interpreter. A sample belongs to the innermost function that a group below
names, so that what a library does counts for who called it.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks import certs, harness, sections
from benchmarks.harness import ROOT, Figures
from benchmarks.pages import measuring, programs
from benchmarks.pages.load import Orders
from benchmarks.pages.measuring import Plan
from benchmarks.pages.programs import ProgramError
from benchmarks.pages.services import ServicesError
from benchmarks.report import number, table
from benchmarks.rows import PAGE_ROWS

IN_FLIGHT = 20
_SAMPLES_A_SECOND = 200
#: The first that fits the innermost function decides; where none fits it, who called it is looked at.
GROUPS: dict[str, str] = {
    "decoding": r"rapidpro_integration/client/(decoding|lenient|types|texts|dates)",
    "client and its connections": r"rapidpro_integration/(client|interface|reads)|/aiohttp/|/yarl/|/multidict/",
    "vault": r"rapidpro_integration/(vault|keys|blobs)|/cryptography/",
    "audit log": r"accounts/audit|rapidpro_integration/openings",
    "cache": r"/redis/|django/core/cache|config/cache|rapidpro_integration/marks",
    "kept lists, arrivals": r"rapidpro_integration/(kept|arrivals|flow_lists|summaries)",
    "database: ORM": r"django/db|rapidpro_integration/(selectors|services)|accounts/(selectors|services)",
    "database: driver and pool": r"/psycopg(_pool)?/",
    "search and filters": r"rapidpro_integration/(flow_filters|flow_forms|flow_numbers)|django/forms",
    "rows and templates": (
        r"django/template|/jinja2/|templatetags|template_library|rapidpro_integration/(flow_)?(rows|markup|cells)"
    ),
    "sessions, users": r"django/contrib/(sessions|auth)|accounts/|allauth",
    "handler and middleware": r"django/(core/handlers|middleware|http|urls|contrib)|config/|servestatic",
    "threads and hops": r"/asgiref/|concurrent/futures|config/(threads|in_loop)",
    "ASGI server": r"/uvicorn/|/granian/|httptools",
    "event loop": r"/asyncio/|uvloop",
}
_GROUPS = [(name, re.compile(pattern)) for name, pattern in GROUPS.items()]
OTHER = "the rest"


def group_of(stack: Sequence[str]) -> str:
    """Return the group of a sample; `stack` has a `function (file:line)` a frame, the innermost last."""
    for frame in reversed(stack):
        path = frame.rpartition("(")[2]
        for name, pattern in _GROUPS:
            if pattern.search(path):
                return name
    return OTHER


def shares(raw: str) -> dict[str, float]:
    """Return the share of each group in what py-spy has written ("frame;frame;frame count" a line), largest first."""
    counts: Counter[str] = Counter()
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        counts[group_of(stack.split(";"))] += int(count)
    total = sum(counts.values())
    return {name: count / total for name, count in counts.most_common()}


def profile(stage: measuring.Stage, kind: programs.Kind, seconds: float) -> Figures:
    """Return the CPU of a page and the share of each group, under a steady load."""
    program, visits = stage.programs[kind.name], stage.visits[kind.name]
    stage.services.forget(0)
    stage.begin_anew()
    pages = len(visits) if kind is programs.OURS else 0
    orders = Orders(program.addresses, visits, IN_FLIGHT, PAGE_ROWS, stage.words, 0.5, seconds, program.pids, pages)
    raw = stage.folder / f"{kind.name}.raw"
    command = [
        str(Path(sys.executable).parent / "py-spy"),
        "record",
        "--pid",
        str(program.pids[0]),
        "--gil",
        "--full-filenames",
    ]
    command += [
        "--format",
        "raw",
        "--output",
        str(raw),
        "--rate",
        str(_SAMPLES_A_SECOND),
        "--duration",
        str(int(seconds) or 1),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as spy:
        figures = measuring.load(orders)
        _, said = spy.communicate(timeout=120)
    if figures["errors"]:
        raise ProgramError(f"Pages of {kind.name}: {figures['errors']}")
    if spy.returncode or not raw.exists():
        raise ProgramError(f"py-spy: {said.decode()[-500:]}")
    return {"cpu_ms": figures["cpu_s"] * 1000 / figures["done"], "shares": shares(raw.read_text("utf-8"))}


def render(found: dict[str, Figures], load: float) -> str:
    """Return the section."""
    facts = harness.machine()
    names = dict.fromkeys(name for figures in found.values() for name in figures["shares"])
    rows = [
        [name]
        + [
            f"{number(figures['cpu_ms'] * figures['shares'].get(name, 0))} ({figures['shares'].get(name, 0):.0%})"
            for figures in found.values()
        ]
        for name in names
    ]
    rows.append(["**all**", *(number(figures["cpu_ms"]) for figures in found.values())])
    command = " ".join(["python -m benchmarks.profile_page", *sys.argv[1:]])
    return "\n\n".join(
        [
            "## Where the CPU of a page goes",
            f"Written by `{command}` on {facts['Date']}, {facts['CPU']}, {facts['Python']}, load {load:.1f} before it "
            "began; do not edit.",
            table(("Milliseconds of CPU a page", *found), rows),
            f"Two processes of the site with {IN_FLIGHT} pages in flight, as above; of one of them py-spy has looked "
            f"{_SAMPLES_A_SECOND} times a second at which function holds the interpreter. A sample counts for the "
            "innermost function that belongs to a group. What runs without the interpreter (TLS, compression, waiting) "
            "is not seen and is spread over all groups.",
        ]
    )


def main() -> None:
    """Profile, and write the section."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "output", nargs="?", type=Path, default=ROOT / "docs" / "benchmarks.md", help="- writes nothing"
    )
    parser.add_argument("--seconds", type=float, default=8.0)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped."))
    load = os.getloadavg()[0]
    people = int(min(6_000, (options.seconds + 1) * 800))
    plan = Plan([programs.OURS, programs.KEPT], [IN_FLIGHT], 1, 0.5, options.seconds, people)
    try:
        with tempfile.TemporaryDirectory(prefix="bench-pages-") as name, ExitStack() as stack:
            stage = stack.enter_context(measuring.stage(Path(name), certs.make(Path(name))))
            measuring.start(stage, plan, stack)
            found = {kind.name: profile(stage, kind, options.seconds) for kind in plan.kinds}
    except (ProgramError, ServicesError) as error:
        sys.exit(f"Not measured: {error}")
    text = render(found, load)
    print(text)
    if str(options.output) != "-":
        sections.put(options.output, "profile", text)


if __name__ == "__main__":
    main()
