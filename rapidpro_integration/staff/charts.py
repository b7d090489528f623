"""Charts as SVG, made here: numbers in, geometry out. Each is shown with its table, which says the same in figures.

The drawing is a box of WIDTH × HEIGHT that the page stretches; its words stand outside, so that they are never
stretched with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.functional import Promise

WIDTH, HEIGHT = 1000, 200
_LINES = 4

type Text = str | Promise
type Value = float | None


@dataclass(frozen=True, slots=True)
class Series:
    """One colour of a chart: `css` names it, `values` has one for each column, None where nothing is known."""

    css: str
    title: Text
    values: Sequence[Value]


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle of the drawing."""

    css: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the chart's table."""

    when: datetime
    values: list[Value]


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart over time, the oldest column first. `kind` is "bars" (stacked) or "lines"."""

    name: str
    title: Text
    columns: Sequence[datetime]
    series: Sequence[Series]
    kind: str = "bars"
    unit: Text = ""
    is_hourly: bool = False
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(value for series in self.series for value in series.values)

    @property
    def top(self) -> int:
        """The value at the upper edge: a round one."""
        if self.kind == "bars":
            columns = zip(*(series.values for series in self.series), strict=True)
            highest = max((sum(value or 0 for value in column) for column in columns), default=0)
        else:
            highest = max((value or 0 for series in self.series for value in series.values), default=0)
        return round_up(highest)

    @property
    def middle(self) -> float:
        """The value half way up."""
        return self.top / 2 if self.top % 2 else self.top // 2

    @property
    def grid(self) -> list[float]:
        """The heights of the lines behind the drawing."""
        return [round(HEIGHT * number / _LINES, 1) for number in range(_LINES + 1)]

    @property
    def bars(self) -> list[Bar]:
        """The rectangles of stacked bars."""
        if not self.columns:
            return []
        step = WIDTH / len(self.columns)
        gap = min(step * 0.15, 3.0)
        bars, below = [], [0.0] * len(self.columns)
        for series in self.series:
            for number, value in enumerate(series.values):
                if not value:
                    continue
                height = HEIGHT * value / self.top
                below[number] += height
                y = HEIGHT - below[number]
                bars.append(
                    Bar(series.css, round(number * step, 2), round(y, 2), round(step - gap, 2), round(height, 2))
                )
        return bars

    @property
    def lines(self) -> list[tuple[str, str]]:
        """The strokes of a chart of lines, as (css, points); a line breaks off where nothing is known."""
        step = WIDTH / max(1, len(self.columns) - 1)
        strokes = []
        for series in self.series:
            points: list[str] = []
            for number, value in enumerate([*series.values, None]):
                if value is not None:
                    points.append(f"{number * step:.2f},{HEIGHT - HEIGHT * value / self.top:.2f}")
                elif points:
                    # A point alone is drawn too: as a stroke of no length with round ends.
                    strokes.append((series.css, " ".join(points if len(points) > 1 else points * 2)))
                    points = []
        return strokes

    @property
    def rows(self) -> list[Row]:
        """The lines of the table, the newest first, without those in which there is nothing."""
        columns = zip(self.columns, *(series.values for series in self.series), strict=True)
        return [Row(when, list(values)) for when, *values in columns if any(values)][::-1]

    @property
    def first(self) -> datetime | None:
        """The beginning of the oldest column."""
        return self.columns[0] if self.columns else None

    @property
    def last(self) -> datetime | None:
        """The beginning of the newest column."""
        return self.columns[-1] if self.columns else None


def round_up(value: float) -> int:
    """Return the next of 1, 2, 4, 5, 6, 8, 10, 20, 40 …: what divides well."""
    power = 1
    while True:
        for step in (1, 2, 4, 5, 6, 8):
            if value <= step * power:
                return step * power
        power *= 10


def shares(parts: Sequence[tuple[str, int]], width: int = WIDTH) -> list[Bar]:
    """Return one bar of all parts, (css, number) each, side by side."""
    total, x, bars = sum(number for _css, number in parts), 0.0, []
    for css, number in parts:
        if number:
            part = width * number / total
            bars.append(Bar(css, round(x, 2), 0, round(part, 2), 28))
            x += part
    return bars
