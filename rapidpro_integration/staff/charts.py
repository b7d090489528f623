"""Charts as SVG, made here: numbers in, geometry out. Each is shown with its table, which says the same in figures.

The drawing is a box of WIDTH × HEIGHT that the page stretches; its words stand outside, so that they are never
stretched with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.functional import Promise
from django.utils.safestring import SafeString, mark_safe

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

    def drawing(self) -> SafeString:
        """Return the shapes as SVG. Written here and not by a template: a chart has a thousand of them."""
        if self.kind == "bars":
            shapes = [
                f'<rect class="c-{bar.css}" x="{bar.x}" y="{bar.y}" width="{bar.width}" height="{bar.height}"/>'
                for bar in self.bars
            ]
        else:
            shapes = [f'<polyline class="s-{css}" points="{points}"/>' for css, points in self.lines]
        # Numbers and the names of colours alone, all of them made here.
        return mark_safe("".join(shapes))  # noqa: S308

    def table_rows(self) -> SafeString:
        """Return the lines of the table as HTML, its numbers and times as the person reads them."""
        texts: dict[Value, str] = {None: "–"}
        lines = []
        for row in self.rows:
            for value in row.values:
                if value is not None and value not in texts:
                    texts[value] = number_format(value, force_grouping=True)
            when = _hour(row.when) if self.is_hourly else _day(row.when)
            cells = "".join(f'<td class="num">{texts[value]}</td>' for value in row.values)
            lines.append(f'<tr><th scope="row">{when}</th>{cells}</tr>')
        # Numbers and times alone, in the words of the person's language.
        return mark_safe("".join(lines))  # noqa: S308

    @property
    def first_text(self) -> str:
        """When the oldest column begins, in words."""
        return (_hour if self.is_hourly else _day)(self.columns[0]) if self.columns else ""

    @property
    def last_text(self) -> str:
        """When the newest column begins, in words."""
        return (_hour if self.is_hourly else _day)(self.columns[-1]) if self.columns else ""


def _hour(moment: datetime) -> str:
    return date_format(timezone.localtime(moment), "j M Y, H:i")


def _day(moment: datetime) -> str:
    # Days are those of UTC, as the rows are.
    return date_format(moment.astimezone(UTC), "j M Y")


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
