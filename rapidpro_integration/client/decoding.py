"""An answer's JSON made into types: nothing that a server sends ends in an exception other than ours.

msgspec reads a page that is as it should be straight into structs; whatever it refuses is read again with patience,
row by row (lenient). Numbers that no column or later JSON could hold (NaN, infinities, thousands of digits) are null.
Source: docs/adr/0006-decoding.md, with figures.
"""

import re
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgspec
from msgspec import Struct

from rapidpro_integration.client.credentials import Credential
from rapidpro_integration.client.errors import MalformedException, NotRapidProException, error_for_response
from rapidpro_integration.client.lenient import struct_of
from rapidpro_integration.client.soundness import check_of_rows
from rapidpro_integration.client.texts import loads
from rapidpro_integration.client.transport import Answer

_MAX_CURSOR = 1024
_NEXT_FIRST = re.compile(rb'\s*\{\s*"next"\s*:\s*(?:"([^"\\]*)"|null)\s*,')


class Decoded[T](NamedTuple):
    """The rows of a page, the number of those that could not be read, and the query of the next page ({}: none)."""

    rows: list[T]
    unreadable_count: int
    following: dict[str, str]


def read_page[T: Struct](
    answer: Answer, credential: Credential, kind: type[T], position: tuple[str, ...]
) -> Decoded[T]:
    """Return the page of rows of that kind that an answer holds.

    Of the `next` link only the parameters named `position` are taken: where else it points is not to be trusted with a
    token. Raises what the answer means if it is no success, NotRapidProException for JSON that is no page,
    MalformedException for a link without a usable position.
    """
    _raise_for(answer, credential)
    page = _strictly(answer.content, kind)
    if page is not None:
        return Decoded(page.results, 0, _following(page.next, position))
    payload = read_json(answer, credential)
    read = [struct_of(kind, row) for row in rows_of(payload)]
    rows = [row for row in read if row is not None]
    return Decoded(rows, len(read) - len(rows), _following(payload.get("next"), position))


def following_of(answer: Answer, position: tuple[str, ...]) -> dict[str, str] | None:
    """Return the query of the next page ({}: none) before the page is read, so that it can be asked for meanwhile.

    None where the answer does not begin with it in plain words. `read_page` has the last word.
    """
    found = _NEXT_FIRST.match(answer.content) if 200 <= answer.status_code < 300 else None
    if found is None:
        return None
    try:
        return _following(found[1].decode("ascii") if found[1] is not None else None, position)
    except (UnicodeDecodeError, MalformedException):
        return None


def rows_of(payload: Any) -> list[Any]:
    """Return the rows of a page as they came. Raises NotRapidProException for JSON that is no page."""
    if not isinstance(payload, dict) or not isinstance(payload.get("results"), list):
        raise NotRapidProException("The answer is JSON, but no page of a RapidPro list.", status_code=200)
    rows: list[Any] = payload["results"]
    return rows


def read_object[T: Struct](answer: Answer, credential: Credential, kind: type[T], name: str) -> T:
    """Return the one object of that kind that an answer holds.

    Raises what the answer means if it is no success, NotRapidProException if it holds no such object (a `name`).
    """
    found = struct_of(kind, read_json(answer, credential))
    if found is None:
        raise NotRapidProException(f"The answer is JSON, but no RapidPro {name}.", status_code=200)
    return found


def read_json(answer: Answer, credential: Credential) -> Any:
    """Return the JSON of a success. Raises what `error_for_response` says of anything else, or that it is no JSON."""
    _raise_for(answer, credential)
    payload, is_json = loads(answer.content)
    if is_json:
        return payload
    content_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    promised = content_type == "application/json" or content_type.endswith("+json")
    raise (MalformedException if promised else NotRapidProException)(status_code=answer.status_code)


def _raise_for(answer: Answer, credential: Credential) -> None:
    if 200 <= answer.status_code < 300:
        return
    error = error_for_response(answer.status_code, answer.headers, answer.content, credential=credential)
    if error is not None:
        raise error


# --- Strictly -----------------------------------------------------------------------------------


class _Page[T](Struct):
    results: list[T]
    next: str | None = None


@lru_cache
def _decoder(kind: type[Struct]) -> "msgspec.json.Decoder[_Page[Any]]":
    return msgspec.json.Decoder(_Page[kind])  # type: ignore[valid-type]


def _strictly[T: Struct](body: bytes, kind: type[T]) -> _Page[T] | None:
    """Return the page if all of it is as it should be and needs no cleaning, else None."""
    # RapidPro escapes next to nothing, and one byte is found much faster than six.
    if b"\\" in body and b"\\u0000" in body:
        return None
    try:
        page = _decoder(kind).decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return page if not page.results or check_of_rows(kind)(page.results) else None


def _following(link: object, position: tuple[str, ...]) -> dict[str, str]:
    if link in (None, ""):
        return {}
    found: dict[str, str] = {}
    if isinstance(link, str):
        try:
            query = parse_qs(urlsplit(link).query)
        except ValueError:
            query = {}
        found = {name: query[name][-1] for name in position if name in query}
    usable = all(value.isascii() and value.isprintable() and len(value) <= _MAX_CURSOR for value in found.values())
    if not found or not usable:
        raise MalformedException("The server says that there are more rows, but not where.", status_code=200)
    return found
