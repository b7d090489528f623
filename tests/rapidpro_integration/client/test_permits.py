"""Who may have how many requests under way, who waits for how long, and what stays behind: nothing."""

import asyncio
import time
from contextlib import AsyncExitStack

import pytest

from rapidpro_integration.client.errors import BusyException
from rapidpro_integration.client.permits import Limits, Permits

HERE, THERE = "https://here.example", "https://there.example"


async def hold(stack: AsyncExitStack, permits: Permits, tenant: str, origin: str, limits: Limits) -> None:
    await stack.enter_async_context(permits.take(tenant, origin, limits, 30))


@pytest.mark.parametrize(
    ("limits", "refused", "served"),
    [
        (Limits(tenant=2, wait_s=0.02), ("one", THERE), ("two", HERE)),
        (Limits(origin=2, wait_s=0.02), ("two", HERE), ("one", THERE)),
    ],
)
async def test_limit_is_the_tenant_s_or_the_origin_s_and_holds_nobody_else_back(
    limits: Limits, refused: tuple[str, str], served: tuple[str, str]
) -> None:
    permits = Permits()
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await hold(stack, permits, "one", HERE, limits)
        with pytest.raises(BusyException):
            await hold(stack, permits, *refused, limits)
        await hold(stack, permits, *served, limits)
    assert len(permits) == 0


async def test_limit_of_the_process_holds_everybody_back() -> None:
    permits, limits = Permits(), Limits(process=3, wait_s=0.02)
    async with AsyncExitStack() as stack:
        for number in range(3):
            await hold(stack, permits, f"tenant {number}", f"https://{number}.example", limits)
        with pytest.raises(BusyException):
            await hold(stack, permits, "another", "https://another.example", limits)
    async with permits.take("another", "https://another.example", limits, 30):
        assert len(permits) == 3


@pytest.mark.parametrize(("wait_s", "seconds_left", "retry_after_s"), [(0.1, 30, 1), (30, 0.1, 1)])
async def test_wait_is_bounded_by_the_limit_and_by_what_is_left(
    wait_s: float, seconds_left: float, retry_after_s: int
) -> None:
    permits, limits = Permits(), Limits(tenant=1, wait_s=wait_s)
    async with permits.take("one", HERE, limits, 30):
        started = time.monotonic()
        with pytest.raises(BusyException) as caught:
            async with permits.take("one", HERE, limits, seconds_left):
                pytest.fail("There was no permit.")
        assert 0.09 < time.monotonic() - started < 2
    assert caught.value.retry_after_s == retry_after_s
    assert len(permits) == 0


async def test_first_come_first_served_and_nobody_jumps_the_queue() -> None:
    permits, limits, order = Permits(), Limits(tenant=1, wait_s=5), list[int]()

    async def visit(number: int) -> None:
        async with permits.take("one", HERE, limits, 30):
            order.append(number)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        for number in range(50):
            group.create_task(visit(number))
            if number % 10 == 0:
                await asyncio.sleep(0)
    assert order == list(range(50))


async def test_waiters_that_are_cancelled_hold_nothing_and_pass_their_turn_on() -> None:
    permits, limits = Permits(), Limits(tenant=1, wait_s=5)
    served = list[str]()

    async def visit(name: str) -> None:
        async with permits.take("one", HERE, limits, 30):
            served.append(name)

    async with permits.take("one", HERE, limits, 30):
        leavers = [asyncio.create_task(visit("leaver")) for _ in range(20)]
        stayer = asyncio.create_task(visit("stayer"))
        await asyncio.sleep(0)
        for leaver in leavers[:-1]:
            leaver.cancel()
    # Just woken, and gone before it could run.
    leavers[-1].cancel()
    await stayer
    await asyncio.gather(*leavers, return_exceptions=True)
    assert served == ["stayer"]
    assert len(permits) == 0


async def test_waiter_for_the_origin_gives_the_tenant_s_permit_back() -> None:
    permits, limits = Permits(), Limits(tenant=1, origin=1, wait_s=0.02)
    async with permits.take("one", HERE, limits, 30):
        with pytest.raises(BusyException):
            async with permits.take("two", HERE, limits, 30):
                pytest.fail("There was no permit.")
        async with permits.take("two", THERE, limits, 30):
            pass
    assert len(permits) == 0


async def test_block_that_fails_gives_its_permits_back() -> None:
    permits = Permits()
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            async with permits.take("one", HERE, Limits(tenant=1, wait_s=0.02), 30):
                _ = 1 / 0
    assert len(permits) == 0


async def test_who_comes_while_others_give_up_is_not_forgotten_behind_them() -> None:
    permits, limits = Permits(), Limits(tenant=1, wait_s=5)

    async def visit() -> None:
        async with permits.take("one", HERE, limits, 30):
            pass

    async with permits.take("one", HERE, limits, 30):
        leaving = [asyncio.create_task(visit()) for _ in range(3)]
        await asyncio.sleep(0)
        for task in leaving:
            task.cancel()
    # The permit is free and those who wait for it are on their way out.
    async with asyncio.timeout(1):
        await visit()
    await asyncio.gather(*leaving, return_exceptions=True)
    assert len(permits) == 0


async def test_five_hundred_who_come_and_go_in_every_way_leave_no_gate_behind() -> None:
    permits, limits = Permits(), Limits(tenant=2, origin=5, process=9, wait_s=0.05)
    under_way = most = 0

    async def visit(number: int) -> None:
        nonlocal under_way, most
        async with permits.take(f"tenant {number % 7}", f"https://{number % 3}.example", limits, 30):
            under_way += 1
            most = max(most, under_way)
            try:
                await asyncio.sleep(0.001 * (number % 5))
            finally:
                under_way -= 1

    tasks = [asyncio.create_task(visit(number)) for number in range(500)]
    for turn in range(50):
        await asyncio.sleep(0.001)
        tasks[turn * 10].cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} <= {type(None), BusyException, asyncio.CancelledError}
    assert outcomes.count(None) > 9
    assert most <= 9
    assert (under_way, len(permits)) == (0, 0)
