"""After five hundred faults of every kind nothing is left: no task, no open file, no permit, no flight, no memory."""

import asyncio
import gc
import logging
import random
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest

from rapidpro_integration.client import pools
from rapidpro_integration.client.errors import AbstractRequestException
from rapidpro_integration.interface import RapidProInterface
from tests.conftest import SECRET
from tests.faults import server as faulty
from tests.faults.server import Behaviour, drip, flow, greet, once, pour, redirect, reset_after, serve, stall_after
from tests.rapidpro_integration.client.loopback import always, answer, page

OPEN_FILES = Path("/proc/self/fd")
# Mostly of the connectors of five hundred servers, which a site has not.
STILL_USED_BYTES = 10 * 1024 * 1024
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
_FAULTS: list[Behaviour | None] = [
    None,
    faulty.mute,
    reset_after(b""),
    reset_after(_HEAD),
    reset_after(_HEAD + b"Content-Length: 100\r\n\r\n{"),
    stall_after(_HEAD + b"Content-Length: 100\r\n\r\n{"),
    drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    drip(_HEAD + b"Content-Length: 100000\r\n\r\n", b" "),
    pour(_HEAD + b"\r\n", b" " * 65_536),
    greet(b"SSH-2.0-OpenSSH_9.9\r\n"),
    once(b"garbage\r\n\r\n"),
    redirect("302 Found", "{elsewhere}/"),
    always(answer(b"{", status="200 OK")),
    always(answer(b"{}", status="503 Busy")),
    always(answer(b"{}", status="429 Slow", headers="Retry-After: 60\r\n")),
    always(answer(b"not gzip", headers="Content-Encoding: gzip\r\n")),
    faulty.answer_twice,
    faulty.reset_on_second,
    always(answer(page(flow("Good")))),
]
_COUNT, _AT_ONCE = 500, 10


def open_files() -> int:
    """Return how many files and sockets this process has open."""
    return len(list(OPEN_FILES.iterdir()))


async def _suffer(number: int, behave: Behaviour | None, chance: random.Random) -> str:
    """Ask a server with this fault, and leave early now and then. Return what came of it."""
    async with serve(behave) as server:
        server.elsewhere = server.origin
        interface = RapidProInterface(
            SECRET, server.origin, private=True, deadline_s=0.2, tenant=f"tenant {number % 7}"
        )
        task = asyncio.create_task(interface.aget_flows(concurrency=chance.choice([1, 1, 3])))
        if chance.random() < 0.3:
            await asyncio.sleep(chance.random() * 0.1)
            task.cancel()
        try:
            await task
            outcome = "fine"
        except AbstractRequestException as error:
            outcome = error.kind
        except asyncio.CancelledError:
            outcome = "left"
        # A server that is closed in the moment in which it accepts a connection would lose that.
        await asyncio.sleep(0.02)
    return outcome


@pytest.mark.skipif(not OPEN_FILES.exists(), reason="the system does not tell which files are open")
async def test_five_hundred_mixed_faults_leave_nothing_behind(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    chance, outcomes = random.Random(20_261_124), Counter[str]()

    async def suffer(count: int) -> None:
        numbers = iter(range(count))

        async def work() -> None:
            for number in numbers:
                outcomes[await _suffer(number, _FAULTS[number % len(_FAULTS)], chance)] += 1

        await asyncio.gather(*[work() for _ in range(_AT_ONCE)])

    # What is loaded once is no leak.
    await suffer(2 * len(_FAULTS))
    await pools.aclose()
    outcomes.clear()
    gc.collect()
    tasks, files = asyncio.all_tasks(), open_files()
    # Not what the process holds: its allocator keeps the largest buffers for the next time.
    tracemalloc.start()
    await suffer(_COUNT)
    state = await pools.here()
    await asyncio.sleep(0.1)
    assert (len(state.permits), len(state.flights)) == (0, 0)
    assert asyncio.all_tasks() == tasks
    # Nothing is closed by us: the servers are gone, and no connection to any of them is left.
    gc.collect()
    assert open_files() == files
    still_used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert still_used < STILL_USED_BYTES
    assert sum(outcomes.values()) == _COUNT
    assert {"left", "fine", "timed_out", "unreachable", "malformed", "too_large", "server_error"} <= set(outcomes)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
