"""`concurrency`: the same rows in the same order, whatever their distribution in time and whatever the server does."""

import base64
import gc
import logging
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapidpro_integration.client import pools, transport, windows
from rapidpro_integration.client.budgets import Budget
from rapidpro_integration.client.errors import TooLargeException
from rapidpro_integration.client.permits import Limits
from rapidpro_integration.client.types import Rows
from rapidpro_integration.interface import RapidProInterface
from rapidpro_integration.reads import base
from tests.conftest import SECRET, SERVER
from tests.rapidpro_integration.ledger import Entry, Ledger, entries, touch

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
METHODS: dict[str, Callable[..., Rows[Any]]] = {
    "runs": RapidProInterface.get_runs,
    "flows": RapidProInterface.get_flows,
    "messages": RapidProInterface.get_messages,
    "sent": lambda interface, *window, **more: interface.get_messages(*window, folder="sent", **more),
}


def read(name: str, ledger: Ledger, *window: Any, interface: dict[str, Any] | None = None, **more: Any) -> Rows[Any]:
    transport.forget()
    with ledger.answering():
        return METHODS[name](RapidProInterface(SECRET, SERVER, **(interface or {})), *window, **more)


def numbers(rows: Rows[Any]) -> list[int]:
    return [UUID(str(row.uuid)).int for row in rows]


# Moments that crowd together, that are the same, that are years apart, older than RapidPro and not yet here.
MOMENTS = st.one_of(
    st.sampled_from([NOW, NOW - timedelta(days=1), NOW - timedelta(days=400), datetime(2016, 3, 7, tzinfo=UTC)]),
    st.integers(0, 3000).map(lambda micro: NOW - timedelta(microseconds=micro)),
    st.integers(0, 10**6).map(lambda seconds: NOW - timedelta(seconds=seconds)),
    st.integers(0, 5000).map(lambda days: NOW - timedelta(days=days)),
    st.sampled_from([datetime(2005, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)]),
)
BOUNDS = st.none() | MOMENTS


@st.composite
def ledgers(draw: st.DrawFn) -> Ledger:
    made = entries(*draw(st.lists(MOMENTS, max_size=60)))
    for one in made:
        one.modified_on = draw(MOMENTS) if draw(st.booleans()) else one.created_on
        one.sent_on = draw(MOMENTS) if draw(st.booleans()) else one.created_on
    return Ledger(made, draw(st.sampled_from([1, 3, 7, 250])))


@given(ledgers(), st.sampled_from(list(METHODS)), st.integers(2, 50), BOUNDS, BOUNDS, st.booleans())
def test_many_at_once_is_the_list_that_one_after_the_other_gives(
    ledger: Ledger, name: str, concurrency: int, one: datetime | None, other: datetime | None, reverse: bool
) -> None:
    after, before = (min(one, other), max(one, other)) if one and other else (one, other)
    more = {"reverse": reverse} if name == "runs" else {}
    in_turn = read(name, ledger, before, after, **more)
    at_once = read(name, ledger, before, after, concurrency=concurrency, interface=ROOMY, **more)
    assert (at_once.stopped_because, at_once.unreadable_count) == ("", 0)
    assert numbers(at_once) == numbers(in_turn)


ROOMY = {"limits": Limits(tenant=50), "max_pages": 400}


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("concurrency", [2, 16, 50])
def test_rows_of_one_moment_keep_their_order(name: str, concurrency: int) -> None:
    moments = [NOW] * 700 + [NOW - timedelta(days=3)] * 400 + [NOW - timedelta(days=number) for number in range(300)]
    ledger = Ledger(entries(*moments), 250)
    more: list[dict[str, Any]] = [{}, {"reverse": True}] if name == "runs" else [{}]
    for keywords in more:
        in_turn = read(name, ledger, **keywords)
        at_once = read(name, ledger, concurrency=concurrency, interface=ROOMY, **keywords)
        assert numbers(at_once) == numbers(in_turn)
        assert len(at_once) == 1400


# --- While rows are being modified --------------------------------------------------------------


@given(
    # Each at a moment of its own: a server counts through rows of one moment, and skips one where one before it moves.
    st.lists(st.integers(0, 400), min_size=10, max_size=60, unique=True),
    st.lists(st.tuples(st.integers(1, 12), st.integers(0, 59)), min_size=1, max_size=20),
    st.sampled_from(["runs", "flows"]),
    st.sampled_from([1, 2, 5, 16]),
    st.booleans(),
)
def test_nothing_is_lost_while_rows_are_modified(
    days: list[int], moves: list[tuple[int, int]], name: str, concurrency: int, reverse: bool
) -> None:
    ledger = Ledger(entries(*(NOW - timedelta(days=number) for number in days)), 3)

    def modify(number: int) -> None:
        for at, which in moves:
            if at == number and which < len(ledger.entries):
                touch(ledger.entries[which])

    ledger.before_answer = modify
    more = {"reverse": reverse} if name == "runs" else {}
    rows = read(name, ledger, concurrency=concurrency, interface=ROOMY, **more)
    assert sorted(numbers(rows)) == list(range(1, len(days) + 1))


