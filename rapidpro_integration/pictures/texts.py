"""Texts of strangers, made fit for a picture: cleaned, measured, wrapped and cut."""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

MAX_TEXT = 4_000
_ISOLATE, _END = "\u2068", "\u2069"
# They turn what stands around them; a text of a stranger gets its own paragraph or isolate instead.
_TURNING = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C])
# Control characters, lone surrogates and the two last places of each plane of Unicode.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff"
    + "".join(chr(plane * 0x10000 + last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
    + "]"
)
_NARROW = frozenset("iljtfrI.,:;!|'`()[]{}/\\ ")
_WIDE = frozenset("mwMWQOG@%&—<>+=~^#_")


def clean(value: object, limit: int = MAX_TEXT) -> str:
    """Return the text of a JSON value without what XML cannot hold or what turns its surroundings; "" for no text.

    Numbers are texts too. What is longer than `limit` ends with "…".
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            value = str(value)
        except ValueError:  # more digits than Python writes
            value = "…"
    if not isinstance(value, str):
        return ""
    text = value[: limit + 1].translate(_TURNING)
    text = _UNPRINTABLE.sub("\ufffd", text)
    return f"{text[: limit - 1]}…" if len(value) > limit else text


def isolate(text: str) -> str:
    """Return the text so that its direction does not touch the sentence that it stands in."""
    return f"{_ISOLATE}{text}{_END}"


def is_right_to_left(text: str) -> bool:
    """Say whether the first letter with a direction runs from the right."""
    for letter in text[:500]:
        direction = unicodedata.bidirectional(letter)
        if direction in {"L", "R", "AL"}:
            return direction != "L"
    return False


@lru_cache(maxsize=4096)
def _ems(letter: str) -> float:
    """Return about how wide a letter is. Rather too wide: fonts differ, and text must stay inside its box."""
    if unicodedata.category(letter) in {"Mn", "Me", "Cf"}:
        return 0.0
    if letter in _NARROW:
        return 0.4
    if letter in _WIDE:
        return 0.98
    if unicodedata.east_asian_width(letter) in {"W", "F"}:
        return 1.3 if unicodedata.category(letter) == "So" else 1.05
    code = ord(letter)
    if code < 0x250:
        return 0.76 if letter.isupper() else 0.63
    if 0x0590 <= code < 0x0780:
        return 0.6
    return 0.95 if code >= 0x0D00 else 0.8


def width(text: str, size: float) -> float:
    """Return about how many pixels a line takes in letters of `size` pixels."""
    return sum(map(_ems, text)) * size


def wrap(text: str, room: float, size: float, most: int) -> list[str]:
    """Return the text in at most `most` lines of `room` pixels; what does not fit is cut and ends with "…"."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        if len(lines) > most:
            break
        lines += _lines(" ".join(paragraph.split()), room, size, most + 1 - len(lines))
    lines = [line for line in lines if line]
    if len(lines) > most:
        lines = [*lines[: most - 1], cut(f"{lines[most - 1]} …", room, size)]
    return lines


def _lines(paragraph: str, room: float, size: float, most: int) -> list[str]:
    lines, line, used = [], "", 0.0
    space = width(" ", size)
    for word in paragraph.split(" "):
        for part in _parts(word, room, size):
            long = width(part, size)
            if line and used + space + long <= room:
                line, used = f"{line} {part}", used + space + long
            else:
                lines.append(line)
                line, used = part, long
        if len(lines) > most + 1:
            break
    return [*lines[1:], line]


def _parts(word: str, room: float, size: float) -> Sequence[str]:
    """Return a word in pieces that fit a line, never parted between a letter and its marks."""
    if width(word, size) <= room:
        return (word,)
    parts, begin, used = [], 0, 0.0
    for place, letter in enumerate(word):
        long = _ems(letter) * size
        if used + long > room and place > begin:
            parts.append(word[begin:place])
            begin, used = place, 0.0
        used += long
    return [*parts, word[begin:]]


def cut(text: str, room: float, size: float) -> str:
    """Return one line that fits, with "…" where something is left out."""
    text = " ".join(text.split())
    if width(text, size) <= room:
        return text
    room -= width("…", size)
    used = 0.0
    for place, letter in enumerate(text):
        used += _ems(letter) * size
        if used > room:
            return f"{text[:place].rstrip()}…"
    return text
