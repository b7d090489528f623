"""One pool a loop and origin, closed in order, and nothing of one tenant's in another's request."""

import asyncio
import contextlib
import gc
import os
import ssl
import subprocess
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import uvloop
from asgiref.sync import async_to_sync

from rapidpro_integration.client import RapidProAPI, pools, wire
from rapidpro_integration.interface import RapidProInterface
from tests.conftest import SECRET
from tests.faults import tls
from tests.rapidpro_integration.client.loopback import Server, always, answer, page, serve

ROOT = Path(__file__).parents[3]


@contextlib.contextmanager
def served(reply: bytes = answer(b"{}")) -> Iterator[Server]:
    """Serve in a thread with a loop of its own, so that the client may have loops of its own too."""
    ready, found, ends = threading.Event(), list[Server](), list[Callable[[], object]]()

    async def run() -> None:
        done, loop = asyncio.Event(), asyncio.get_running_loop()
        async with serve(always(reply)) as server:
            found.append(server)
            ends.append(lambda: loop.call_soon_threadsafe(done.set))
            ready.set()
            await done.wait()

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    ready.wait(10)
    try:
        yield found[0]
    finally:
        ends[0]()
        thread.join(10)


@contextlib.contextmanager
def no_resource_left_open() -> Iterator[None]:
    """Fail on a ResourceWarning from an object that is freed inside the block."""
    gc.collect()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
        gc.collect()
    assert [str(warning.message) for warning in caught if warning.category is ResourceWarning] == []


def ask(origin: str) -> int:
    async def go() -> int:
        api = RapidProAPI(SECRET, origin, private=True)
        return [(await api.get_connection_status()).status_code for _ in range(3)][-1]

    return asyncio.run(go())


async def test_one_pool_a_loop_and_origin() -> None:
    state = await pools.here()
    assert state is await pools.here()
    assert state.wire(pools.Server("https://one.example")) is state.wire(pools.Server("https://one.example"))
    assert state.wire(pools.Server("https://one.example")) is not state.wire(pools.Server("https://two.example"))


@pytest.mark.parametrize("runner", [asyncio.run, lambda coroutine: async_to_sync(lambda: coroutine)()])
def test_pools_are_closed_with_their_loop_and_the_loop_is_let_go(runner: Callable[..., object]) -> None:
    loops = list[weakref.ref[asyncio.AbstractEventLoop]]()

    async def go(origin: str) -> None:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        await RapidProAPI(SECRET, origin, private=True).get_connection_status()

    gc.collect()  # a loop of another test's may be waiting for it
    before = len(pools._states)
    with served() as server, no_resource_left_open():
        for _ in range(20):
            runner(go(server.origin))
        gc.collect()
    assert server.connections == 20
    assert len(pools._states) == before
    assert [loop for loop in loops if loop() is not None] == []