def test_row_that_moves_from_an_old_window_into_a_read_one_is_found() -> None:
    ledger = Ledger(entries(*(NOW - timedelta(days=number) for number in range(100))), 10)
    oldest = ledger.entries[0]
    ledger.before_answer = lambda number: touch(oldest) if number == 2 else None
    for concurrency in (1, 4):
        ledger.requests.clear()
        oldest.modified_on = oldest.created_on
        assert oldest.number in numbers(read("runs", ledger, concurrency=concurrency))
        assert "before" not in ledger.requests[-1]
        assert datetime.fromisoformat(ledger.requests[-1]["after"]) > datetime.now(UTC) - timedelta(minutes=5)


@pytest.mark.parametrize("concurrency", [1, 2, 16])
def test_row_that_moves_again_at_the_second_look_is_found(concurrency: int) -> None:
    ledger = Ledger(entries(*(NOW - timedelta(days=number) for number in range(40))), 3)

    def modify(number: int) -> None:
        if number == 2:
            for one in ledger.entries[:8]:
                touch(one)
        elif number > 2:
            touch(ledger.entries[number % 8])

    ledger.before_answer = modify
    assert sorted(numbers(read("runs", ledger, concurrency=concurrency, interface=ROOMY))) == list(range(1, 41))


def test_list_of_one_page_is_one_request() -> None:
    ledger = Ledger(entries(NOW), 250)
    assert len(read("runs", ledger)) == 1
    assert len(ledger.requests) == 1


def test_list_in_the_order_of_creation_needs_no_second_look() -> None:
    ledger = Ledger(entries(*(NOW - timedelta(days=number) for number in range(20))), 5)
    assert len(read("flows", ledger)) == 20
    assert len(ledger.requests) == 4


@pytest.mark.parametrize("before", [datetime(1, 1, 1, tzinfo=UTC), datetime(2, 5, 1, tzinfo=UTC)])
@pytest.mark.parametrize("name", METHODS)
def test_moment_long_before_all_rows_is_an_empty_list(name: str, before: datetime) -> None:
    ledger = Ledger(entries(NOW))
    for concurrency in (1, 2, 50):
        rows = read(name, ledger, before, concurrency=concurrency, interface=ROOMY)
        assert (numbers(rows), rows.stopped_because) == ([], "")


# --- What it costs ------------------------------------------------------------------------------


def test_many_at_once_are_as_many_as_said_and_a_few_requests_more() -> None:
    ledger = Ledger(entries(*(NOW - timedelta(minutes=7 * number) for number in range(2600))), 250)
    under_way = most = 0
    plain = ledger.answer

    async def counted(request: httpx.Request) -> httpx.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await pools.asyncio.sleep(0.01)
        under_way -= 1
        return await plain(request)

    ledger.answer = counted  # type: ignore[method-assign]
    rows = read("flows", ledger, concurrency=8)
    assert len(rows) == 2600
    assert 4 <= most <= 8
    assert len(ledger.requests) < 45


@pytest.mark.parametrize("name", ["flows", "runs", "sent"])
def test_part_that_holds_no_more_than_a_page_is_not_split(name: str) -> None:
    """A fifth more requests than pages, and one for each first window and each part's end: no more, and not fewer."""
    ledger = Ledger(entries(*(NOW - timedelta(hours=6 * number) for number in range(5000))), 250)
    chance = random.Random(7)
    for one in ledger.entries:
        # Flows are modified some day after they were made, messages sent soon after.
        one.modified_on = (
            one.created_on + chance.random() * (NOW - one.created_on) if name == "flows" else one.created_on
        )
        one.sent_on = one.created_on + timedelta(seconds=chance.expovariate(1 / 60))
    rows = read(name, ledger, concurrency=8, interface=ROOMY)
    assert len(rows) == 5000
    assert 20 <= len(ledger.requests) <= 20 * 1.2 + 8 + 8


def test_place_that_is_free_takes_over_from_who_has_most_left() -> None:
    """All rows lie in an hour of one of the first windows, and are not read by one after the other all the same."""
    ledger = Ledger(entries(*(NOW - timedelta(days=3, seconds=number) for number in range(4000))), 250)
    under_way, seen = 0, list[int]()
    plain = ledger.answer

    async def counted(request: httpx.Request) -> httpx.Response:
        nonlocal under_way
        under_way += 1
        seen.append(under_way)
        await pools.asyncio.sleep(0.005)
        under_way -= 1
        return await plain(request)

    ledger.answer = counted  # type: ignore[method-assign]
    assert len(read("flows", ledger, concurrency=8)) == 4000
    assert max(seen) == max(seen[8:]) == 8
    assert sum(1 for number in seen[8:] if number > 4) > len(seen[8:]) / 3


