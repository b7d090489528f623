"""The box of each step: what is written in it, line by line, and so how high it is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rapidpro_integration.pictures.steps import Line, Step, Way
from rapidpro_integration.pictures.texts import cut, isolate, width, wrap
from rapidpro_integration.pictures.words import Gettext

WIDTH = 260.0
HEAD, PAD, ICON = 24.0, 10.0, 16.0
TEXT, SMALL = 13.0, 11.5
_LEADING = 1.38
#: More than a person reads in a picture: the rest is in the list beside it.
_MOST_LINES, _MOST_TEXT, _MOST_EXTRAS, _MOST_WAYS = 12, 8, 6, 40


@dataclass(frozen=True, slots=True)
class Text:
    """A line of letters: `y` is its foot below the box's top, `full` what was cut, if anything."""

    y: float
    text: str
    style: str
    indent: float = 0.0
    full: str = ""
    icon: str = ""


@dataclass(frozen=True, slots=True)
class Port:
    """Where a way leaves the box, below its top; `y` is None for the foot of the box."""

    way: Way
    y: float | None


@dataclass(frozen=True, slots=True)
class Box:
    """A step's box, `rules` are the heights at which a thin line parts it."""

    step: Step
    height: float
    texts: tuple[Text, ...]
    rules: tuple[float, ...]
    ports: tuple[Port, ...]


def box(step: Step, gettext: Gettext) -> Box:
    """Return the box of a step."""
    writer = _Writer()
    for line in step.lines[:_MOST_LINES]:
        _write(writer, line, gettext)
    if (left := len(step.lines) - _MOST_LINES) > 0:
        writer.line(gettext("and %(n)d more") % {"n": left}, "small", ICON + 6)
    only = step.ways[0] if len(step.ways) == 1 and not step.is_router else None
    ports = [Port(only, None)] if only else list(_ways(writer, step, gettext))
    return Box(step, writer.y + PAD, tuple(writer.texts), tuple(writer.rules), tuple(ports))


class _Writer:
    """Keeps the place of the next line."""

    def __init__(self) -> None:
        self.y = HEAD + 4
        self.texts: list[Text] = []
        self.rules: list[float] = []

    def line(self, text: str, style: str, indent: float = 0.0, full: str = "", icon: str = "") -> None:
        self.y += size(style) * _LEADING
        self.texts.append(Text(self.y - 3, text, style, indent, full, icon))

    def wrapped(self, text: str, style: str, indent: float, most: int) -> None:
        """Write a text in a few lines, each with the whole of it behind where some was left out."""
        # No line holds more letters than it has pixels, so this is enough, however long the text.
        lines = wrap(text[: most * int(WIDTH)], WIDTH - 2 * PAD - indent, size(style), most)
        is_cut = bool(lines) and lines[-1].endswith("…") and not text.rstrip().endswith("…")
        for line in lines:
            self.line(line, style, indent, text if is_cut else "")

    def rule(self) -> None:
        self.y += 5
        self.rules.append(self.y)
        self.y += 1


def size(style: str) -> float:
    """Return the size of the letters of a style, in pixels."""
    return TEXT if style in {"text", "name"} else SMALL


def _write(writer: _Writer, line: Line, gettext: Gettext) -> None:
    indent = ICON + 6
    writer.y += 3
    words = f"{line.words} – {gettext('not translated')}" if line.is_missing else line.words
    room = WIDTH - 2 * PAD - indent
    together = f"{words}: {isolate(line.text)}"
    if line.text and not line.is_spoken and not line.extras and width(together, SMALL) <= room:
        writer.line(together, "small", indent, icon=line.icon)
        return
    for place, part in enumerate(wrap(words, room, SMALL, 2)):
        writer.line(part, "missing" if line.is_missing else "small", indent, icon="" if place else line.icon)
    writer.wrapped(line.text, "text", indent, _MOST_TEXT)
    for extra in line.extras[:_MOST_EXTRAS]:
        writer.wrapped(extra, "extra", indent, 2)
    if len(line.extras) > _MOST_EXTRAS:
        writer.line(gettext("and %(n)d more") % {"n": len(line.extras) - _MOST_EXTRAS}, "small", indent)


def _ways(writer: _Writer, step: Step, gettext: Gettext) -> Iterator[Port]:
    for way in step.ways[:_MOST_WAYS]:
        writer.rule()
        top = writer.y
        room = WIDTH - 2 * PAD - 34
        name = way.name or gettext("(no name)")
        icon = "timeout" if way.is_timeout else ""
        indent = ICON + 6 if icon else 0.0
        short = cut(name, room - indent, TEXT)
        writer.line(short, "missing" if way.is_missing else "name", indent, name if short != name else "", icon)
        if way.tests:
            short = cut(way.tests, room, SMALL)
            writer.line(short, "small", 0.0, way.tests if short != way.tests else "")
        yield Port(way, (top + writer.y) / 2 + 2)
    yield from _more(writer, step.ways[_MOST_WAYS:], gettext)


def _more(writer: _Writer, ways: Sequence[Way], gettext: Gettext) -> Iterator[Port]:
    """Draw the ways that are too many from one place, so that no line is left out."""
    if not ways:
        return
    writer.rule()
    writer.line(gettext("and %(n)d more") % {"n": len(ways)}, "small")
    for way in ways:
        yield Port(way, writer.y - 4)
