"""Texts and JSON that any database column and any later JSON can hold."""

import json
import math
import re
from collections.abc import Collection
from typing import Any

MAX_DEPTH = 64
_MAX_DIGITS = 300
_MAX_INT = 10**_MAX_DIGITS
_PLAIN = frozenset({str, float, bool, type(None)})
# PostgreSQL stores no NUL, and UTF-8 has no lone surrogates.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def clean_text(value: object) -> str:
    """Return a text without what UTF-8 or PostgreSQL refuse (replaced by U+FFFD); anything else than text is ""."""
    if not isinstance(value, str):
        return ""
    return _UNSTORABLE.sub("\ufffd", value)


def clean_json(value: Any, depth: int = 0) -> Any:
    """Return `value` with every text cleaned; what is nested deeper than MAX_DEPTH is left out as null."""
    if isinstance(value, str):
        return clean_text(value)
    if not isinstance(value, (list, dict)):
        return value
    if depth >= MAX_DEPTH:
        return None
    if isinstance(value, list):
        return [clean_json(item, depth + 1) for item in value]
    return {clean_text(key): clean_json(item, depth + 1) for key, item in value.items()}


def are_clean_json(values: Collection[Any], depth: int = 0) -> bool:
    """Say whether `clean_json` would leave decoded values as they are, and `loads` their numbers; texts are clean."""
    return _PLAIN.issuperset(map(type, values)) or all(_is_clean_json(value, depth) for value in values)


def _is_clean_json(value: Any, depth: int) -> bool:
    if isinstance(value, (list, dict)):
        return depth < MAX_DEPTH and are_clean_json(value if isinstance(value, list) else value.values(), depth + 1)
    return not isinstance(value, int) or -_MAX_INT < value < _MAX_INT


def loads(body: bytes) -> tuple[Any, bool]:
    """Return the JSON of a body, and whether it is any; numbers that nothing could hold are null."""
    try:
        text = body.decode("utf-8-sig")
        return json.loads(text, parse_int=_int, parse_float=_float, parse_constant=_nothing), True
    except (ValueError, RecursionError):
        return None, False


def _int(digits: str) -> int | None:
    return int(digits) if len(digits.removeprefix("-")) <= _MAX_DIGITS else None


def _float(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def _nothing(_: str) -> None:
    return None
