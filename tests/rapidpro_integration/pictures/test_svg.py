"""The picture: nothing overlaps, no line runs through a box, every text stays inside and harmless."""

import re
import xml.etree.ElementTree as ET
from itertools import pairwise
from typing import Any

import pytest

from rapidpro_integration.pictures import boxes, routes
from rapidpro_integration.pictures.boxes import box
from rapidpro_integration.pictures.cells import place
from rapidpro_integration.pictures.reading import read
from rapidpro_integration.pictures.steps import Step, describe
from rapidpro_integration.pictures.svg import Picture, draw
from rapidpro_integration.pictures.texts import clean, is_right_to_left, width, wrap
from rapidpro_integration.sandbox.data import load
from tests.rapidpro_integration.pictures.test_reading import flow, node

SVG = "{http://www.w3.org/2000/svg}"
DRAWN = {
    definition["name"]: definition for definition in load()["gallery"].definitions.values() if definition.get("nodes")
}


def told(definition: dict[str, Any], language: str = "") -> tuple[Step, ...]:
    return describe(read(definition), str, language)


def picture(definition: dict[str, Any], language: str = "") -> Picture:
    return draw(told(definition, language), str(definition["name"]), str)


def many(number: int, at: Any, to: Any = lambda place: place + 1) -> dict[str, Any]:
    nodes = [node(f"n{place}", f"n{to(place)}") for place in range(number)]
    return flow(*nodes, _ui={"nodes": {f"n{place}": {"position": at(place)} for place in range(number)}})


EXTREMES = {
    "one place": many(300, lambda place: {"left": 0, "top": 0}),
    "no place": many(2_000, lambda place: None),
    "a stair": many(400, lambda place: {"left": place * 10, "top": place * 10}),
    "far out": many(50, lambda place: {"left": (-1) ** place * 900_000, "top": place * 19_000}),
    "all to one": many(300, lambda place: None, lambda place: 7),
    "circle": many(60, lambda place: {"left": 0, "top": place * 100}, lambda place: (place + 1) % 60),
    "some places": many(40, lambda place: {"left": 0, "top": place * 200} if place % 5 else None),
}


@pytest.mark.parametrize("definition", [*DRAWN.values(), *EXTREMES.values()], ids=[*DRAWN, *EXTREMES])
def test_boxes_are_apart_and_lines_run_between_them(definition: dict[str, Any]) -> None:
    drawn = {step.number: box(step, str) for step in told(definition)}
    plan = routes.plan(drawn, place([one.step for one in drawn.values()]))
    rows: dict[float, list[float]] = {}
    for left, top in plan.corners.values():
        rows.setdefault(top, []).append(left)
    for lefts in rows.values():
        assert all(after - before >= boxes.WIDTH + 20 for before, after in pairwise(sorted(lefts)))
    bands = sorted(
        (top, max(drawn[number].height for number, corner in plan.corners.items() if corner[1] == top)) for top in rows
    )
    assert all(top + height + 20 <= following for (top, height), (following, _) in pairwise(bands))
    for line in plan.lines:
        for begin, end in pairwise(line.points):
            assert begin[0] == end[0] or begin[1] == end[1]
            assert _crossed(begin, end, rows, bands) == [], f"{line.source} → {line.target}"
    assert all(0 <= x <= plan.width and 0 <= y <= plan.height for line in plan.lines for x, y in line.points)


def _crossed(begin: Any, end: Any, rows: dict[float, list[float]], bands: list[tuple[float, float]]) -> list[Any]:
    """Return the boxes whose inside a piece of a line touches; each is taken as high as its row."""
    left, right = sorted((begin[0], end[0]))
    top, bottom = sorted((begin[1], end[1]))
    found = []
    for row, height in bands:
        if bottom <= row or top >= row + height:
            continue
        # A line that leaves the foot of a low box runs down beside nothing: its own box is above it.
        leaves = left == right and bottom > row + height and top > row
        found += [at for at in rows[row] if left < at + boxes.WIDTH and right > at and not leaves]
    return found


def test_every_way_to_a_step_has_a_line_and_every_other_one_a_mark() -> None:
    for definition in DRAWN.values():
        steps, svg = told(definition), picture(definition).svg
        assert svg.count('data-from="') == sum(way.number is not None for step in steps for way in step.ways)
        assert svg.count('class="stub') == sum(way.number is None for step in steps for way in step.ways)