def test_each_thread_and_loop_has_connections_of_its_own() -> None:
    with served() as server, no_resource_left_open():
        threads = [threading.Thread(target=ask, args=(server.origin,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert (len(server.heads), server.connections) == (24, 8)


async def test_plain_calls_work_from_many_threads_of_a_running_site() -> None:
    body = page({"uuid": "8b2c1c30-45b7-4fe2-bff8-12c78de3807e", "name": "Registration"})
    async with serve(always(answer(body))) as server:
        interface = RapidProInterface(SECRET, server.origin, private=True)
        lists = await asyncio.gather(*[asyncio.to_thread(interface.get_flows) for _ in range(8)])
    assert [rows[0].name for rows in lists] == ["Registration"] * 8


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_forked_child_starts_anew_and_the_parent_s_connection_lives_on() -> None:
    # A process of its own, since forking this one would take pytest's threads and sockets along.
    script = """
import asyncio, gc, os, sys
from rapidpro_integration.client import RapidProAPI

async def ask():
    asyncio.get_running_loop().slow_callback_duration = 60  # a machine that does other things too is no fault
    return (await RapidProAPI("secret-token", sys.argv[1], private=True).get_connection_status()).status_code

loop = asyncio.new_event_loop()
assert loop.run_until_complete(ask()) == 200
child = os.fork()
if not child:
    gc.collect()
    status = 0 if asyncio.run(ask()) == 200 else 1
    gc.collect()
    os._exit(status)
_, status = os.waitpid(child, 0)
assert status == 0, status
assert loop.run_until_complete(ask()) == 200
loop.run_until_complete(loop.shutdown_asyncgens())
loop.close()
"""
    with served() as server:
        done = subprocess.run(
            [sys.executable, "-X", "dev", "-W", "error", "-c", script, server.origin],
            cwd=ROOT,
            capture_output=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stderr.decode()) == (0, "")
    # The parent's second request went out on its first connection; the child had one of its own.
    assert (len(server.heads), server.connections) == (3, 2)


async def test_pools_can_be_closed_early_and_are_made_anew() -> None:
    async with serve(always(answer(b"{}"))) as server:
        api = RapidProAPI(SECRET, server.origin, private=True)
        await api.get_connection_status()
        await pools.aclose()
        await pools.aclose()
        assert (await api.get_connection_status()).status_code == 200
    assert server.connections == 2


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_tls_connection_is_closed_with_a_goodbye(loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    ends = list[str]()

    async def behave(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await server.head(reader):
                writer.write(answer(b"{}"))
        except asyncio.IncompleteReadError as end:
            ends.append(f"goodbye after {len(end.partial)} bytes")
        except (ConnectionError, ssl.SSLError) as failure:
            ends.append(type(failure).__name__)

    async def go() -> None:
        async with serve(behave, tls=tls.context("good")) as server:
            await RapidProAPI(SECRET, server.origin, private=True).get_connection_status()
            started = time.monotonic()
            await pools.aclose()
            assert time.monotonic() - started < wire.GOODBYE_S
            await asyncio.sleep(0.05)

    with tls.trusting(), asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(go())
    assert ends == ["goodbye after 0 bytes"]


async def test_servers_that_answer_no_goodbye_are_cut_off_side_by_side() -> None:
    async with AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(serve(always(answer(b"{}")), tls=tls.context("good"))) for _ in range(4)
        ]
        state, transports = await pools.here(), list[Any]()
        for server in servers:
            with tls.trusting():
                await RapidProAPI(SECRET, server.origin, private=True).get_connection_status()
            [connections] = state.wire(pools.Server(server.origin, private=True))._connector._conns.values()  # type: ignore[attr-defined]
            transport = connections[0][0].transport
            # As from a server that hangs: what it sends is not read any more.
            transport._ssl_protocol._transport.pause_reading()
            transports.append(transport)
        started = time.monotonic()
        await pools.aclose()
        assert wire.GOODBYE_S <= time.monotonic() - started < 2 * wire.GOODBYE_S
        assert all(transport.is_closing() for transport in transports)


# --- Nothing of one tenant's reaches another's request ------------------------------------------


async def test_cookies_headers_and_tokens_of_one_tenant_are_in_no_other_s_request() -> None:
    async def behave(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await server.head(reader)
            token = head.partition("Authorization: Token ")[2].partition("\r\n")[0]
            headers = f'Set-Cookie: session={token}; Path=/\r\nX-Trace: {token}\r\nETag: "{token}"\r\n'
            headers += 'WWW-Authenticate: Basic\r\nStrict-Transport-Security: max-age=9\r\nAlt-Svc: h3=":1"\r\n'
            writer.write(answer(page({"uuid": "8b2c1c30-45b7-4fe2-bff8-12c78de3807e", "name": token}), headers=headers))
            await writer.drain()

    tokens = [f"token-of-tenant-{number:02}" for number in range(20)]
    async with serve(behave) as server:

        async def names(token: str) -> set[str]:
            interface = RapidProInterface(token, server.origin, tenant=token, private=True)
            return {flow.name for _ in range(5) for flow in await interface.aget_flows()}

        seen = await asyncio.gather(*map(names, tokens))
    assert seen == [{token} for token in tokens]
    assert len(server.heads) == 100
    assert server.connections < 100, "connections are shared, so this shows something"
    for head in server.heads:
        names_in_it = [token for token in tokens if token in head]
        assert len(names_in_it) == 1
        assert head.count(names_in_it[0]) == 1
        sent = {line.partition(":")[0].lower() for line in head.split("\r\n")[1:] if line}
        assert sent == {"host", "accept", "accept-encoding", "user-agent", "authorization"}
