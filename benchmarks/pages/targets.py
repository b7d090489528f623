"""What pages should cost, and whether a run shows that they do. Nothing here is filled in by hand."""

import statistics
from collections.abc import Callable

from benchmarks.harness import Figures
from benchmarks.pages.measuring import LATENCY_MS
from benchmarks.targets import Target

_AT = 100


def _median(run: Figures, name: str, in_flight: int, of: Callable[[Figures], float | None]) -> float | None:
    """Return the median over the rounds; None where there are none, or one with an error."""
    found = run["cells"].get(name, {}).get(in_flight, [])
    values = [of(each) for each in found if not each["errors"]]
    known = [value for value in values if value is not None]
    return statistics.median(known) if known and len(known) == len(found) else None


def _rate(figures: Figures) -> float | None:
    return float(figures["rate"])


def _cpu(figures: Figures) -> float | None:
    return float(figures["cpu_ms"]) if figures["cpu_ms"] is not None else None


def _middle_ms(figures: Figures) -> float | None:
    return statistics.median(figures["ms"]) if figures["ms"] else None


def _above_ms(figures: Figures) -> float | None:
    """Return how much later than the upstream's answer the page was there."""
    requests, middle = figures["upstream"]["requests"], _middle_ms(figures)
    if middle is None or not requests:
        return None
    return middle - float(figures["upstream"]["latency_sum_s"]) * 1000 / float(requests)


def _ratio(run: Figures, to: str, at: int) -> float | None:
    own, other = _median(run, "ours", at, _rate), _median(run, to, at, _rate)
    return own / other if own is not None and other else None


def all_targets(run: Figures) -> list[Target]:
    """Return every target with what this run measured."""
    rows, crowd = run.get("first_rows", {}), run.get("crowd", {})
    latest = max((statistics.median(values) for values in rows.values()), default=None)
    fine = crowd and not crowd["errors"] and crowd["idle_ms"] and crowd["beside_ms"]
    starving = crowd["beside_ms"] / crowd["idle_ms"] if fine else None
    return [
        Target(
            f"Pages a second, {_AT} in flight: times the tutorial's way", 30, "×", True, _ratio(run, "tutorial", _AT)
        ),
        Target("Pages a second, 10 in flight: share of bare ASGI", 0.9, "×", True, _ratio(run, "bare", 10)),
        Target(f"Pages a second, {_AT} in flight: share of bare ASGI", 0.6, "×", True, _ratio(run, "bare", _AT)),
        Target("Pages a second, 500 in flight: share of bare ASGI", 0.3, "×", True, _ratio(run, "bare", 500)),
        Target(f"CPU a page, {_AT} in flight", 2.0, " ms", False, _median(run, "ours", _AT, _cpu)),
        Target(
            "One person alone: median above the upstream's own latency",
            5,
            " ms",
            False,
            _median(run, "ours", 1, _above_ms),
        ),
        Target(
            "One person alone, from the kept list: median", 6, " ms", False, _median(run, "ours-kept", 1, _middle_ms)
        ),
        Target("First row, whatever the number of flows: median", LATENCY_MS + 10, " ms", False, latest),
        Target("Requests to slow servers under way in one process", 500, "", True, crowd.get("at_once")),
        Target("Memory of that process, at most", 250, " MB", False, crowd.get("peak_mb")),
        Target("A page of a quick server beside them: times its median alone", 2, "×", False, starving),
    ]
