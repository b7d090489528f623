"""An answer's JSON, made safe: nothing that a server sends ends in an exception other than ours.

Numbers that no column or later JSON could hold (NaN, infinities, thousands of digits) are read as null.
"""

import json
import math
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from rapidpro_integration.client.credentials import Credential
from rapidpro_integration.client.errors import MalformedException, NotRapidProException, error_for_response

MAX_DEPTH = 64
_MAX_DIGITS = 300
_MAX_CURSOR = 1024
# PostgreSQL stores no NUL, and UTF-8 has no lone surrogates.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def read_json(response: httpx.Response, credential: Credential) -> Any:
    """Return the JSON of a success. Raises what `error_for_response` says of anything else, or that it is no JSON."""
    error = error_for_response(response.status_code, response.headers, response.content, credential=credential)
    if error is not None:
        raise error
    payload, is_json = _loaded(response.content)
    if is_json:
        return payload
    content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    promised = content_type == "application/json" or content_type.endswith("+json")
    raise (MalformedException if promised else NotRapidProException)(status_code=response.status_code)


def page_of(payload: Any) -> tuple[list[Any], str]:
    """Return the rows of a page and the cursor of the next ("" on the last one).

    Of the `next` link only the cursor is taken: where else it points is not to be trusted with a token. Raises
    NotRapidProException for JSON that is no page, MalformedException for a link without a usable cursor.
    """
    if not isinstance(payload, dict) or not isinstance(payload.get("results"), list):
        raise NotRapidProException("The answer is JSON, but no page of a RapidPro list.", status_code=200)
    following = payload.get("next")
    if following in (None, ""):
        return payload["results"], ""
    cursor = _cursor(following)
    if not cursor:
        raise MalformedException("The server says that there are more rows, but not where.", status_code=200)
    return payload["results"], cursor


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


def _loaded(body: bytes) -> tuple[Any, bool]:
    try:
        text = body.decode("utf-8-sig")
        return json.loads(text, parse_int=_int, parse_float=_float, parse_constant=_nothing), True
    except (ValueError, RecursionError):
        return None, False


def _int(digits: str) -> int | None:
    return int(digits) if len(digits) <= _MAX_DIGITS else None


def _float(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def _nothing(_: str) -> None:
    return None


def _cursor(following: object) -> str:
    if not isinstance(following, str):
        return ""
    try:
        cursor = parse_qs(urlsplit(following).query).get("cursor", [""])[-1]
    except ValueError:
        return ""
    return cursor if cursor.isascii() and cursor.isprintable() and len(cursor) <= _MAX_CURSOR else ""
