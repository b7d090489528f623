"""Many deadlines and one timer: each block runs out when `asyncio.timeout` would have ended it."""

import asyncio
import time

import pytest

from rapidpro_integration.client.deadlines import Deadlines


async def sleep_within(deadlines: Deadlines, limit_s: float, sleep_s: float) -> float:
    """Return the seconds that the block took, and whether it ran out as a negative number of them."""
    started = time.monotonic()
    try:
        async with asyncio.timeout(None) as limit:
            deadlines.add(limit, limit_s)
            try:
                await asyncio.sleep(sleep_s)
            finally:
                deadlines.drop(limit)
    except TimeoutError:
        return started - time.monotonic()
    return time.monotonic() - started


async def test_block_runs_out_at_its_own_end_whatever_the_order_they_were_added_in() -> None:
    deadlines = Deadlines()
    limits_s = [5.0, 0.3, 0.1, 0.2, 4.0]
    slept = await asyncio.gather(*[sleep_within(deadlines, limit_s, 0.6) for limit_s in limits_s])
    for limit_s, took_s in zip(limits_s, slept, strict=True):
        if limit_s > 1:
            assert 0.59 < took_s < limit_s
        else:
            assert limit_s - 0.01 < -took_s < 0.6
    assert len(deadlines) == 0


async def test_block_that_ends_in_time_is_forgotten_and_its_task_is_never_cancelled_later() -> None:
    deadlines = Deadlines()
    assert await sleep_within(deadlines, 0.1, 0.01) > 0
    await asyncio.sleep(0.2)
    assert len(deadlines) == 0
    # The timer found nothing, and the next one is watched all the same.
    assert await sleep_within(deadlines, 0.05, 5.0) < 0


async def test_thousand_blocks_of_one_length_make_one_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    deadlines, loop, timers = Deadlines(), asyncio.get_running_loop(), list[float]()
    call_at = loop.call_at

    def counted(when: float, *arguments: object, **options: object) -> asyncio.TimerHandle:
        timers.append(when)
        return call_at(when, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "call_at", counted)
    for _ in range(1000):
        async with asyncio.timeout(None) as limit:
            deadlines.add(limit, 15.0)
            await asyncio.sleep(0)
            deadlines.drop(limit)
    assert len(timers) == 1


async def test_cancellation_from_outside_is_no_time_out() -> None:
    deadlines = Deadlines()
    task = asyncio.create_task(sleep_within(deadlines, 5.0, 5.0))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(deadlines) == 0
