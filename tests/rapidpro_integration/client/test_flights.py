"""Asked once for all who ask the same; everybody may leave, and nobody takes the answer along."""

import asyncio
import gc
import logging

import pytest
import respx

from rapidpro_integration.client.errors import TimedOutException
from rapidpro_integration.client.flights import Flights
from rapidpro_integration.interface import RapidProInterface
from tests.conftest import SECRET, SERVER
from tests.rapidpro_integration.client.loopback import Server, answer, page, serve

FLOW = {"uuid": "8b2c1c30-45b7-4fe2-bff8-12c78de3807e", "name": "Registration"}


class Work:
    """Something to wait for, which counts its beginnings and its ends."""

    def __init__(self) -> None:
        self.begun = self.cancelled = 0
        self.go = asyncio.Event()
        self.failure: Exception | None = None

    async def __call__(self) -> int:
        self.begun += 1
        number = self.begun
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.failure is not None:
            raise self.failure
        return number


def board(flights: Flights, work: Work, count: int) -> list[asyncio.Task[int]]:
    return [asyncio.create_task(flights.join("key", work)) for _ in range(count)]


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_many_who_ask_the_same_share_one_flight() -> None:
    flights, work = Flights(), Work()
    tasks = board(flights, work, 100)
    await turn()
    work.go.set()
    assert await asyncio.gather(*tasks) == [1] * 100
    assert (work.begun, len(flights)) == (1, 0)


async def test_other_key_is_another_flight() -> None:
    flights, work = Flights(), Work()
    work.go.set()
    assert sorted(await asyncio.gather(flights.join("one", work), flights.join("two", work))) == [1, 2]


async def test_landed_flight_is_not_boarded_again() -> None:
    flights, work = Flights(), Work()
    work.go.set()
    assert [await flights.join("key", work) for _ in range(3)] == [1, 2, 3]


async def test_one_who_leaves_takes_nobody_s_answer_along() -> None:
    flights, work = Flights(), Work()
    first, second = board(flights, work, 2)
    await turn()
    first.cancel()
    await turn()
    work.go.set()
    assert await second == 1
    assert first.cancelled()
    assert work.cancelled == 0


async def test_last_who_leaves_ends_the_work_and_who_comes_then_begins_anew() -> None:
    flights, work = Flights(), Work()
    tasks = board(flights, work, 3)
    await turn()
    for task in tasks:
        task.cancel()
    newcomer = board(flights, work, 1)[0]
    await turn()
    assert (work.cancelled, work.begun, len(flights)) == (1, 2, 1)
    work.go.set()
    assert await newcomer == 2
    assert len(flights) == 0


async def test_each_gets_an_exception_of_their_own() -> None:
    flights, work = Flights(), Work()
    work.failure = TimedOutException("slow", status_code=504, retry_after_s=3)
    tasks = board(flights, work, 3)
    await turn()
    work.go.set()
    errors = await asyncio.gather(*tasks, return_exceptions=True)
    assert len({id(error) for error in errors} | {id(work.failure)}) == 4
    for error in errors:
        assert isinstance(error, TimedOutException)
        assert (error.message, error.status_code, error.retry_after_s) == ("slow", 504, 3)
        assert (error.__context__, error.__cause__) == (None, None)


async def test_failure_that_nobody_waits_for_any_more_makes_no_noise(caplog: pytest.LogCaptureFixture) -> None:
    flights = Flights()

    async def fail_while_cleaning_up() -> int:
        try:
            await asyncio.sleep(30)
        finally:
            raise TimedOutException

    task = asyncio.create_task(flights.join("key", fail_while_cleaning_up))
    await turn()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await turn()
    del task
    gc.collect()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert len(flights) == 0


async def test_same_list_asked_at_once_goes_out_once_and_other_tenants_ask_for_themselves() -> None:
    async def slow(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await server.head(reader)
            await asyncio.sleep(0.1)
            writer.write(answer(page(FLOW)))
            await writer.drain()

    async with serve(slow) as server:
        mine = [RapidProInterface(SECRET, server.origin, private=True, tenant="user 1").aget_flows() for _ in range(20)]
        theirs = RapidProInterface(SECRET, server.origin, private=True, tenant="user 2").aget_flows()
        lists = await asyncio.gather(*mine, theirs)
    assert len(server.heads) == 2
    assert {flow.name for rows in lists for flow in rows} == {"Registration"}
    assert len({id(rows) for rows in lists}) == 21


async def test_caller_may_change_the_list_that_he_got(respx_mock: respx.MockRouter) -> None:
    respx_mock.get(f"{SERVER}/api/v2/flows.json").respond(content=page(FLOW))
    one, two = await asyncio.gather(*[RapidProInterface(SECRET, SERVER).aget_flows() for _ in range(2)])
    one.clear()
    assert len(two) == 1
