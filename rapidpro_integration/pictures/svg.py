"""The picture as SVG 1.1: attributes and classes only, so that it stands in a page under the strict CSP."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from rapidpro_integration.pictures import boxes, routes
from rapidpro_integration.pictures.boxes import Box, Text, box
from rapidpro_integration.pictures.cells import place
from rapidpro_integration.pictures.icons import ICONS
from rapidpro_integration.pictures.routes import Line, Plan, Point, Stub
from rapidpro_integration.pictures.sheets import Sheet, sheets
from rapidpro_integration.pictures.steps import Step
from rapidpro_integration.pictures.texts import clean, is_right_to_left
from rapidpro_integration.pictures.words import Gettext

DRAWING_ID = "flow-drawing"
_INK, _MUTED, _EDGE, _BAD, _WARN = "#1d2733", "#55606d", "#5b6b7c", "#9b1c1c", "#7a4d00"
_COLOURS = {"text": _INK, "name": _INK, "small": _MUTED, "extra": _MUTED, "missing": _WARN}
_MOST_TITLE = 1_000
_CORNER = 6.0


class Markup(str):
    """Markup that was made here and needs no escaping. Templates ask for `__html__`."""

    __slots__ = ()

    def __html__(self) -> str:
        return str(self)


@dataclass(frozen=True, slots=True)
class Picture:
    """The drawing, whole: `svg` stands in a page, `file` is a document of its own."""

    svg: Markup
    plan: Plan
    heights: Mapping[int, float]

    @property
    def file(self) -> str:
        """The picture as a file."""
        return f'<?xml version="1.0" encoding="UTF-8"?>\n{self.svg}\n'

    def sheets(self, width: float, height: float) -> list[Sheet]:
        """Return the picture on sheets of paper of this size, in its own pixels."""
        return sheets(self.plan, self.heights, width, height)


def draw(steps: Sequence[Step], name: str, gettext: Gettext) -> Picture:
    """Return the picture of a flow called `name`."""
    drawn = {step.number: box(step, gettext) for step in steps}
    plan = routes.plan(drawn, place(steps))
    svg = Markup("".join(_document(drawn, plan, name, gettext)))
    return Picture(svg, plan, {number: one.height for number, one in drawn.items()})


def _document(drawn: dict[int, Box], plan: Plan, name: str, gettext: Gettext) -> Iterator[str]:
    size = f"{_n(plan.width)} {_n(plan.height)}"
    width, height = size.split(" ")
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="flow-picture" viewBox="0 0 {size}" width="{width}" '
        f'height="{height}" role="img" direction="ltr" font-family="system-ui, sans-serif">'
        f'<title>{_escaped(clean(name, 300))}</title><g id="{DRAWING_ID}">'
        f'<rect class="paper" width="{width}" height="{height}" fill="#ffffff"/>'
    )
    for line in plan.lines:
        yield _line(line)
    for stub in plan.stubs:
        yield _stub(stub, gettext)
    for target in {line.target: line.points[-1] for line in plan.lines}.values():
        x, y = target
        yield f'<path class="arrow" d="M{_n(x)} {_n(y)}l-5 -9h10z" fill="{_EDGE}"/>'
    for number, one in drawn.items():
        yield from _box(one, plan.corners[number], gettext)
    yield "</g></svg>"


def _line(line: Line) -> str:
    dashes = ' stroke-dasharray="5 4"' if line.is_timeout else ""
    kind = "way timeout" if line.is_timeout else "way"
    return (
        f'<path class="{kind}" data-from="{line.source}" data-to="{line.target}" d="{_rounded(line.points)}" '
        f'fill="none" stroke="{_EDGE}" stroke-width="1.5"{dashes}/>'
    )


def _rounded(points: Sequence[Point]) -> str:
    corners = [point for place, point in enumerate(points) if place == 0 or point != points[place - 1]]
    path = [f"M{_n(corners[0][0])} {_n(corners[0][1])}"]
    for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
        begin, end = _towards(corner, before), _towards(corner, after)
        path.append(f"L{_n(begin[0])} {_n(begin[1])}Q{_n(corner[0])} {_n(corner[1])} {_n(end[0])} {_n(end[1])}")
    path.append(f"L{_n(corners[-1][0])} {_n(corners[-1][1])}")
    return "".join(path)


def _towards(corner: Point, other: Point) -> Point:
    """Return the point a little way from the corner towards the other end of its line, which is level or upright."""
    across, down = other[0] - corner[0], other[1] - corner[1]
    step = min(_CORNER, (abs(across) + abs(down)) / 2)
    return corner[0] + (step if across > 0 else -step if across < 0 else 0), corner[1] + (
        step if down > 0 else -step if down < 0 else 0
    )


def _stub(stub: Stub, gettext: Gettext) -> str:
    """Draw a short line with a bar (the flow ends here) or a cross (the next step is not there)."""
    x, y = stub.at
    words = gettext("Leads to a step that is not there") if stub.is_fault else gettext("Ends here")
    colour, kind = (_BAD, "stub fault") if stub.is_fault else (_MUTED, "stub")
    bar = "m-5 0h10" if stub.downwards else "m0 -5v10"
    mark = "m-4 -4l8 8m0 -8l-8 8" if stub.is_fault else bar
    step = "v9" if stub.downwards else "h9"
    return (
        f'<path class="{kind}" d="M{_n(x)} {_n(y)}{step}{mark}" fill="none" stroke="{colour}" stroke-width="2">'
        f"<title>{_escaped(words)}</title></path>"
    )


def _box(one: Box, corner: Point, gettext: Gettext) -> Iterator[str]:
    step, width = one.step, _n(boxes.WIDTH)
    is_start = step.number == 1
    kind = "box start" if is_start else "box"
    head, tint = ("head router", "#fdf0d5") if step.is_router else ("head", "#e9edf1")
    yield (
        f'<g class="step" data-step="{step.number}" transform="translate({_n(corner[0])} {_n(corner[1])})">'
        f'<rect class="{kind}" width="{width}" height="{_n(one.height)}" rx="6" fill="#ffffff" '
        f'stroke="{"#17663a" if is_start else "#8a97a6"}" stroke-width="{2.5 if is_start else 1}"/>'
        f'<path class="{head}" d="M1.500 23V6q0-4.500 4.500-4.500h{_n(boxes.WIDTH - 12)}q4.500 0 4.500 4.500V23z" '
        f'fill="{tint}"/>'
    )
    start = gettext("Start")
    title = f"{step.number} · {start}" if is_start else str(step.number)
    yield _text(Text(16, title, "name"), bold=True)
    for rule in one.rules:
        yield f'<path class="rule" d="M0 {_n(rule)}h{width}" stroke="#d5dbe2" stroke-width="1"/>'
    for text in one.texts:
        yield _text(text, bold=text.style == "name")
        if text.icon:
            yield (
                f'<path class="icon" transform="translate({_n(boxes.PAD)} {_n(text.y - 12)})" d="{ICONS[text.icon]}" '
                f'fill="none" stroke="{_MUTED}" stroke-width="1.3"/>'
            )
    for port in one.ports:
        if port.way.number and port.y is not None:
            yield (
                f'<text class="small" x="{_n(boxes.WIDTH - 8)}" y="{_n(port.y + 4)}" text-anchor="end" '
                f'font-size="{boxes.SMALL}" fill="{_MUTED}">→ {port.way.number}</text>'
            )
    yield "</g>"


def _text(text: Text, *, bold: bool = False) -> str:
    """Write one line: a paragraph of its own, from the right where its letters run so."""
    left, right = boxes.PAD + text.indent, boxes.WIDTH - boxes.PAD
    if text.style == "name" and not text.icon and bold:
        right -= 34
    from_right = is_right_to_left(text.full or text.text)
    place = f'x="{_n(right)}" direction="rtl"' if from_right else f'x="{_n(left)}"'
    title = f"<title>{_escaped(clean(text.full, _MOST_TITLE))}</title>" if text.full else ""
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text class="{text.style}" {place} y="{_n(text.y)}" font-size="{boxes.size(text.style)}"{weight} '
        f'fill="{_COLOURS[text.style]}">{title}{_escaped(text.text)}</text>'
    )


def _escaped(text: str) -> str:
    return escape(text, quote=True)


def _n(value: float) -> str:
    """Write a number with one decimal at most."""
    return f"{value:.1f}".removesuffix(".0")
