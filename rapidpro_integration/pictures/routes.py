"""Pixels for the cells, and the lines between the boxes: they run between rows and columns, never through a box."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from rapidpro_integration.pictures import boxes
from rapidpro_integration.pictures.boxes import Box, Port
from rapidpro_integration.pictures.cells import Cells
from rapidpro_integration.pictures.steps import To

MARGIN = 16.0
_LANE, _MOST_LANES = 7.0, 16
_ROW_GAP, _COLUMN_GAP = 36.0, 30.0
#: How far beside the middle a line leaves that does not run straight down: the middle is for those that arrive.
_BESIDE = 22.0

type Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Line:
    """A line from a step to another, as its corners."""

    source: int
    target: int
    points: tuple[Point, ...]
    is_timeout: bool


@dataclass(frozen=True, slots=True)
class Stub:
    """The end of a way that leads to no step; `is_fault` if it names a step that is not there."""

    at: Point
    downwards: bool
    is_fault: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything with its place. `tops` and `lefts` are where a sheet of paper may end without parting a box."""

    width: float
    height: float
    corners: Mapping[int, Point]
    lines: tuple[Line, ...]
    stubs: tuple[Stub, ...]
    tops: tuple[float, ...]
    lefts: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Way:
    """A line in the making: it leaves at `port`, may cross to column gap `gap`, and arrives from above `target`."""

    source: int
    target: int
    port: Port
    gap: int | None
    via_foot: bool


class _Gaps:
    """The lanes of the gaps between rows, or between columns. Lines to the same step share one."""

    def __init__(self) -> None:
        self._spans: dict[int, dict[int, tuple[int, int]]] = {}
        self.lanes: dict[tuple[int, int], int] = {}
        self.counts: dict[int, int] = {}

    def use(self, gap: int, target: int, begin: int, end: int) -> None:
        low, high = min(begin, end), max(begin, end)
        known = self._spans.setdefault(gap, {}).get(target, (low, high))
        self._spans[gap][target] = (min(low, known[0]), max(high, known[1]))

    def settle(self) -> None:
        for gap, spans in self._spans.items():
            ends: list[int] = []
            for target, (low, high) in sorted(spans.items(), key=lambda item: (item[1], item[0])):
                lane = next((number for number, end in enumerate(ends) if end < low), len(ends))
                if lane == len(ends) < _MOST_LANES:
                    ends.append(high)
                else:
                    lane %= _MOST_LANES
                    ends[lane] = max(ends[lane], high)
                self.lanes[gap, target] = lane
            self.counts[gap] = len(ends)

    def sizes(self, number: int, least: float) -> list[float]:
        return [least + _LANE * self.counts.get(gap, 0) for gap in range(number)]


def plan(drawn: Mapping[int, Box], cells: Cells) -> Plan:
    """Return the place of each box and line."""
    below = _below(cells)
    ways = [way for box in drawn.values() for way in _ways(box, cells, below)]
    across, down = _lanes(ways, cells)
    heights = [0.0] * (1 + max(cell.row for cell in cells.values()))
    for number, box in drawn.items():
        heights[cells[number].row] = max(heights[cells[number].row], box.height)
    column_count = 1 + max(cell.column for cell in cells.values())
    tops, rows = _tracks(across.sizes(len(heights) + 1, _ROW_GAP), heights)
    lefts, columns = _tracks(down.sizes(column_count + 1, _COLUMN_GAP), [boxes.WIDTH] * column_count)
    corners = {number: (columns[cells[number].column], rows[cells[number].row]) for number in drawn}
    pixels = _Pixels(corners, tops, lefts, across, down, cells, drawn)
    return Plan(
        width=lefts[-1] + down.sizes(column_count + 1, _COLUMN_GAP)[-1] + MARGIN,
        height=tops[-1] + across.sizes(len(heights) + 1, _ROW_GAP)[-1] + MARGIN,
        corners=corners,
        lines=tuple(pixels.line(way) for way in ways),
        stubs=tuple(stub for box in drawn.values() for stub in pixels.stubs(box)),
        tops=tuple(tops),
        lefts=tuple(lefts),
    )


