"""Whatever a server sends, what comes of it is a list of flows or an exception of ours."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
import stamina
from hypothesis import given, settings
from hypothesis import strategies as st

from rapidpro_integration.client.errors import AbstractRequestException, Kind
from rapidpro_integration.client.types import Flow, Rows
from rapidpro_integration.interface import RapidProInterface
from tests.conftest import SECRET
from tests.faults.server import flow, once, serve
from tests.rapidpro_integration.client.loopback import answer

DEADLINE_S = 1.0


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """Return an event loop for all examples of this file."""
    with asyncio.Runner() as runner:
        yield runner


async def _ask(reply: bytes) -> Rows[Flow] | AbstractRequestException:
    async with serve(once(reply)) as server:
        try:
            return await RapidProInterface(SECRET, server.origin, deadline_s=DEADLINE_S, max_pages=3).aget_flows()
        except AbstractRequestException as error:
            return error


def ask(runner: asyncio.Runner, *replies: bytes) -> None:
    """Give each answer to a call of its own, all at once; look at what comes of them."""

    async def every() -> list[Rows[Flow] | AbstractRequestException]:
        return await asyncio.gather(*map(_ask, replies))

    # A client may try again what looks like a broken connection: without the seconds between the tries.
    with stamina.set_testing(True, attempts=3, cap=True):
        outcomes = runner.run(every())
    for outcome in outcomes:
        if isinstance(outcome, AbstractRequestException):
            assert type(outcome) is not AbstractRequestException
            assert outcome.kind in Kind
            assert outcome.__context__ is None
            assert outcome.__cause__ is None
            assert all(value is None or isinstance(value, (str, int)) for value in vars(outcome).values())
            assert SECRET not in f"{outcome} {outcome!r} {vars(outcome)}"
        else:
            assert isinstance(outcome, Rows)
            assert all(isinstance(flow, Flow) for flow in outcome)
            # What a page or a database could not take would fail here.
            repr(outcome).encode()


# --- Any bytes ----------------------------------------------------------------------------------

SECRETIVE = st.sampled_from([SECRET.encode(), b"Token " + SECRET.encode(), SECRET.upper().encode()])
LINES = st.one_of(
    st.sampled_from(
        [
            b"Content-Length: 5",
            b"Content-Length: 99999999999999999999999",
            b"Transfer-Encoding: chunked",
            b"Transfer-Encoding: gzip, chunked",
            b"Content-Encoding: gzip",
            b"Content-Type: application/json",
            b"Connection: keep-alive",
            b"Location: //\xff",
            b"Retry-After: 9e99",
            b"Set-Cookie: \x00=\xff",
            b" folded",
            b": nameless",
        ]
    ),
    st.binary(max_size=40),
)
BYTES = st.one_of(st.binary(max_size=300), SECRETIVE)
HEADS = st.builds(
    lambda status, lines: b"\r\n".join([b"HTTP/1.1 " + status, *lines, b"", b""]),
    st.one_of(st.integers(100, 699).map(lambda status: b"%d x" % status), st.binary(max_size=20)),
    st.lists(LINES, max_size=5),
)
RAW = st.one_of(BYTES, st.builds(bytes.__add__, HEADS, BYTES))


@settings(max_examples=25)
@given(replies=st.lists(RAW, min_size=6, max_size=6))
def test_any_bytes_as_the_whole_answer(runner: asyncio.Runner, replies: list[bytes]) -> None:
    # Six at a time: 150 answers, and those that a client waits for are waited for side by side.
    ask(runner, *replies)


@settings(max_examples=150)
@given(body=BYTES, encoding=st.sampled_from(["", "gzip", "identity", "br"]))
def test_any_bytes_as_a_body(runner: asyncio.Runner, body: bytes, encoding: str) -> None:
    ask(runner, answer(body, headers=f"Content-Encoding: {encoding}\r\n" if encoding else ""))


# --- Any JSON -----------------------------------------------------------------------------------

TEXTS = st.one_of(
    st.text(st.characters(categories=None), max_size=20),
    st.sampled_from(["\ud800", "a\x00b", "NaN", "2026-02-30", "9999-12-31T23:59:59-14:00", "0001-01-01", SECRET]),
)
NUMBERS = st.one_of(
    st.integers(), st.integers(10**400, 10**401), st.integers(-(10**30), 10**30), st.floats(), st.booleans()
)
JSON = st.recursive(
    st.one_of(st.none(), NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=12,
)


def _mostly(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return the values of `strategy`, and now and then something of another type."""
    return st.one_of(strategy, strategy, strategy, JSON)


LABELS = st.lists(_mostly(st.fixed_dictionaries({}, optional={"uuid": JSON, "name": _mostly(TEXTS)})), max_size=3)
ROWS = st.fixed_dictionaries(
    {"uuid": _mostly(st.one_of(st.uuids().map(str), st.just(str(flow("Good")["uuid"]))))},
    optional={
        "name": _mostly(TEXTS),
        "type": _mostly(TEXTS),
        "archived": JSON,
        "labels": _mostly(LABELS),
        "expires": _mostly(NUMBERS),
        "runs": _mostly(st.dictionaries(st.sampled_from(["active", "waiting", "completed", "total"]), NUMBERS)),
        "results": _mostly(st.lists(st.fixed_dictionaries({}, optional={"key": JSON, "categories": JSON}), max_size=2)),
        "parent_refs": _mostly(st.lists(JSON, max_size=3)),
        "created_on": _mostly(st.one_of(st.datetimes().map(str), TEXTS)),
        "modified_on": _mostly(st.one_of(st.datetimes().map(str), TEXTS)),
    },
)
NEXT = st.one_of(
    st.none(),
    st.sampled_from(["", "?cursor=", "?cursor=x", "http://[::1?cursor=x", f"https://other.example/?cursor={SECRET}"]),
    TEXTS.map(lambda text: f"?cursor={text}"),
)
PAGES = st.fixed_dictionaries(
    {"results": _mostly(st.lists(_mostly(ROWS), max_size=4))}, optional={"next": _mostly(NEXT), "previous": JSON}
)


@settings(max_examples=150)
@given(payload=st.one_of(PAGES, PAGES, PAGES, JSON), ascii_only=st.booleans())
def test_any_json(runner: asyncio.Runner, payload: Any, ascii_only: bool) -> None:
    # Without escapes a lone surrogate is three bytes that are no UTF-8.
    ask(runner, answer(json.dumps(payload, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")))
