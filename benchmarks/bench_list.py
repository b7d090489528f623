"""The list of flows as a browser loads it: `python -m benchmarks.bench_list`, a section of docs/benchmarks.md.

A signed-in person opens the list of a workspace, waits for the rest of it, and changes the filters. Loopback only; the
upstream answers after 100 ms. Any page that is not as it should be, and any fault in the site's log, fails the run.
"""

import argparse
import os
import re
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlencode

from benchmarks import report, sections
from benchmarks.child import control
from benchmarks.harness import ROOT, Figures, Upstream, machine
from benchmarks.rows import PAGE_ROWS
from benchmarks.site import ROW, Answer, Site, SiteError

LATENCY_MS = 100.0
SIZES = (250, 2_500, 25_000)
FIRST_ROWS_WITHIN_MS = 10.0
WHOLE_WITHIN_S = 60.0
# What one filter after the other is: each answered from the kept list.
FILTERS: dict[str, dict[str, str]] = {
    "a name": {"q": "vacinação"},
    "a type": {"type": "voice"},
    "a name, a type and a state": {"q": "survey", "type": "message", "archived": "no"},
    "a completion rate": {"rate_from": "40", "rate_to": "60"},
    "an order": {"sort": "-runs"},
    "the next page": {"page": "2"},
}
_METHOD = """\
One uvicorn process serves the real site (SQLite, session, CSP, audit log) to one signed-in person; the upstream answers
each request after {latency_ms:g} ms with {rows} flows. Each of {rounds} rounds opens a token whose list nobody has read
yet, polls as the page's own script does, and then changes the filters by htmx; a cell is the median with the smallest
and the largest. The first rows are there with the first row's bytes, all others with the last byte of a page, which
holds up to {rows} rows. DEBUG is on: only then may a token go to loopback.
"""
_FAR = re.compile(r'hx-get="(?P<path>[^"]*/flows/progress/[^"]*)"[^>]*hx-trigger="every (?P<seconds>\d+)s"')
MEASURES = {
    "first_ms": "First rows on the screen",
    "whole_ms": "All rows, by the page's own polling",
    "cpu_ms": "CPU of the site for the whole list",
    "again_ms": "The same page again, from the kept list",
}
ASKED = {
    "first_ms": "until the first rows were there",
    "whole_ms": "for the whole list",
    "again_ms": "for the same page again",
    "filters": "for all changes of filter",
}


def follow(site: Site, path: str, page: Answer) -> None:
    """Do what the page's own script does until the list is whole. Raises SiteError if it is not within a minute."""
    deadline = time.monotonic() + WHOLE_WITHIN_S
    while far := _FAR.search(page.text):
        while True:
            if time.monotonic() > deadline:
                raise SiteError(f"{path} is not whole after {WHOLE_WITHIN_S:.0f} s.")
            time.sleep(int(far["seconds"]))
            if "<progress" not in site.get(far["path"], by_htmx=True).text:
                break
        page = site.get(path, by_htmx=True)


def rows_in(page: Answer, at_most: int) -> int:
    """Return how many rows the page shows. Raises SiteError for none, and for more than a page has."""
    count = page.text.count(ROW.decode())
    if not 0 < count <= min(at_most, PAGE_ROWS):
        raise SiteError(f"{count} rows instead of up to {min(at_most, PAGE_ROWS)}.")
    return count


def requests(upstream: Upstream) -> int:
    """Return how many requests the upstream has answered since the last look at it."""
    count = int(control(upstream.origin, upstream.ca, "/stats")["requests"])
    control(upstream.origin, upstream.ca, f"/reset?latency_ms={LATENCY_MS}")
    return count


def measure_list(site: Site, upstream: Upstream, token: str, flows: int) -> Figures:
    """Return the figures of one list that nobody has opened before, and of each filter."""
    path = f"/tokens/{token}/flows/"
    requests(upstream)
    cpu_s, started = site.cpu_s(), time.perf_counter()
    page = site.get(path)
    rows_in(page, flows)
    asked_first = int(control(upstream.origin, upstream.ca, "/stats")["requests"])
    follow(site, path, page)
    figures: Figures = {"first_ms": page.row_ms, "whole_ms": (time.perf_counter() - started) * 1000}
    figures["cpu_ms"] = (site.cpu_s() - cpu_s) * 1000
    figures["asked"] = {"first_ms": asked_first, "whole_ms": requests(upstream)}
    again = site.get(path)
    if f"{flows:,} flow" not in again.text:
        raise SiteError(f"The list is not whole: {flows:,} flows are nowhere on its page.")
    figures["again_ms"] = again.ms
    figures["asked"]["again_ms"] = requests(upstream)
    figures["filters"], cpu_s = {}, site.cpu_s()
    for name, query in FILTERS.items():
        if "page" in query and flows <= PAGE_ROWS:
            continue
        page = site.get(f"{path}?{urlencode(query)}", by_htmx=True)
        rows_in(page, flows)
        figures["filters"][name] = page.ms
    figures["filter_cpu_ms"] = (site.cpu_s() - cpu_s) * 1000 / len(figures["filters"])
    figures["asked"]["filters"] = requests(upstream)
    if figures["asked"]["again_ms"] or figures["asked"]["filters"]:
        raise SiteError(f"A kept list was asked for again: {figures['asked']}")
    return figures


