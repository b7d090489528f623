"""What the client should reach, and whether a run shows that it does. Nothing here is filled in by hand."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

type Figures = dict[str, Any]
#: (contender, in flight) -> medians
type Rates = Mapping[tuple[str, int], Figures]
#: (list contender, number of flows) -> figures
type Lists = Mapping[tuple[str, int], Figures]

AT = 500
LONG = 25_000
RAPIDPRO_PYTHON = ("rapidpro-python", "rapidpro-python-shared")


@dataclass(frozen=True, slots=True)
class Target:
    """One target and what was measured; `measured` is None where the run does not say."""

    name: str
    wanted: float
    unit: str
    at_least: bool
    measured: float | None

    @property
    def verdict(self) -> str:
        """Say whether the target is met."""
        if self.measured is None:
            return "not measured"
        return (
            "met" if (self.measured >= self.wanted) is self.at_least or self.measured == self.wanted else "**not met**"
        )


def ratio(rates: Rates, of: str, to: str, key: str = "rate", at: int = AT) -> float | None:
    """Return how many times the figure of one contender is that of another; of several, the best one."""
    names = RAPIDPRO_PYTHON if to == "rapidpro-python" else (to,)
    own, others = _figure(rates, of, at, key), [_figure(rates, name, at, key) for name in names]
    known = [other for other in others if other]
    if own is None or not known:
        return None
    return own / (max if key == "rate" else min)(known)


def _figure(rates: Rates, name: str, at: int, key: str) -> float | None:
    value = rates.get((name, at), {}).get(key)
    return float(value) if value is not None else None


def all_targets(rates: Rates, lists: Lists) -> list[Target]:
    """Return every target with what this run measured."""

    def listed(name: str, key: str) -> float | None:
        value = lists.get((name, LONG), {}).get(key)
        return float(value) if value is not None else None

    one_by_one, at_once = listed("ours-all", "all_s"), listed("ours-concurrent", "all_s")
    faster = one_by_one / at_once if one_by_one and at_once else None
    at = f"at {AT} in flight"
    flows = f"{LONG:,} flows"
    return [
        Target(f"Raw response, {at}: times asyncio.run a call", 40, "×", True, ratio(rates, "ours-raw", "asyncio-run")),
        Target(
            f"Raw response, {at}: times rapidpro-python", 55, "×", True, ratio(rates, "ours-raw", "rapidpro-python")
        ),
        Target(f"Raw response, {at}: share of raw aiohttp", 0.85, "×", True, ratio(rates, "ours-raw", "aiohttp")),
        Target(
            f"Typed rows, {at}: share of raw aiohttp with json.loads",
            0.85,
            "×",
            True,
            ratio(rates, "ours-typed", "aiohttp-json"),
        ),
        Target(
            f"Raw response, {at}: CPU a request, times raw aiohttp",
            2,
            "×",
            False,
            ratio(rates, "ours-raw", "aiohttp", "cpu_ms"),
        ),
        Target(
            f"{flows}, one page after the other: times the sum of the server's latencies",
            1.02,
            "×",
            False,
            listed("ours-all", "to_latency"),
        ),
        Target(f"{flows}, concurrency=16: times faster than one after the other", 10, "×", True, faster),
        Target(
            f"{flows}, iterated: peak memory above idle", 15, " MB", False, listed("ours-iterated", "above_idle_mb")
        ),
    ]


def table(targets: list[Target], number: Callable[[float], str]) -> list[list[str]]:
    """Return the rows of the table of targets."""
    return [
        [
            target.name,
            f"{'≥' if target.at_least else '≤'} {target.wanted:g}{target.unit}",
            f"{number(target.measured)}{target.unit}" if target.measured is not None else "–",
            target.verdict,
        ]
        for target in targets
    ]
