"""Sections of docs/benchmarks.md that one benchmark writes and the others leave alone, each between two markers."""

import re
from pathlib import Path

_SECTION = re.compile(r"<!-- (?P<name>[a-z-]+): begin -->\n.*?<!-- (?P=name): end -->\n", re.DOTALL)


def sections(text: str) -> str:
    """Return the marked sections of a page, one after the other, each with an empty line before it."""
    return "".join(f"\n{found[0]}" for found in _SECTION.finditer(text))


def put(page: Path, name: str, body: str) -> None:
    """Write `body` as the section of this name: in the place of the last one, or at the end of the page."""
    text = page.read_text("utf-8")
    section = f"<!-- {name}: begin -->\n{body.strip()}\n<!-- {name}: end -->\n"
    places = [found.span() for found in _SECTION.finditer(text) if found["name"] == name]
    start, end = places[0] if places else (len(text), len(text))
    before = text[:start] if places else f"{text.rstrip()}\n\n"
    page.write_text(before + section + text[end:], "utf-8")
