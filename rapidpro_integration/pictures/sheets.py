"""A picture on sheets of paper: parted between boxes where that can be, and without sheets on which nothing is."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rapidpro_integration.pictures import boxes
from rapidpro_integration.pictures.routes import Plan

_MOST = 200
#: A picture that is so little larger than the paper is made smaller, instead of leaving its hem on another sheet.
_HEM = 1.08
#: How far past a box the paper ends: behind its border and the mark of a loose end, before the first lane.
_PAST = 11.0


@dataclass(frozen=True, slots=True)
class Sheet:
    """A part of the picture, and the size of the paper that it is laid on, all in pixels of the picture."""

    left: int
    top: int
    width: int
    height: int
    paper_width: int
    paper_height: int


def sheets(plan: Plan, heights: Mapping[int, float], width: float, height: float) -> list[Sheet]:
    """Return the sheets for a paper of this size, row after row; `heights` are those of the boxes.

    A picture of more than 200 sheets is printed smaller.
    """
    lefts, tops = _cuts(plan.width, width, plan.lefts), _cuts(plan.height, height, plan.tops)
    if (len(lefts) - 1) * (len(tops) - 1) > _MOST:
        return sheets(plan, heights, width * 1.5, height * 1.5)
    used = {
        (row, column)
        for left, top, right, bottom in _areas(plan, heights)
        for row in range(bisect_right(tops, top) - 1, bisect_right(tops, bottom))
        for column in range(bisect_right(lefts, left) - 1, bisect_right(lefts, right))
    }
    paper = max(width, *(after - before for before, after in pairwise(lefts)))
    paper_height = max(height, *(after - before for before, after in pairwise(tops)))
    return [
        Sheet(*map(round, (left, top, right - left, bottom - top, paper, paper_height)))
        for row, (top, bottom) in enumerate(pairwise(tops))
        for column, (left, right) in enumerate(pairwise(lefts))
        if (row, column) in used
    ]


def _cuts(whole: float, room: float, edges: Sequence[float]) -> list[float]:
    """Return where the sheets begin, and where the last one ends."""
    cuts = [0.0]
    while cuts[-1] + room * (_HEM if len(cuts) == 1 else 1) < whole:
        last = cuts[-1]
        cuts.append(max((edge + _PAST for edge in edges if last < edge + _PAST <= last + room), default=last + room))
    return [*cuts, whole]


def _areas(plan: Plan, heights: Mapping[int, float]) -> Iterator[tuple[float, float, float, float]]:
    for number, (left, top) in plan.corners.items():
        yield left, top, left + boxes.WIDTH, top + heights[number]
    for line in plan.lines:
        for begin, end in pairwise(line.points):
            yield min(begin[0], end[0]), min(begin[1], end[1]), max(begin[0], end[0]), max(begin[1], end[1])
