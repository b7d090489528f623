"""When a server is left alone, for whom, for how long, and who asks first again."""

import asyncio
import threading

import pytest

from rapidpro_integration.client import RapidProAPI, pools, transport
from rapidpro_integration.client import breaker as breakers
from rapidpro_integration.client.breaker import (
    FIRST_PAUSE_S,
    FORGET_S,
    MAX_PAUSE_S,
    THRESHOLD,
    Breaker,
    Ticket,
    Verdict,
)
from rapidpro_integration.client.errors import AbstractRequestException, Kind, PausedException
from tests.clock import Clock
from tests.conftest import SECRET
from tests.rapidpro_integration.client.loopback import Hanging, Server, always, answer, serve

ORIGIN = "https://rapidpro.example"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(clock)


def show(breaker: Breaker, *verdicts: Verdict, tenant: str = "one", token: str = "a", origin: str = ORIGIN) -> None:
    for verdict in verdicts:
        breaker.leave(breaker.enter(origin, tenant, token), verdict)


def is_let_through(breaker: Breaker, tenant: str = "one", token: str = "a", origin: str = ORIGIN) -> Ticket | None:
    try:
        return breaker.enter(origin, tenant, token)
    except PausedException:
        return None


def open_it(breaker: Breaker) -> None:
    show(breaker, *[Verdict.NO_CONNECTION] * THRESHOLD)


@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.NO_CONNECTION])
def test_failures_in_a_row_open_it_and_one_fewer_does_not(breaker: Breaker, verdict: Verdict) -> None:
    show(breaker, *[verdict] * (THRESHOLD - 1))
    assert not breaker.is_paused(ORIGIN, "a")
    show(breaker, verdict)
    assert breaker.is_paused(ORIGIN, "a")
    with pytest.raises(PausedException) as caught:
        breaker.enter(ORIGIN, "one", "a")
    assert caught.value.retry_after_s == FIRST_PAUSE_S


def test_success_between_failures_begins_the_row_anew(breaker: Breaker) -> None:
    row = [Verdict.FAILED] * (THRESHOLD - 1)
    show(breaker, *row, Verdict.ALIVE, *row)
    assert is_let_through(breaker)


def test_failures_far_apart_are_no_row(breaker: Breaker, clock: Clock) -> None:
    show(breaker, *[Verdict.NO_CONNECTION] * (THRESHOLD - 1))
    clock.now += FORGET_S + 1
    show(breaker, Verdict.NO_CONNECTION)
    assert is_let_through(breaker)


def test_callers_who_leave_show_nothing(breaker: Breaker) -> None:
    show(breaker, *[Verdict.NOTHING] * 100)
    assert is_let_through(breaker)
    show(breaker, *[Verdict.NO_CONNECTION] * (THRESHOLD - 1), *[Verdict.NOTHING] * 100)
    assert is_let_through(breaker)


def test_what_one_tenant_meets_closes_the_way_for_that_token_alone(breaker: Breaker) -> None:
    show(breaker, *[Verdict.FAILED] * THRESHOLD)
    assert not is_let_through(breaker)
    assert is_let_through(breaker, tenant="one", token="b")
    assert is_let_through(breaker, tenant="two", token="c")


def test_what_many_tokens_of_one_tenant_meet_does_not_close_it_for_others(breaker: Breaker) -> None:
    for number in range(THRESHOLD * 3):
        show(breaker, Verdict.FAILED, token=f"token {number}")
    assert is_let_through(breaker, tenant="two", token="other")


def test_what_two_tenants_meet_closes_it_for_everybody(breaker: Breaker) -> None:
    show(breaker, *[Verdict.FAILED] * (THRESHOLD - 1))
    show(breaker, Verdict.FAILED, tenant="two", token="b")
    assert not is_let_through(breaker, tenant="three", token="c")
    assert is_let_through(breaker, tenant="three", token="c", origin="https://other.example")


def test_no_connection_closes_it_for_everybody(breaker: Breaker) -> None:
    open_it(breaker)
    assert not is_let_through(breaker, tenant="two", token="b")


def test_after_the_pause_one_request_of_a_hundred_goes_out(breaker: Breaker, clock: Clock) -> None:
    open_it(breaker)
    clock.now += FIRST_PAUSE_S
    tickets = [is_let_through(breaker, tenant=f"tenant {number}", token=f"token {number}") for number in range(100)]
    assert [ticket is not None for ticket in tickets] == [True] + [False] * 99
    assert tickets[0]
    breaker.leave(tickets[0], Verdict.ALIVE)
    assert all(is_let_through(breaker, token=f"token {number}") for number in range(100))