def _tracks(gaps: Sequence[float], sizes: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return where the gaps begin and where the rows (or columns) between them begin."""
    begins = list(accumulate((gap + size for gap, size in zip(gaps, sizes, strict=False)), initial=MARGIN))
    return begins, [begin + gap for begin, gap in zip(begins, gaps, strict=False)][: len(sizes)]


def _below(cells: Cells) -> Mapping[int, int]:
    """Return for each step the next one below it in its column."""
    order = sorted(cells, key=lambda number: (cells[number].column, cells[number].row))
    return {upper: lower for upper, lower in pairwise(order) if cells[upper].column == cells[lower].column}


def _ways(box: Box, cells: Cells, below: Mapping[int, int]) -> Iterable[_Way]:
    here = cells[box.step.number]
    for port in box.ports:
        number = port.way.number
        if port.way.to is not To.STEP or number is None:
            continue
        there = cells[number]
        gap: int | None = here.column + 1
        if port.y is None and (there.row == here.row + 1 or below.get(box.step.number) == number):
            gap = None
        elif port.y is None and there.column < here.column:
            gap = here.column
        yield _Way(box.step.number, number, port, gap, via_foot=port.y is None)


def _lanes(ways: Sequence[_Way], cells: Cells) -> tuple[_Gaps, _Gaps]:
    """Rows and columns count odd, the gaps before them even: so spans compare without pixels."""
    across, down = _Gaps(), _Gaps()
    for way in ways:
        here, there = cells[way.source], cells[way.target]
        middle, arrival = 2 * here.column + 1, 2 * there.column + 1
        if way.gap is None:
            if here.column != there.column:
                across.use(there.row, way.target, middle, arrival)
            continue
        if way.via_foot:
            across.use(here.row + 1, way.target, middle, 2 * way.gap)
        down.use(way.gap, way.target, 2 * (here.row + 1) if way.via_foot else 2 * here.row + 1, 2 * there.row)
        across.use(there.row, way.target, 2 * way.gap, arrival)
    across.settle()
    down.settle()
    return across, down


@dataclass(frozen=True, slots=True)
class _Pixels:
    corners: Mapping[int, Point]
    tops: Sequence[float]
    lefts: Sequence[float]
    across: _Gaps
    down: _Gaps
    cells: Cells
    drawn: Mapping[int, Box]

    def line(self, way: _Way) -> Line:
        left, top = self.corners[way.source]
        arrival = (self.corners[way.target][0] + boxes.WIDTH / 2, self.corners[way.target][1])
        row = self.cells[way.target].row
        height = self.drawn[way.source].height
        if way.gap is None:
            is_straight = self.cells[way.source].column == self.cells[way.target].column
            begin = (left + boxes.WIDTH / 2 + (0 if is_straight else _BESIDE), top + height)
            points = (
                [begin] if is_straight else [begin, *self._level(begin[0], arrival[0], self._lane_y(row, way.target))]
            )
        else:
            lane_x = self.lefts[way.gap] + _COLUMN_GAP / 2 + _LANE * self.down.lanes[way.gap, way.target]
            lane_y = self._lane_y(row, way.target)
            if way.via_foot:
                begin = (left + boxes.WIDTH / 2 + _BESIDE, top + height)
                points = [
                    begin,
                    *self._level(begin[0], lane_x, self._lane_y(self.cells[way.source].row + 1, way.target)),
                ]
            else:
                begin = (left + boxes.WIDTH, top + (way.port.y or 0.0))
                points = [begin, (lane_x, begin[1])]
            points += self._level(lane_x, arrival[0], lane_y)
        return Line(way.source, way.target, (*points, arrival), way.port.way.is_timeout)

    def _lane_y(self, row: int, target: int) -> float:
        return self.tops[row] + 14 + _LANE * self.across.lanes[row, target]

    @staticmethod
    def _level(begin: float, end: float, y: float) -> list[Point]:
        return [(begin, y), (end, y)]

    def stubs(self, box: Box) -> Iterable[Stub]:
        left, top = self.corners[box.step.number]
        for port in box.ports:
            if port.way.to is To.STEP:
                continue
            is_fault = port.way.to is To.NOWHERE
            if port.y is None:
                yield Stub((left + boxes.WIDTH / 2, top + box.height), downwards=True, is_fault=is_fault)
            else:
                yield Stub((left + boxes.WIDTH, top + port.y), downwards=False, is_fault=is_fault)