@pytest.mark.parametrize("definition", DRAWN.values(), ids=DRAWN)
@pytest.mark.parametrize("language", ["", "fra", "ara"])
def test_picture_is_svg_without_script_style_or_address(definition: dict[str, Any], language: str) -> None:
    root = ET.fromstring(picture(definition, language).file)
    tags = {one.tag.removeprefix(SVG) for one in root.iter()}
    names = {name for one in root.iter() for name in one.attrib}
    assert tags <= {"svg", "g", "rect", "path", "text", "title"}
    assert names <= {
        *("class", "viewBox", "width", "height", "role", "direction", "font-family", "id", "fill", "d", "stroke"),
        *("data-from", "data-to", "data-step", "stroke-width", "stroke-dasharray", "transform", "rx", "x", "y"),
        *("font-size", "font-weight", "text-anchor"),
    }


@pytest.mark.parametrize("definition", DRAWN.values(), ids=DRAWN)
def test_texts_stay_inside_their_boxes(definition: dict[str, Any]) -> None:
    for step in told(definition):
        one = box(step, str)
        for text in one.texts:
            assert width(text.text, boxes.size(text.style)) <= boxes.WIDTH - 2 * boxes.PAD - text.indent + 0.1
            assert 0 < text.y < one.height


def test_cut_text_is_whole_in_its_title() -> None:
    long = "word " * 300
    svg = picture(flow(node("a", actions=[{"type": "send_msg", "text": long}]))).svg
    titles = re.findall(r"<title>((?:word ?)+)…?</title>", svg)
    assert len(titles) == 8
    assert len(titles[0]) == 999


def test_letters_that_run_from_the_right_stand_at_the_right() -> None:
    svg = picture(flow(node("a", actions=[{"type": "send_msg", "text": "مرحبا بكم"}]))).svg
    assert re.search(r'<text class="text" x="250" direction="rtl"[^>]*>مرحبا بكم</text>', svg)


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("size", [(980, 1376), (1428, 2008)], ids=["A4", "A3"])
def test_every_box_is_whole_on_one_sheet(name: str, size: tuple[int, int]) -> None:
    whole = picture(DRAWN[name])
    sheets = whole.sheets(*size)
    assert len({(sheet.paper_width, sheet.paper_height) for sheet in sheets}) == 1
    for number, (left, top) in whole.plan.corners.items():
        if whole.heights[number] > size[1]:
            continue
        holders = [
            sheet
            for sheet in sheets
            if sheet.left <= left + 1
            and left + boxes.WIDTH <= sheet.left + sheet.width + 1
            and sheet.top <= top + 1
            and top + whole.heights[number] <= sheet.top + sheet.height + 1
        ]
        assert len(holders) == 1, number


def test_sheets_are_few_and_none_is_empty() -> None:
    assert len(picture(DRAWN["Weekly hive report"]).sheets(980, 1376)) == 2
    assert len(picture(DRAWN["First week"]).sheets(980, 1376)) == 1
    assert len(picture(DRAWN["National survey of 400 steps"]).sheets(50, 50)) <= 200


# --- Texts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a\x00b\x1b", "a\ufffdb\ufffd"),
        ("\ud800", "\ufffd"),
        ("\uffff\U0001fffe", "\ufffd\ufffd"),
        ("a\u202eb\u2067c\u200f", "abc"),
        (5, "5"),
        (True, ""),
        (None, ""),
        ([], ""),
        ("x" * 11, "x" * 9 + "…"),
    ],
)
def test_clean_text_can_stand_in_xml(value: object, text: str) -> None:
    assert clean(value, 10) == text


def test_number_that_python_does_not_write_is_a_text() -> None:
    assert clean(10**5_000) == "…"


@pytest.mark.parametrize(
    "text", ["", " ", "\n\n", "x" * 5_000, "a " * 5_000, "क्ष" * 500, "👩🏽‍🌾" * 300, "\u0301" * 900]
)
@pytest.mark.parametrize("most", [1, 2, 8])
def test_wrapped_lines_fit(text: str, most: int) -> None:
    lines = wrap(text, 200, 13, most)
    assert len(lines) <= most
    assert all(width(line, 13) <= 200 for line in lines)


def test_a_letter_is_not_parted_from_its_marks() -> None:
    assert all(line[0] == "e" for line in wrap("e\u0301" * 60, 100, 13, 9))


@pytest.mark.parametrize(("text", "from_right"), [("abc", False), ("12 שלום", True), ("", False), ("123", False)])
def test_first_letter_says_where_a_text_begins(text: str, from_right: bool) -> None:
    assert is_right_to_left(text) is from_right
