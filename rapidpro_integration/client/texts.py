"""Texts and JSON that any database column and any later JSON can hold."""

import json
import math
import re
from typing import Any

MAX_DEPTH = 64
_MAX_DIGITS = 300
_MAX_INT = 10**_MAX_DIGITS
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


def is_clean_json(value: Any, depth: int = 0) -> bool:
    """Say whether `clean_json` would leave a decoded value as it is, and `loads` its whole numbers; texts are clean."""
    if isinstance(value, (list, dict)):
        items = value if isinstance(value, list) else value.values()
        return depth < MAX_DEPTH and all(is_clean_json(item, depth + 1) for item in items)
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
