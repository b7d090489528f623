"""Where each step stands, as a row and a column: from the editor's canvas, or in layers where that is of no use.

Cells instead of pixels, because our boxes have other sizes than the editor's: between rows and between columns stays
room for the lines, so that none ever runs through a box.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rapidpro_integration.pictures.steps import Step

#: Positions nearer to each other than this are meant to be one row or one column.
_ROW_PX, _COLUMN_PX = 60.0, 130.0
#: The share of steps with a place of their own from which on the canvas is worth following.
_USEFUL = 0.75
_MOST_COLUMNS = 12

type Cells = Mapping[int, Cell]


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """A place of the grid, counted from 0."""

    row: int
    column: int


def place(steps: Sequence[Step]) -> Cells:
    """Return a cell of its own for each step, by its number."""
    known = [step for step in steps if step.position is not None]
    if len(known) >= _USEFUL * len(steps):
        cells = _from_canvas(known)
        if len(set(cells.values())) >= _USEFUL * len(steps):
            return _packed(cells, [step.number for step in steps])
    return _layers(steps)


def _from_canvas(steps: Sequence[Step]) -> dict[int, Cell]:
    rows = _clusters([step.position[1] for step in steps if step.position], _ROW_PX)
    columns = _clusters([step.position[0] for step in steps if step.position], _COLUMN_PX)
    return {
        step.number: Cell(rows[step.position[1]], columns[step.position[0]])
        for step in steps
        if step.position is not None
    }


def _clusters(values: Sequence[float], span: float) -> dict[float, int]:
    """Return a number for each value, in their order; those within `span` of the first of a cluster share one."""
    numbers: dict[float, int] = {}
    number, first = -1, float("-inf")
    for value in sorted(set(values)):
        if value - first >= span:
            number, first = number + 1, value
        numbers[value] = number
    return numbers


def _packed(cells: Mapping[int, Cell], numbers: Sequence[int]) -> Cells:
    """Give steps that share a cell, or have none, the next free column of their row; those without a row come last."""
    last = max(cell.row for cell in cells.values()) + 1
    taken: set[Cell] = set()
    packed: dict[int, Cell] = {}
    free: dict[Cell, int] = {}
    for number in numbers:
        wanted = cells.get(number, Cell(last, 0))
        cell = Cell(wanted.row, max(wanted.column, free.get(wanted, 0)))
        while cell in taken:
            cell = Cell(cell.row, cell.column + 1)
        free[wanted] = cell.column + 1
        taken.add(cell)
        packed[number] = cell
    return packed


def _layers(steps: Sequence[Step]) -> Cells:
    """Put each step below those that lead to it, and as near to them as there is room."""
    follows = _forwards({step.number: [way.number for way in step.ways if way.number] for step in steps})
    layer = {step.number: 0 for step in steps}
    before: dict[int, list[int]] = {step.number: [] for step in steps}
    for number in _in_order(follows):
        for target in follows[number]:
            layer[target] = max(layer[target], layer[number] + 1)
            before[target].append(number)
    rows: dict[int, list[int]] = {}
    for number, row in layer.items():
        rows.setdefault(row, []).append(number)
    column: dict[int, float] = {}
    cells: dict[int, Cell] = {}
    offset = 0
    for row in sorted(rows):
        members = rows[row]
        wish = {
            number: sum(column[one] for one in before[number]) / len(before[number]) if before[number] else 0.0
            for number in members
        }
        members.sort(key=lambda number: (wish[number], number))
        beside = -1
        for place_, number in enumerate(members):
            # A long row goes on below, so that a flow of loose steps is no strip.
            line, at = divmod(place_, _MOST_COLUMNS)
            beside = -1 if at == 0 else beside
            left = _MOST_COLUMNS - min(_MOST_COLUMNS, len(members) - line * _MOST_COLUMNS) + at
            beside = max(beside + 1, min(round(wish[number]), left))
            column[number] = beside
            cells[number] = Cell(offset + line, beside)
        offset += (len(members) - 1) // _MOST_COLUMNS + 1
    return cells


def _forwards(follows: Mapping[int, Sequence[int]]) -> dict[int, list[int]]:
    """Leave out the ways that lead back to where one came from, so that no circle is left."""
    # No recursion: flows are longer than Python lets it be.
    kept: dict[int, list[int]] = {number: [] for number in follows}
    state: dict[int, int] = {}  # 1 while we are below it, 2 afterwards
    for root in follows:
        if root in state:
            continue
        state[root] = 1
        path = [(root, iter(follows[root]))]
        while path:
            number, targets = path[-1]
            target = next(targets, None)
            if target is None:
                state[number] = 2
                path.pop()
            elif state.get(target) != 1:
                kept[number].append(target)
                if target not in state:
                    state[target] = 1
                    path.append((target, iter(follows[target])))
    return kept


def _in_order(follows: Mapping[int, Sequence[int]]) -> list[int]:
    """Return the steps so that each comes after all that lead to it."""
    open_ = dict.fromkeys(follows, 0)
    for targets in follows.values():
        for target in targets:
            open_[target] += 1
    ready = [number for number, count in open_.items() if not count]
    for number in ready:
        for target in follows[number]:
            open_[target] -= 1
            if not open_[target]:
                ready.append(target)
    return ready
