"""What comes of each fault: to a script through the interface, and to a person through the page of flows."""

import asyncio
import gc
import html
import re
import resource
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import stamina
from asgiref.sync import sync_to_async
from django.test import AsyncClient
from django.urls import reverse
from pytest_django import Settings

from accounts.models import User
from rapidpro_integration.client.errors import AbstractRequestException, Kind
from rapidpro_integration.client.types import Flow, Rows
from rapidpro_integration.interface import RapidProInterface
from tests.conftest import SECRET, TokenMaker
from tests.faults import tls
from tests.faults.cases import CASES, GOOD, STATUSES, Case, bodies
from tests.faults.server import FaultyServer, answer_again_later, once, reset_after, serve
from tests.rapidpro_integration.client.loopback import always, answer

STATM = Path("/proc/self/statm")
PEAK_GROWTH_BYTES = 20 * 1024 * 1024
# The cap is 8 MiB; the rest is what the buffers of both sides of a connection hold.
TAKEN_BYTES = 24 * 1024 * 1024
# Cases side by side: fewer than the requests that a client allows one token.
AT_ONCE = 8

by_name = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@dataclass(frozen=True)
class Outcome:
    """What came of a case: flows or an exception, after so many seconds; and what the servers saw."""

    came: Rows[Flow] | AbstractRequestException
    seconds: float
    server: FaultyServer
    elsewhere: FaultyServer


@asynccontextmanager
async def staged(case: Case) -> AsyncIterator[tuple[FaultyServer, FaultyServer]]:
    """Serve the case, and another server that must not be asked."""
    context = tls.context(case.certificate) if case.certificate else None
    async with (
        serve(always(answer(GOOD))) as elsewhere,
        serve(case.behave, tls=context, scheme=case.scheme) as server,
    ):
        server.elsewhere = elsewhere.origin
        yield server, elsewhere


async def flows_or_error(server: FaultyServer, deadline_s: float) -> Rows[Flow] | AbstractRequestException:
    """Return what asking for the flows comes to, after looking that an exception holds facts only."""
    try:
        return await RapidProInterface(SECRET, server.origin, deadline_s=deadline_s, private=True).aget_flows()
    except AbstractRequestException as caught:
        error = caught
    assert error.__context__ is None
    assert error.__cause__ is None
    assert SECRET not in f"{error} {error!r} {vars(error)}"
    return error


async def each_at_once[T, R](work: Callable[[T], Awaitable[R]], items: list[T], at_once: int = AT_ONCE) -> list[R]:
    """Return the results of `work` for each item, some of them at a time."""
    permits = asyncio.Semaphore(at_once)

    async def one(item: T) -> R:
        async with permits:
            return await work(item)

    return await asyncio.gather(*(one(item) for item in items))


# --- Through the interface ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest) -> dict[str, Outcome]:
    """Return the outcome of every case that is selected, by its name: their waits go on side by side."""
    callspecs = (getattr(item, "callspec", None) for item in request.session.items)
    cases = [callspec.params["case"] for callspec in callspecs if callspec and "case" in callspec.params]

    async def outcome(case: Case) -> tuple[str, Outcome]:
        async with staged(case) as (server, elsewhere):
            started = time.monotonic()
            came = await flows_or_error(server, case.deadline_s)
            return case.name, Outcome(came, time.monotonic() - started, server, elsewhere)

    async def every() -> list[tuple[str, Outcome]]:
        return await each_at_once(outcome, list({case.name: case for case in cases}.values()))

    with tls.trusting():
        found = dict(asyncio.run(every()))
    gc.collect()
    return found


