"""Faults of rapidpro-python 2.22.2 (issue 3) that no other test shows the opposite of; docs/client.md lists all."""

import time
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import respx

from rapidpro_integration.client.errors import AbstractRequestException
from rapidpro_integration.interface import RapidProInterface
from tests.conftest import SECRET, SERVER
from tests.rapidpro_integration.client.loopback import always, serve
from tests.rapidpro_integration.client.loopback import answer as reply

type Answer = Callable[..., respx.Route]


@pytest.fixture(params=["America/New_York", "Asia/Kathmandu", "UTC"])
def zone_of_the_process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


async def test_naive_dates_are_never_in_the_zone_of_the_process(zone_of_the_process: str, rapidpro: Answer) -> None:
    route = rapidpro("runs.json", json={"results": []})
    naive = datetime(2026, 7, 1, 9, 30)  # noqa: DTZ001  # naive, as scripts write them
    for timezone, sent in (("UTC", "2026-07-01T09:30"), ("Africa/Nairobi", "2026-07-01T06:30")):
        for written in (naive, "2026-07-01T09:30", "2026-07-01 09:30:00"):
            await RapidProInterface(SECRET, SERVER, timezone=timezone).aget_runs(after_date=written)
            assert route.calls.last.request.url.params["after"] == f"{sent}:00.000000Z"


async def test_times_that_come_are_in_utc_whatever_the_zone(zone_of_the_process: str, rapidpro: Answer) -> None:
    row = {"key": "a", "modified_on": "2026-07-01T09:30:00"}
    rapidpro("globals.json", json={"results": [row]})
    (found,) = await RapidProInterface(SECRET, SERVER, timezone="Africa/Nairobi").aget_globals()
    assert found.modified_on == datetime(2026, 7, 1, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize("wait_s", [600, 3166])
async def test_wait_given_as_a_date_is_told_in_seconds(rapidpro: Answer, wait_s: int) -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=wait_s), usegmt=True)
    rapidpro("runs.json", status=429, json={"detail": "Request was throttled."}, headers={"Retry-After": until})
    with pytest.raises(RapidProInterface.RateLimitedException) as caught:
        await RapidProInterface(SECRET, SERVER).aget_runs()
    assert caught.value.retry_after_s is not None
    assert wait_s - 5 <= caught.value.retry_after_s <= wait_s + 1


async def test_senseless_wait_is_a_rate_limit_all_the_same(rapidpro: Answer) -> None:
    rapidpro("runs.json", status=429, json={"detail": "Request was throttled."}, headers={"Retry-After": "soon"})
    with pytest.raises(RapidProInterface.RateLimitedException) as caught:
        await RapidProInterface(SECRET, SERVER).aget_runs()
    assert caught.value.retry_after_s is None


def everything_of(error: AbstractRequestException) -> str:
    parts = [str(error), repr(error), repr(vars(error)), repr(error.args), *traceback.format_exception(error)]
    return "".join(parts) + repr(error.__context__) + repr(error.__cause__)


@pytest.mark.parametrize(
    "body",
    [b"<h1>Hello</h1>", b'{"detail": "Invalid token"}', f'{{"detail": "{SECRET}"}}'.encode(), SECRET.encode()],
)
@pytest.mark.parametrize("status", ["200 OK", "302 Found", "401 Unauthorized", "403 Forbidden", "500 Oops"])
async def test_no_exception_holds_the_token(body: bytes, status: str) -> None:
    headers = f"Location: http://127.0.0.1:9/?{SECRET}\r\nX-Echo: {SECRET}\r\n"
    async with serve(always(reply(body, status=status, headers=headers))) as server:
        with pytest.raises(AbstractRequestException) as caught:
            await RapidProInterface(SECRET, server.origin).aget_contacts()
    assert SECRET not in everything_of(caught.value)


async def test_no_exception_of_a_failed_connection_holds_the_token() -> None:
    with pytest.raises(RapidProInterface.UnreachableException) as caught:
        await RapidProInterface(SECRET, "http://127.0.0.1:9").aget_contacts()
    assert SECRET not in everything_of(caught.value)