def test_one_probe_goes_out_of_many_threads(breaker: Breaker, clock: Clock) -> None:
    open_it(breaker)
    clock.now += FIRST_PAUSE_S
    together, through = threading.Barrier(32), list[Ticket]()

    def ask() -> None:
        together.wait()
        if ticket := is_let_through(breaker):
            through.append(ticket)

    threads = [threading.Thread(target=ask) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(through) == 1


def test_pause_doubles_up_to_its_cap_and_begins_small_again(breaker: Breaker, clock: Clock) -> None:
    open_it(breaker)
    pauses = []
    for _ in range(7):
        with pytest.raises(PausedException) as caught:
            breaker.enter(ORIGIN, "two", "b")
        pauses.append(caught.value.retry_after_s)
        clock.now += pauses[-1] or 0
        show(breaker, Verdict.FAILED)
    assert pauses == [5, 10, 20, 40, 60, 60, 60]
    clock.now += MAX_PAUSE_S
    show(breaker, Verdict.ALIVE)
    open_it(breaker)
    with pytest.raises(PausedException) as caught:
        breaker.enter(ORIGIN, "two", "b")
    assert caught.value.retry_after_s == FIRST_PAUSE_S


def test_probe_that_is_cancelled_frees_the_way_for_another(breaker: Breaker, clock: Clock) -> None:
    open_it(breaker)
    clock.now += FIRST_PAUSE_S
    show(breaker, Verdict.NOTHING)
    assert is_let_through(breaker)
    assert not is_let_through(breaker)


def test_failures_of_requests_from_before_the_pause_do_not_lengthen_it(breaker: Breaker, clock: Clock) -> None:
    early = [breaker.enter(ORIGIN, "one", "a") for _ in range(20)]
    for ticket in early:
        breaker.leave(ticket, Verdict.NO_CONNECTION)
    clock.now += FIRST_PAUSE_S
    assert is_let_through(breaker)


def test_memory_of_many_failing_tokens_is_bounded(breaker: Breaker, clock: Clock) -> None:
    for number in range(breakers.KEPT_AT_MOST + 500):
        show(breaker, Verdict.FAILED, token=f"token {number}")
        clock.now += FORGET_S / 100
    assert len(breaker) <= breakers.KEPT_AT_MOST


# --- With requests ------------------------------------------------------------------------------


async def ask(api: RapidProAPI) -> Kind | None:
    try:
        await api.get_connection_status()
    except AbstractRequestException as error:
        return error.kind
    return None


@pytest.mark.parametrize("status", ["400 Bad", "403 No", "404 Gone", "429 Slow"])
async def test_answers_of_the_client_s_own_making_open_nothing(status: str) -> None:
    async with serve(always(answer(b"{}", status=status))) as server:
        for _ in range(THRESHOLD * 2):
            await ask(RapidProAPI(SECRET, server.origin, private=True, tenant="one"))
        transport.quota.reset()
        assert not transport.breaker.is_paused(server.origin)
        assert not transport.breaker.is_paused(server.origin, RapidProAPI(SECRET).credential.mark())


async def test_clients_that_leave_open_nothing_and_free_the_probe() -> None:
    hanging = Hanging()
    async with serve(hanging) as server:
        for _ in range(THRESHOLD + 1):
            task = asyncio.create_task(ask(RapidProAPI(SECRET, server.origin, private=True, tenant="one")))
            await hanging.until(connected=1, seconds=5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await hanging.until(connected=0, seconds=5) < 1
        assert not transport.breaker.is_paused(server.origin)
        assert len(transport.breaker) == 0
        assert len((await pools.here()).permits) == 0


async def test_caller_in_a_hurry_says_nothing_of_the_server() -> None:
    from rapidpro_integration.interface import RapidProInterface

    async def hurry(server: Server) -> Kind | None:
        try:
            await RapidProInterface(SECRET, server.origin, private=True, deadline_s=0.1).aget_flows()
        except AbstractRequestException as error:
            return error.kind
        return None

    async with serve(Hanging()) as server:
        kinds = [await hurry(server) for _ in range(THRESHOLD + 1)]
        assert kinds == [Kind.TIMED_OUT] * (THRESHOLD + 1)


async def test_of_a_hundred_requests_after_the_pause_the_server_sees_one_until_it_has_answered(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def slow(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await server.head(reader):
            asked.set()
            await go_on.wait()
            writer.write(answer(b"{}"))
            await writer.drain()

    monkeypatch.setattr(transport, "breaker", breaker := Breaker(clock))
    async with serve(slow) as server:
        apis = [
            RapidProAPI(f"token-{number}", server.origin, private=True, tenant=f"user {number}")
            for number in range(100)
        ]
        show(breaker, *[Verdict.NO_CONNECTION] * THRESHOLD, origin=server.origin)
        assert [await ask(api) for api in apis] == [Kind.PAUSED] * 100
        assert server.connections == 0
        clock.now += FIRST_PAUSE_S
        tasks = [asyncio.create_task(ask(api)) for api in apis]
        await asked.wait()
        done, [probe] = await asyncio.wait(tasks, timeout=1)
        assert [task.result() for task in done] == [Kind.PAUSED] * 99
        assert len(server.heads) == 1
        go_on.set()
        assert await probe is None
        assert [await ask(api) for api in apis] == [None] * 100


async def test_server_that_breaks_for_one_workspace_serves_the_others_and_sees_no_more_of_that_one() -> None:
    broken = "broken-token"

    async def behave(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await server.head(reader)
            writer.write(answer(b"{}", status="500 Broken" if broken in head else "200 OK"))
            await writer.drain()

    async with serve(behave) as server:
        kinds = [await ask(RapidProAPI(broken, server.origin, private=True, tenant="one")) for _ in range(THRESHOLD)]
        assert await ask(RapidProAPI(SECRET, server.origin, private=True, tenant="two")) is None
        assert kinds[0] is None, "a 500 is an answer to the raw client"
        assert kinds[-1] is Kind.PAUSED
        assert sum(broken in head for head in server.heads) == THRESHOLD