@by_name
def test_interface_gives_what_the_case_says(case: Case, outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes[case.name]
    if isinstance(outcome.came, AbstractRequestException):
        assert outcome.came.kind in case.kinds
    else:
        assert case.works
        assert tuple(flow.name for flow in outcome.came) == case.names
    assert outcome.seconds < case.seconds


@by_name
def test_token_goes_no_further_than_it_should(case: Case, outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes[case.name]
    assert outcome.elsewhere.connections == 0
    assert case.heads is None or len(outcome.server.heads) <= case.heads
    assert outcome.server.sent < TAKEN_BYTES or Kind.TOO_LARGE not in case.kinds


# --- Through the page ---------------------------------------------------------------------------


class _Peak:
    """The most memory that the process has held at once, above what it held at first."""

    growth = 0


@contextmanager
def memory() -> Iterator[_Peak]:
    """Watch the process's resident memory, a look each 5 ms."""
    peak, done, unit = _Peak(), threading.Event(), resource.getpagesize()
    gc.collect()

    def resident() -> int:
        return int(STATM.read_text().split()[1]) * unit

    first = resident()

    def watch() -> None:
        while not done.wait(0.005):
            peak.growth = max(peak.growth, resident() - first)

    thread = threading.Thread(target=watch, name="memory")
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


type Visit = Callable[[FaultyServer], Awaitable[tuple[int, str]]]


@pytest.fixture
def visit(owner: User, make_token: TokenMaker, settings: Settings) -> Visit:
    """Return a coroutine function that opens the page of flows of a saved token: status, and text."""

    async def get(server: FaultyServer) -> tuple[int, str]:
        settings.RAPIDPRO_SERVERS = [server.origin]
        settings.SANDBOX_ORIGIN = server.origin  # which may be on loopback
        token = await sync_to_async(make_token)(owner, server=server.origin, label=server.origin)
        client = AsyncClient()
        await client.aforce_login(owner)
        response = await client.get(reverse("rapidpro:flow-list", args=[token.pk]))
        return response.status_code, response.content.decode()

    return get


_warm: list[bool] = []


async def _warm_up(visit: Visit) -> None:
    """Load what both pages need, once: that is no memory of the case's."""
    if not _warm:
        async with serve(always(answer(GOOD))) as good, serve(once(b"")) as bad:
            assert [(await visit(server))[0] for server in (good, bad)] == [200, 502]
        _warm.append(True)


@pytest.mark.skipif(not STATM.exists(), reason="the system does not tell how much memory a process holds")
@by_name
async def test_person_sees_the_page_of_the_case_soon_and_cheaply(
    case: Case, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The page names no deadline, so it has the usual one; no view is changed by a shorter usual one.
    defaults: dict[str, Any] = RapidProInterface.for_token.__func__.__kwdefaults__  # type: ignore[attr-defined]
    monkeypatch.setitem(defaults, "deadline_s", case.deadline_s)
    # Three tries, as ever, without the seconds between them.
    with tls.trusting(), stamina.set_testing(True, attempts=3, cap=True):
        await _warm_up(visit)
        async with staged(case) as (server, elsewhere):
            with memory() as peak:
                started = time.monotonic()
                status, text = await visit(server)
                seconds = time.monotonic() - started
    # A connection that was left open is noticed here, and not in some other test.
    gc.collect()
    heading = re.search(r"<h1[^>]*>(.*?)</h1>", text, re.DOTALL)
    assert heading is not None
    assert (status, html.unescape(re.sub("<[^>]*>", "", heading[1])).strip()) in case.pages
    assert status != 200 or all(name in text for name in case.names)
    assert "Evil" not in text
    assert SECRET not in text
    assert seconds < case.seconds
    assert peak.growth < PEAK_GROWTH_BYTES
    assert elsewhere.connections == 0


# --- One test, many answers ---------------------------------------------------------------------


@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_reset_at_every_byte(framing: str) -> None:
    body = b'{"results":[]}'
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n"
    if framing == "chunks":
        head, body = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"e\r\n" + body + b"\r\n0\r\n\r\n"
    whole = head + body

    async def cut(offset: int) -> Rows[Flow] | AbstractRequestException:
        async with serve(reset_after(whole[:offset])) as server:
            return await flows_or_error(server, 6)

    came = await each_at_once(cut, list(range(len(whole) + 1)), 16)
    kinds: list[Kind | None] = [error.kind if isinstance(error, AbstractRequestException) else None for error in came]
    expected = [Kind.UNREACHABLE] * len(head) + [Kind.MALFORMED] * len(body)
    assert kinds[:-1] == expected
    # The whole answer came, but a client may see the reset first.
    assert kinds[-1] in {None, Kind.MALFORMED}


@pytest.mark.parametrize("body", bodies(SECRET))
@pytest.mark.parametrize("content_type", ["application/json", "text/html"])
async def test_every_status_with_every_body_is_a_value_or_an_exception_of_ours(body: str, content_type: str) -> None:
    async def ask(status: int) -> Rows[Flow] | AbstractRequestException:
        reply = answer(bodies(SECRET)[body], status=f"{status} {SECRET}", content_type=content_type)
        async with serve(once(reply)) as server:
            return await flows_or_error(server, 6)

    came = await each_at_once(ask, list(STATUSES), 16)
    for status, outcome in zip(STATUSES, came, strict=True):
        assert isinstance(outcome, AbstractRequestException), status
        # A success that cannot be used may say so of any success; a 304 with a body may count as no answer at all.
        assert outcome.status_code == status or status < 300 or status == 304, status


async def test_second_answer_is_not_taken_for_that_to_a_later_call() -> None:
    async with serve(answer_again_later) as server:
        for _ in range(3):
            flows = await RapidProInterface(SECRET, server.origin, deadline_s=6).aget_flows()
            assert [flow.name for flow in flows] == ["Good"]
            await asyncio.sleep(0.15)