def test_never_more_at_once_than_there_are_permits_for() -> None:
    ledger = Ledger(entries(*(NOW - timedelta(days=number) for number in range(200))), 3)
    limits = Limits(tenant=2, wait_s=0.001)
    rows = read("runs", ledger, concurrency=50, interface={"limits": limits, "max_pages": 400})
    assert len(rows) == 200


# --- Servers that mean no good ------------------------------------------------------------------


def hostile(following: Callable[[int], str | None], rows: Callable[[int], list[Any]]) -> Ledger:
    ledger = Ledger([])

    async def answer(request: httpx.Request) -> httpx.Response:
        ledger.requests.append(dict(request.url.params))
        number = len(ledger.requests)
        return httpx.Response(200, json={"next": following(number), "results": rows(number)})

    ledger.answer = answer  # type: ignore[method-assign]
    return ledger


def cursor(text: str) -> str:
    return f"?cursor={base64.b64encode(text.encode()).decode()}"


def fresh(number: int) -> list[Any]:
    return [Entry(number, NOW, NOW - timedelta(days=number), NOW).body()]


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("concurrency", [1, 2, 16])
@pytest.mark.parametrize(
    ("following", "rows", "reasons"),
    [
        (lambda number: cursor("p=2026-01-01 00:00:00+00:00"), fresh, {"repeated_cursor", "page_cap"}),
        (lambda number: cursor(f"o={number}"), fresh, {"page_cap"}),
        (lambda number: cursor(f"p=2026-01-01&o={number}"), lambda number: [], {"page_cap"}),
        (lambda number: f"?cursor={number}", fresh, {"page_cap"}),
        (lambda number: cursor(f"p=no time {number}"), lambda number: [None, 5, {}], {"page_cap"}),
    ],
    ids=["repeated", "offsets", "offsets of one moment", "garbage", "no rows"],
)
def test_endless_list_ends_and_says_so(
    name: str, concurrency: int, following: Any, rows: Any, reasons: set[str]
) -> None:
    ledger = hostile(following, rows)
    found = read(name, ledger, concurrency=concurrency, interface={"max_pages": 5})
    assert found.stopped_because in reasons
    assert len(ledger.requests) <= 4 * 5 + concurrency + 1
    assert len(set(numbers(found))) == len(found)


@pytest.mark.parametrize("name", METHODS)
def test_cursor_with_an_offset_is_gone_on_with_by_itself(name: str) -> None:
    """Rows of one moment over several pages: the parts of such a window would each skip as many."""
    ledger = Ledger(entries(*[NOW] * 40), 3)
    rows = read(name, ledger, concurrency=16, interface=ROOMY)
    assert len(rows) == 40


def test_server_that_ignores_windows_costs_requests_and_no_row() -> None:
    ledger = Ledger(entries(*(NOW - timedelta(days=number) for number in range(30))), 10)
    plain = ledger.answer

    async def careless(request: httpx.Request) -> httpx.Response:
        url = request.url.copy_remove_param("before").copy_remove_param("after")
        return await plain(httpx.Request("GET", url))

    ledger.answer = careless  # type: ignore[method-assign]
    rows = read("runs", ledger, concurrency=4)
    assert sorted(numbers(rows)) == list(range(1, 31))


def of_bytes(monkeypatch: pytest.MonkeyPatch, *, answer: int, operation: int) -> None:
    """Let an answer and an operation have so many bytes at most."""
    for module in (transport, windows):
        monkeypatch.setattr(module, "MAX_BODY_BYTES", answer)
    monkeypatch.setattr(base, "Budget", lambda seconds: Budget(seconds, operation))


def five(number: int) -> list[Any]:
    """Return rows that no other page has, in a little less than 1000 bytes."""
    return [row for place in range(5) for row in fresh(5 * number + place)]


def test_bytes_that_run_out_under_those_beside_keep_what_came(monkeypatch: pytest.MonkeyPatch) -> None:
    of_bytes(monkeypatch, answer=1000, operation=2500)
    ledger = hostile(lambda number: None, five)
    rows = read("flows", ledger, concurrency=4, interface=ROOMY)
    assert rows.stopped_because == "size_cap"
    assert len(ledger.requests) == 4
    assert len(rows) == 10


def test_answer_that_is_too_large_by_itself_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    of_bytes(monkeypatch, answer=500, operation=10_000)
    with pytest.raises(TooLargeException):
        read("flows", hostile(lambda number: None, five), concurrency=4, interface=ROOMY)


@pytest.mark.parametrize("status", [400, 403, 501])
def test_first_failure_ends_it_and_the_others_are_not_left_unheard(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def refuse(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, json={"detail": "No."})

    ledger = Ledger([])
    ledger.answer = refuse  # type: ignore[method-assign]
    with caplog.at_level(logging.ERROR, "asyncio"), pytest.raises(RapidProInterface.RequestFailureException) as caught:
        read("runs", ledger, concurrency=8)
    assert caught.value.status_code == status
    gc.collect()
    assert not caplog.records