def measure(sizes: Sequence[int], rounds: int) -> dict[int, list[Figures]]:
    """Return the figures of each round by the number of flows; the first of a site warms it up and is left out."""
    found: dict[int, list[Figures]] = {}
    for flows in sizes:
        with Upstream(flows) as upstream, Site(upstream.origin, tokens=rounds + 1) as site:
            control(upstream.origin, upstream.ca, f"/reset?latency_ms={LATENCY_MS}")
            for number, token in enumerate(site.tokens):
                figures = measure_list(site, upstream, token, flows)
                if number:
                    found.setdefault(flows, []).append(figures)
                shown = f"first {figures['first_ms']:.0f} ms, all {figures['whole_ms']:.0f} ms"
                print(f"  {flows:>6,} flows  {'round ' + str(number) if number else 'warm-up'}  {shown}", flush=True)
    return found


def spread(values: Sequence[float]) -> str:
    """Return the median, and the smallest and the largest."""
    return f"{report.number(statistics.median(values))} ({report.number(min(values))}–{report.number(max(values))})"


def render(found: dict[int, list[Figures]], rounds: int, load: float) -> str:
    """Return the section: tables of times, filters and requests, and what they mean. `load` is that of the machine."""
    times = [
        [label, *(spread([each[key] for each in all_rounds]) for all_rounds in found.values())]
        for key, label in MEASURES.items()
    ]
    asked = [
        [label, *(str(max(each["asked"][key] for each in all_rounds)) for all_rounds in found.values())]
        for key, label in ASKED.items()
    ]
    filters = [
        [
            name,
            *(
                spread([each["filters"][name] for each in all_rounds]) if name in all_rounds[0]["filters"] else "–"
                for all_rounds in found.values()
            ),
        ]
        for name in FILTERS
    ]
    filters.append(
        [
            "CPU of the site a change",
            *(spread([each["filter_cpu_ms"] for each in all_rounds]) for all_rounds in found.values()),
        ]
    )
    sizes = [f"{flows:,} flows" for flows in found]
    command = " ".join(["python -m benchmarks.bench_list", *sys.argv[1:]])
    facts = machine()
    return "\n\n".join(
        [
            "## The list of flows in the whole site",
            f"Written by `{command}` on {facts['Date']}, {facts['CPU']}, {facts['Python']}, load "
            f"{load:.1f} before it began; do not edit.",
            "### Milliseconds until a browser has it",
            report.table(("", *sizes), times),
            _verdict(found),
            "### A change of filter, milliseconds",
            report.table(("Filter", *sizes), filters),
            "### Requests that the upstream got, at most",
            report.table(("", *sizes), asked),
            _METHOD.format(latency_ms=LATENCY_MS, rows=PAGE_ROWS, rounds=rounds).strip(),
        ]
    )


def _verdict(found: dict[int, list[Figures]]) -> str:
    wanted_ms = LATENCY_MS + FIRST_ROWS_WITHIN_MS
    medians = {flows: statistics.median(each["first_ms"] for each in all_rounds) for flows, all_rounds in found.items()}
    late = [f"{flows:,} flows" for flows, median in medians.items() if median > wanted_ms]
    said = f"**not met** with {'; '.join(late)}" if late else "met"
    return f"Wanted: the first rows within {wanted_ms:g} ms, one round trip and {FIRST_ROWS_WITHIN_MS:g} ms: {said}."


def main() -> None:
    """Measure, and write the section."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("output", nargs="?", type=Path, default=ROOT / "docs" / "benchmarks.md")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    options = parser.parse_args()
    started, load = time.monotonic(), os.getloadavg()[0]
    try:
        found = measure(options.sizes, options.rounds)
    except SiteError as error:
        sys.exit(f"Not measured: {error}")
    sections.put(options.output, "list", render(found, options.rounds, load))
    print(f"{options.output}, after {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
