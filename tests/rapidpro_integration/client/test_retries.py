"""Which failures are tried again, when, how often, and how many of them a process affords."""

import asyncio
import datetime
import time
from collections.abc import Iterator
from email.utils import format_datetime

import httpx
import pytest
import respx
import stamina

from rapidpro_integration.client import RapidProAPI, retries, transport
from rapidpro_integration.client.budgets import Budget
from rapidpro_integration.client.errors import (
    AbstractRequestException,
    Kind,
    RateLimitedException,
    ServerErrorException,
    UnreachableException,
)
from rapidpro_integration.client.retries import MAX_NAP_S, RetryBudget, nap_s
from tests.conftest import SECRET, SERVER

WORKSPACE = f"{SERVER}/api/v2/workspace.json"


async def status_or_kind(budget: Budget | None = None) -> int | Kind:
    try:
        return (await RapidProAPI(SECRET, SERVER).connect(budget).workspace()).status_code
    except AbstractRequestException as error:
        return error.kind


@pytest.mark.parametrize(("status", "tries"), [(500, 3), (502, 3), (503, 3), (504, 3), (599, 3), (501, 1), (505, 1)])
async def test_server_errors_are_tried_three_times(respx_mock: respx.MockRouter, status: int, tries: int) -> None:
    route = respx_mock.get(WORKSPACE).respond(status)
    assert await status_or_kind() == status
    assert route.call_count == tries


@pytest.mark.parametrize("status", [200, 204, 301, 302, 304, 400, 401, 403, 405, 406, 408, 410, 418, 423, 425, 451])
async def test_other_answers_are_final(respx_mock: respx.MockRouter, status: int) -> None:
    route = respx_mock.get(WORKSPACE).respond(status, headers={"Retry-After": "0"})
    assert await status_or_kind() == status
    assert route.call_count == 1


@pytest.mark.parametrize(
    ("failure", "kind", "tries"),
    [
        (httpx.ConnectError("no"), Kind.UNREACHABLE, 3),
        (httpx.ReadTimeout("slow"), Kind.TIMED_OUT, 3),
        (OSError("no"), Kind.UNREACHABLE, 3),
    ],
)
async def test_failures_of_the_connection_are_tried_three_times(
    respx_mock: respx.MockRouter, failure: Exception, kind: Kind, tries: int
) -> None:
    route = respx_mock.get(WORKSPACE).mock(side_effect=failure)
    assert await status_or_kind() is kind
    assert route.call_count == tries


async def test_second_try_may_succeed(respx_mock: respx.MockRouter) -> None:
    respx_mock.get(WORKSPACE).mock(side_effect=[httpx.Response(503), httpx.Response(200, json={})])
    assert await status_or_kind() == 200


def date_in(seconds: int) -> str:
    return format_datetime(datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("retry_after", "tries"),
    [
        (None, 1),
        ("", 1),
        ("0", 3),
        ("-5", 1),
        ("NaN", 1),
        ("1e3", 1),
        ("Infinity", 1),
        ("60", 1),
        ("9" * 5000, 1),
        (date_in(-3600), 3),
        (date_in(3600), 1),
        ("Tue, 99 Nov 2026 00:00:00 GMT", 1),
    ],
)
async def test_limit_is_tried_again_only_where_the_server_says_at_once(
    respx_mock: respx.MockRouter, retry_after: str | None, tries: int
) -> None:
    route = respx_mock.get(WORKSPACE).respond(429, headers={} if retry_after is None else {"Retry-After": retry_after})
    assert await status_or_kind() == 429
    assert route.call_count == tries


@pytest.mark.parametrize(
    ("error", "seconds_left", "nap"),
    [
        (ServerErrorException(status_code=503, retry_after_s=3), 20, 3),
        (ServerErrorException(status_code=503, retry_after_s=5), 20, 5),
        (ServerErrorException(status_code=503, retry_after_s=6), 20, None),
        (ServerErrorException(status_code=503, retry_after_s=3), 3, None),
        (ServerErrorException(status_code=503), 20, 0),
        (ServerErrorException(status_code=501), 20, None),
        (UnreachableException(), 20, 0),
        (UnreachableException(), 0, None),
        (UnreachableException(), -1, None),
        (RateLimitedException(status_code=429), 20, None),
        (RateLimitedException(status_code=429, retry_after_s=2), 20, 2),
        (RateLimitedException(status_code=429, retry_after_s=86_400), 1e9, None),
    ],
)
def test_nap_is_the_server_s_or_none_at_all(
    error: AbstractRequestException, seconds_left: float, nap: float | None
) -> None:
    assert nap_s(error, seconds_left) == nap
    assert nap is None or nap <= MAX_NAP_S


# --- In real time -------------------------------------------------------------------------------


@pytest.fixture
def naps() -> Iterator[None]:
    """Let the waits between tries be real."""
    with stamina.set_testing(False):
        yield


@pytest.mark.usefixtures("naps")
async def test_retry_after_is_waited_for_to_the_second(respx_mock: respx.MockRouter) -> None:
    busy = httpx.Response(429, headers={"Retry-After": "1"})
    respx_mock.get(WORKSPACE).mock(side_effect=[busy, httpx.Response(200, json={})])
    started = time.monotonic()
    assert await status_or_kind() == 200
    assert 1 <= time.monotonic() - started < 3


@pytest.mark.usefixtures("naps")
@pytest.mark.parametrize("seconds", [0.3, 1.2, 1.7])
async def test_no_nap_outlasts_the_deadline(respx_mock: respx.MockRouter, seconds: float) -> None:
    respx_mock.get(WORKSPACE).respond(503)
    started = time.monotonic()
    assert await status_or_kind(Budget(seconds)) == 503
    assert time.monotonic() - started < seconds + 0.1


@pytest.mark.usefixtures("naps")
async def test_those_who_failed_together_do_not_come_back_together(respx_mock: respx.MockRouter) -> None:
    came = list[float]()

    def busy(request: httpx.Request) -> httpx.Response:
        came.append(time.monotonic())
        return httpx.Response(503)

    respx_mock.get(WORKSPACE).mock(side_effect=busy)
    started = time.monotonic()
    await asyncio.gather(*[status_or_kind(Budget(1.65)) for _ in range(4)])
    second = sorted(moment - started for moment in came)[4:8]
    assert len(second) == 4
    assert second[-1] - second[0] > 0.01


# --- The budget of the process ------------------------------------------------------------------


def test_a_tenth_of_the_requests_may_be_tries_again() -> None:
    budget = RetryBudget(ratio=0.1, reserve=10)
    taken = 0
    for _ in range(10_000):
        budget.add_request()
        taken += budget.take()
        taken += budget.take()
    assert 1000 <= taken <= 1000 + 10 + 1


def test_reserve_does_not_grow_while_all_is_well() -> None:
    budget = RetryBudget(ratio=0.1, reserve=10)
    for _ in range(10_000):
        budget.add_request()
    assert sum(budget.take() for _ in range(100)) == 10


async def test_server_in_trouble_gets_a_tenth_more_and_not_three_times_the_load(
    respx_mock: respx.MockRouter,
) -> None:
    route = respx_mock.get(WORKSPACE).respond(503)
    for _ in range(300):
        # Which else would let nothing through after a few.
        transport.breaker.reset()
        await status_or_kind()
    # All that may be spent is spent, and on requests: one that was not tried again costs nothing.
    assert 300 + 30 < route.call_count <= 300 + 30 + retries.RESERVE
