"""JSON made safe: hostile bytes end in one of our errors, or in a value that a database takes."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapidpro_integration.client.credentials import Credential
from rapidpro_integration.client.decoding import Decoded, read_json, read_page
from rapidpro_integration.client.errors import (
    AbstractRequestException,
    Kind,
    MalformedException,
    NotRapidProException,
)
from rapidpro_integration.client.resources import FLOWS
from rapidpro_integration.client.texts import MAX_DEPTH, clean_json, clean_text
from rapidpro_integration.client.transport import Answer
from rapidpro_integration.client.types import Flow

NOBODY = Credential("nobody")
JSON = {"Content-Type": "application/json"}

ANY_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def read(body: bytes, headers: dict[str, str] = JSON, status: int = 200) -> Any:
    return read_json(answer(body, headers, status), NOBODY)


def answer(body: bytes, headers: dict[str, str] = JSON, status: int = 200) -> Answer:
    return Answer(status, httpx.Headers(headers).raw, body, 0, "https://rapidpro.example/")


def page(payload: object) -> Decoded[Flow]:
    return read_page(answer(json.dumps(payload).encode()), NOBODY, Flow, FLOWS.position)


def kind_of(call: Callable[[], object]) -> Kind:
    with pytest.raises(AbstractRequestException) as caught:
        call()
    assert caught.value.__context__ is None
    return caught.value.kind


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": 1.5}', {"a": 1.5}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b"[NaN, Infinity, -Infinity, 1e999, -1e999]", [None] * 5),
        (b"[" + b"9" * 5000 + b", 7]", [None, 7]),
        ('{"a": "Nutrição"}'.encode(), {"a": "Nutrição"}),
    ],
)
def test_json_is_read(body: bytes, value: object) -> None:
    assert read(body) == value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"a": "\xff"}',
        b"[" * 200_000,
        b"[" * 200_000 + b"]" * 200_000,
        "{}".encode("utf-16"),
        b"<h1>Hi</h1>",
        b"\x00",
    ],
)
def test_broken_json_is_malformed_where_json_was_promised(body: bytes) -> None:
    assert kind_of(lambda: read(body)) is Kind.MALFORMED
    assert kind_of(lambda: read(body, {"Content-Type": "application/problem+json; charset=utf-8"})) is Kind.MALFORMED


@pytest.mark.parametrize("headers", [{"Content-Type": "text/html; charset=utf-8"}, {"Content-Type": "text/plain"}, {}])
def test_anything_else_is_not_rapidpro(headers: dict[str, str]) -> None:
    assert kind_of(lambda: read(b"<h1>Hello</h1>", headers)) is Kind.NOT_RAPIDPRO


def test_error_answer_is_raised_as_what_it_means() -> None:
    assert kind_of(lambda: read(b'{"detail": "Invalid token"}', status=403)) is Kind.REJECTED


def test_error_does_not_quote_the_token_that_was_sent() -> None:
    with pytest.raises(AbstractRequestException) as caught:
        read(b'{"detail": "nobody is unknown here"}', status=400)
    assert "nobody" not in caught.value.message


@given(st.one_of(st.binary(), ANY_JSON.map(lambda value: json.dumps(value).encode())), st.sampled_from([JSON, {}]))
def test_any_bytes_are_json_or_one_of_our_errors(body: bytes, headers: dict[str, str]) -> None:
    try:
        value = read(body, headers)
    except (MalformedException, NotRapidProException):
        return
    json.dumps(clean_json(value), allow_nan=False, ensure_ascii=False).encode()


# --- A page -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload", [[], {}, None, 5, "x", {"results": None}, {"results": {}}, {"uuid": None, "name": ""}]
)
def test_json_without_rows_is_not_rapidpro(payload: object) -> None:
    assert kind_of(lambda: page(payload)) is Kind.NOT_RAPIDPRO


@pytest.mark.parametrize(
    ("following", "cursor"),
    [
        (None, ""),
        ("", ""),
        ("https://rapidpro.example/api/v2/flows.json?after=x&cursor=cD0y%3D%2B&foo=1", "cD0y=+"),
        ("https://evil.example/?cursor=abc", "abc"),
        ("?cursor=one&cursor=two", "two"),
        ("javascript:alert(1)?cursor=abc", "abc"),
    ],
)
def test_only_the_cursor_of_next_is_taken(following: object, cursor: str) -> None:
    assert page({"results": [], "next": following}).following == ({"cursor": cursor} if cursor else {})


@pytest.mark.parametrize(
    "following",
    [
        "https://rapidpro.example/api/v2/flows.json", "?cursor=", "?cursor=" + "x" * 1025, "?cursor=%0d%0aX-Evil:1",
        "?cursor=%C3%A9", "?cursor=\ud800", "http://[::1/?cursor=abc", 5, True, [], {}, ["?cursor=abc"],
    ],
)  # fmt: skip
def test_next_without_a_usable_cursor_is_malformed(following: object) -> None:
    assert kind_of(lambda: page({"results": [], "next": following})) is Kind.MALFORMED


# --- Clean --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "clean"),
    [("a\x00b\ud800c\udfff", "a\ufffdb\ufffdc\ufffd"), ("مرحبا 🌍\n", "مرحبا 🌍\n"), (None, ""), (5, ""), (["x"], "")],
)
def test_text_is_made_storable(value: object, clean: str) -> None:
    assert clean_text(value) == clean


def test_json_is_cleaned_through_and_through() -> None:
    assert clean_json({"a\x00": ["\ud800", {"b": None, "c": 1.5}], "d": True}) == {
        "a\ufffd": ["\ufffd", {"b": None, "c": 1.5}],
        "d": True,
    }


def test_deep_json_is_cut_at_the_stated_depth() -> None:
    nested: Any = "bottom"
    for _ in range(MAX_DEPTH):
        nested = [nested]
    assert clean_json(nested) == nested
    assert "bottom" not in json.dumps(clean_json([nested]), indent=2)
