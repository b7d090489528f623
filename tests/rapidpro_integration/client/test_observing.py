"""Whoever counts hears of each request that went out, once, and how it ended."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from rapidpro_integration.client import RapidProAPI, errors, observing, pools, transport
from rapidpro_integration.client.breaker import THRESHOLD, Verdict
from rapidpro_integration.client.budgets import Budget
from tests.conftest import SECRET, SERVER

type Heard = list[tuple[str, str, str, str, int | None]]
WORKSPACE = "882f1c30-45b7-4fe2-bff8-12c78de3807e"


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Heard:
    notes: Heard = []

    def note(server: str, workspace: str, caller: str, outcome: str, status: int | None, duration_ms: int, /) -> None:
        assert 0 <= duration_ms < 5_000
        notes.append((server, workspace, caller, outcome, status))

    monkeypatch.setattr(transport, "observer", note)
    return notes


@pytest.fixture
def hanging() -> Iterator[None]:
    async def hang(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError("never")

    pools.use_wire(lambda _: httpx.MockTransport(hang))
    yield
    pools.use_wire(None)


def answering(*statuses: int, **answer: object) -> None:
    left = list(statuses)

    async def answer_next(request: httpx.Request) -> httpx.Response:
        status = left.pop(0)
        text = "{}" if status == 200 else '{"detail": "Invalid token"}'
        return httpx.Response(status, text=str(answer.get("text", text)), headers={"X-Temba-Workspace": WORKSPACE})

    pools.use_wire(lambda _: httpx.MockTransport(answer_next))


async def test_each_try_is_told_with_the_workspace_that_it_taught(heard: Heard, hanging: None) -> None:
    answering(502, 200)
    await RapidProAPI(SECRET, SERVER, name="row 7").get_connection_status()
    assert heard == [
        (SERVER, WORKSPACE, "row 7", "server_error", 502),
        (SERVER, WORKSPACE, "row 7", "ok", 200),
    ]
    assert SECRET not in repr(heard)


@pytest.mark.parametrize(
    ("status", "text", "outcome"),
    [
        (200, '  [{"a": 1}]', "ok"),
        (200, "<!doctype html>", "not_rapidpro"),
        (200, "", "not_rapidpro"),
        (401, '{"detail": "Invalid token"}', "rejected"),
        (403, '{"detail": "You do not have permission"}', "not_allowed"),
        (404, '{"detail": "Not found."}', "not_found"),
        (404, "<h1>Not found</h1>", "not_rapidpro"),
        (302, "", "redirected"),
        (429, "", "rate_limited"),
        (400, "", "bad_request"),
    ],
)
def test_answer_is_an_outcome(status: int, text: str, outcome: str) -> None:
    assert observing.outcome_of(status, text.encode()) == outcome


async def test_caller_who_leaves_or_has_no_time_blames_nobody(heard: Heard, hanging: None) -> None:
    asking = asyncio.create_task(RapidProAPI(SECRET, SERVER).get_connection_status())
    while not pools.under_way()[0]:  # noqa: ASYNC110  # until it is on its way
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert pools.under_way() == (0, 0)
    with pytest.raises(errors.TimedOutException):
        await RapidProAPI(SECRET, SERVER).connect(Budget(0.05)).workspace()
    assert [(outcome, status) for *_, outcome, status in heard] == [("abandoned", None)] * 2


async def test_what_is_held_back_is_not_told(heard: Heard, hanging: None) -> None:
    for _ in range(THRESHOLD):
        transport.breaker.leave(transport.breaker.enter(SERVER, "tenant", "token"), Verdict.NO_CONNECTION)
    with pytest.raises(errors.PausedException):
        await RapidProAPI(SECRET, SERVER).get_connection_status()
    assert heard == []
    assert transport.breaker.paused() == {SERVER: 2}
