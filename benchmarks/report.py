"""docs/benchmarks.md from the figures of one run."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks import contenders, lists, targets
from benchmarks.targets import Figures, Lists, Rates

SCHEMES = {"tls": "TLS", "plain": "Plain HTTP"}
_METHOD = """\
Each row is measured in a fresh process, against an upstream in another process on the loopback interface. The upstream
sends the same {page_bytes:,} bytes to everyone, head and body, uncompressed: {rows} flows. Plain asyncio everywhere,
no uvloop in a client. The upstream answers 0.2 ms × in flight after it was asked, so that it would allow 5,000 requests
a second whatever their number; with one in flight it answers at once. Contenders that keep connections open them before
the clock starts. The clock runs for {seconds:g} s and until the last request has ended; a cell is the median of up to
{rounds} rounds, interleaved (*n* says how many; what takes longer than {slow_s:g} s is measured once).{each}
*CPU* is user and system time of the whole process for each request, *peak* the highest resident memory of the process,
*reached* the most requests that the upstream had under way at once, *upstream* the share of one core that it used.
Time-outs are {timeout_s:.0f} s for all contenders but ours, which keeps its own. Contenders named "read only" and
"raw response" take the bytes; the others parse them too. The whole lists are fetched once each, connections and all;
the time of modification lies in two years ("{spread}").
"""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown, numbers to the right."""
    lines = ["| " + " | ".join(head) + " |", "|---" + "|--:" * (len(head) - 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def number(value: float | None) -> str:
    """Return a figure with as many digits as it deserves."""
    if value is None:
        return "–"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def render(run: Figures) -> str:
    """Return the page of one run."""
    parts = ["# Benchmarks", f"Written by `{run['command']}`; do not edit. Run it again instead."]
    parts += [table(("Machine", ""), [[name, fact] for name, fact in run["machine"].items()])]
    for scheme, figures in run["schemes"].items():
        parts += _scheme(SCHEMES[scheme], figures, run)
    if decode := run.get("decode"):
        parts += _decode(decode)
    page_bytes = next((figures["capacity"].get("page_bytes", 0) for figures in run["schemes"].values()), 0)
    each = " Every worker makes one request at least." if run["each"] else ""
    method = _METHOD.format(
        page_bytes=page_bytes, rows=contenders.ROWS, timeout_s=contenders.TIMEOUT_S, each=each, **run["options"]
    )
    parts += ["## How it is measured", method.strip()]
    return "\n\n".join(parts) + "\n"


def _scheme(title: str, figures: Figures, run: Figures) -> list[str]:
    rates: Rates = figures["rates"]
    whole: Lists = figures["lists"]
    capacity = figures["capacity"]
    head = ("Target", "Wanted", "Measured", "Verdict")
    parts = [f"## {title}", "### Targets", table(head, targets.table(targets.all_targets(rates, whole), number))]
    at = max((in_flight for _, in_flight in rates), default=0)
    if at:
        parts += [f"### Ratios at {at} in flight", _ratios(rates, at)]
    for in_flight in sorted({in_flight for _, in_flight in rates}):
        parts += [f"### One page, {in_flight} in flight", _rates(rates, in_flight)]
    if "rate" in capacity:
        parts += [
            f"The upstream itself serves {number(capacity['rate'])} pages a second to a client that only counts bytes "
            f"(16 connections, one process, no latency)."
        ]
    for flows in sorted({flows for _, flows in whole}):
        parts += [f"### {flows:,} flows, {run['list_latency_ms']:g} ms an answer", _lists(whole, flows)]
    parts += _flatness(whole)
    return parts


def _ratios(rates: Rates, at: int) -> str:
    others = ("asyncio-run", "rapidpro-python", "httpx-per-call", "aiohttp", "aiohttp-json")
    rows = []
    for name in ("ours-raw", "ours-typed"):
        for key, what in (("rate", "requests/s"), ("cpu_ms", "CPU a request")):
            values = [targets.ratio(rates, name, other, key, at) for other in others]
            rows.append([f"{name}: {what}", *(f"{number(value)} ×" if value else "–" for value in values)])
    return table(("", *(f"to {other}" for other in others)), rows)


def _rates(rates: Rates, in_flight: int) -> str:
    head = ("Contender", "requests/s", "CPU ms", "peak MB", "above idle MB", "errors", "reached", "upstream", "n")
    rows = []
    for name, contender in contenders.BY_NAME.items():
        found = rates.get((name, in_flight))
        if found is None:
            continue
        title = f"{contender.label} (`{name}`)"
        if "rate" not in found:
            rows.append([title, found.get("failed", "–"), *[""] * (len(head) - 2)])
            continue
        rows.append(
            [
                title,
                number(found["rate"]),
                number(found["cpu_ms"]),
                number(found["peak_mb"]),
                number(found["peak_mb"] - found["idle_mb"]),
                _errors(found["errors"]),
                str(found["server"]["max_in_flight"]),
                f"{found['server']['busy']:.0%}",
                str(found["n"]),
            ]
        )
    return table(head, rows)


def _errors(errors: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in errors.items()) or "0"


def _lists(whole: Lists, flows: int) -> str:
    head = ("List", "first rows s", "all s", "× server's latencies", "CPU s", "peak above idle MB", "connections")
    rows = []
    for name, (label, _) in lists.ALL.items():
        found: Figures | None = whole.get((name, flows))
        if found is None:
            continue
        if "all_s" not in found:
            reason = "not there yet" if found.get("missing") else str(found.get("failed"))
            rows.append([label, reason, *[""] * (len(head) - 2)])
            continue
        whole_label = label if found["rows"] == flows else f"{label} — **only {found['rows']:,} rows**"
        keys: tuple[Any, ...] = ("first_s", "all_s", "to_latency", "cpu_s", "above_idle_mb")
        # One connection is that of the harness, which asks for the counts.
        connections = str(found["server"]["connections"] - 1)
        shown = [f"{found[key]:.3f}" if key == "to_latency" else number(found[key]) for key in keys]
        rows.append([whole_label, *shown, connections])
    return table(head, rows)


def _flatness(whole: Lists) -> list[str]:
    lines = []
    for name in ("ours-iterated", "rapidpro-iterated"):
        short, long = (whole.get((name, flows), {}).get("above_idle_mb") for flows in (2_500, targets.LONG))
        if short and long:
            lines.append(f"- {lists.ALL[name][0]}: {number(short)} MB → {number(long)} MB, {long / short:.2f} ×")
    return ["Peak memory above idle while iterating, 2,500 → 25,000 flows:\n\n" + "\n".join(lines)] if lines else []


def _decode(decode: Figures) -> list[str]:
    if "failed" in decode:
        return ["## Decoding and sealing", f"Not measured: {decode['failed']}"]
    base = decode["decode_ms"].get("json.loads")
    pages = [
        [name, number(cost), f"{number(base / cost)} ×" if cost and base else "–"]
        for name, cost in decode["decode_ms"].items()
    ]
    tokens = [[name, number(cost)] for name, cost in decode["vault_us"].items()]
    return [
        f"## Decoding one page ({decode['page_bytes']:,} bytes)",
        table(("", "ms", "times as fast as json.loads"), pages),
        "## The vault, one token",
        table(("", "µs"), tokens),
    ]
