"""Threads that are lent to requests: one each, none shared, none left over."""

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

import pytest
from asgiref.sync import ThreadSensitiveContext, async_to_sync, sync_to_async

from config import threads


def on_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run it as a server does: under `async_to_sync`, as other tests run, all work goes to the test's own thread."""

    @wraps(test)
    def plain(**wanted: Any) -> None:
        asyncio.run(test(**wanted))

    return plain


async def in_a_request(work: list[str], *, seconds: float = 0.0) -> int:
    """Return the thread in which a request's work was done, twice; `work` is told of its end."""
    async with ThreadSensitiveContext():
        with threads.lent(lambda: lambda: work.append(threading.current_thread().name)):
            first = await sync_to_async(threading.get_ident)()
            await asyncio.sleep(seconds)
            assert await sync_to_async(threading.get_ident)() == first
    return first


async def until(length: int, work: list[str]) -> None:
    """Wait until so many requests have ended, for five seconds at most."""
    for _ in range(500):
        if len(work) >= length:
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"{len(work)} of {length} requests have ended.")


@on_a_loop
async def test_requests_one_after_the_other_share_a_thread_and_start_no_other() -> None:
    ended = list[str]()
    await in_a_request(ended)
    await until(1, ended)
    before, used = threading.active_count(), set[int]()
    for number in range(200):
        used.add(await in_a_request(ended))
        await until(number + 2, ended)
    assert threading.active_count() == before
    assert len(used) == 1
    # What is last is done in the thread of the request: connections are closed where they were opened.
    assert len(set(ended)) == 1


@on_a_loop
async def test_no_two_requests_at_once_have_the_same_thread_and_few_are_kept() -> None:
    ended = list[str]()
    used = await asyncio.gather(*[in_a_request(ended, seconds=0.2) for _ in range(50)])
    assert len(set(used)) == 50
    await until(50, ended)
    assert len(threads._idle) <= threads.MAX_IDLE


@on_a_loop
async def test_request_without_work_for_a_thread_takes_none() -> None:
    ended, idle = list[str](), len(threads._idle)
    async with ThreadSensitiveContext():
        with threads.lent(lambda: lambda: ended.append(threading.current_thread().name)):
            await asyncio.sleep(0)
    assert ended == [threading.current_thread().name]
    assert len(threads._idle) == idle


@on_a_loop
async def test_request_that_is_cancelled_gives_its_thread_back_when_what_runs_in_it_has_ended() -> None:
    ended, may_end = list[str](), threading.Event()

    async def hang() -> None:
        async with ThreadSensitiveContext():
            with threads.lent(lambda: lambda: ended.append("ended")):
                await sync_to_async(may_end.wait)(5)

    task = asyncio.create_task(hang())
    await asyncio.sleep(0.05)
    task.cancel()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(1, ended)


@on_a_loop
async def test_fault_in_a_request_and_at_its_end_costs_nobody_else_the_thread(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> None:
        raise RuntimeError("at the end")

    async def fail() -> None:
        async with ThreadSensitiveContext():
            with threads.lent(lambda: broken):
                await sync_to_async(threading.get_ident)()
                raise ZeroDivisionError

    with caplog.at_level(logging.ERROR, "config.threads"), pytest.raises(ZeroDivisionError):
        await fail()
    ended = list[str]()
    await in_a_request(ended)
    await until(1, ended)
    assert "A request could not be ended in order." in caplog.text


@on_a_loop
async def test_sync_code_may_call_async_code_and_back() -> None:
    ended = list[str]()

    async def deepest() -> int:
        return await sync_to_async(threading.get_ident)()

    async with ThreadSensitiveContext():
        with threads.lent(lambda: lambda: ended.append("ended")):
            outer = await sync_to_async(threading.get_ident)()
            # What is asked for from within the thread is done in it, and does not wait for it for ever.
            async with asyncio.timeout(5):
                assert await sync_to_async(async_to_sync(deepest))() == outer
    await until(1, ended)
