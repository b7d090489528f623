"""The geometry of a token's two charts: a strip of days, and how fast its server answered. Numbers only, no words."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from rapidpro_integration.health.history import Day

_STEP, _BAR = 20, 16
STRIP_HEIGHT, LINE_HEIGHT = 48, 100
# So that a bar of a bad minute can still be seen.
_LEAST = 4.0
_NOTHING = 3.0


@dataclass(frozen=True, slots=True)
class Bar:
    """A piece of a day: "up", "down" or "none" (nothing is known), in units of the strip's view box."""

    day: date
    kind: str
    x: int
    y: float
    height: float
    width: int = _BAR


@dataclass(frozen=True, slots=True)
class Strip:
    """One column a day, the oldest first: the share in which the token worked from below, the rest from above."""

    width: int
    height: int
    bars: Sequence[Bar]


def strip(days: Sequence[Day]) -> Strip:
    """Return the strip of these days."""
    bars: list[Bar] = []
    for number, day in enumerate(days):
        x, uptime = number * _STEP + (_STEP - _BAR) // 2, day.span.uptime
        if uptime is None:
            bars.append(Bar(day.day, "none", x, STRIP_HEIGHT - _NOTHING, _NOTHING))
            continue
        down = 0.0 if uptime == 1 else max(_LEAST, STRIP_HEIGHT * (1 - uptime))
        down = down if uptime == 0 else min(down, STRIP_HEIGHT - _LEAST)
        if down:
            bars.append(Bar(day.day, "down", x, 0, round(down, 2)))
        if uptime:
            bars.append(Bar(day.day, "up", x, round(down, 2), round(STRIP_HEIGHT - down, 2)))
    return Strip(len(days) * _STEP, STRIP_HEIGHT, bars)


@dataclass(frozen=True, slots=True)
class Line:
    """The median duration of each day as a line with gaps. `path` and `dots` are SVG path data."""

    width: int
    height: int
    path: str
    dots: str
    least_ms: int
    most_ms: int


def line(days: Sequence[Day]) -> Line | None:
    """Return the line of these days, from 0 to the slowest; None where fewer than two days would be on it."""
    known = [day.span.median_ms for day in days if day.span.median_ms is not None]
    if len(known) < 2:
        return None
    most = max(*known, 1)
    path, dots, joined = [], [], False
    for number, day in enumerate(days):
        duration_ms = day.span.median_ms
        if duration_ms is None:
            joined = False
            continue
        x, y = number * _STEP + _STEP // 2, round(LINE_HEIGHT - 6 - (LINE_HEIGHT - 12) * duration_ms / most, 2)
        path.append(f"{'L' if joined else 'M'}{x} {y}")
        # A line of no length with round ends: a dot that stays round, however the chart is stretched.
        dots.append(f"M{x} {y}h0")
        joined = True
    return Line(len(days) * _STEP, LINE_HEIGHT, "".join(path), "".join(dots), min(known), max(known))
