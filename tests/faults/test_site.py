"""The whole site against servers that hang: who leaves, who must wait meanwhile, and how it stops."""

import asyncio
import re
import signal
import time
from uuid import UUID

import pytest

from rapidpro_integration.client.permits import Limits
from tests.faults.server import FaultyServer, flow
from tests.faults.site import Site, running, upstream
from tests.rapidpro_integration.client.loopback import Hanging, answer, page

PERMITS = Limits().tenant


def one(number: int) -> str:
    """Return the rest of the address of a flow: each is asked for on its own, where a list is fetched once for all."""
    return f"{UUID(int=number + 1)}/"


def registration(head: str) -> bytes:
    """Return the answer that holds the flow asked for."""
    asked = re.search("uuid=([0-9a-f-]{36})", head)
    assert asked is not None
    return answer(page(flow("Registration", uuid=asked[1])))


async def willing(server: FaultyServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer every request of a connection."""
    while head := await server.head(reader):
        writer.write(registration(head))
        await writer.drain()


async def hang_all_permits(site: Site, name: str, hanging: Hanging) -> list[asyncio.StreamWriter]:
    browsers = [await site.open(name, one(number)) for number in range(PERMITS)]
    await hanging.until(connected=PERMITS, seconds=20)
    return browsers


async def test_browser_that_leaves_ends_the_request_within_a_second_and_frees_its_permit() -> None:
    hanging = Hanging()
    async with upstream(hanging) as server, running({"amina": server.origin}) as site:
        browser = await site.open("amina", one(0))
        await hanging.until(connected=1, seconds=20)
        browser.close()
        assert await hanging.until(connected=0, seconds=5) < 1
        # Twice as many as there are permits, all at once: none is lost, or the second half would be told to wait.
        for _ in range(2):
            for browser in await hang_all_permits(site, "amina", hanging):
                browser.close()
            assert await hanging.until(connected=0, seconds=5) < 1
        assert hanging.taken == 1 + 2 * PERMITS


async def test_one_of_two_who_ask_the_same_leaves_and_the_other_gets_the_page() -> None:
    release = asyncio.Event()

    async def patient(server: FaultyServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await server.head(reader)
        await release.wait()
        writer.write(registration(head))
        await writer.drain()

    async with upstream(patient) as server, running({"amina": server.origin}) as site:
        leaver = await site.open("amina", one(0))
        while not server.heads:  # noqa: ASYNC110  # only the server in this loop knows
            await asyncio.sleep(0.01)
        stayer = asyncio.create_task(site.get("amina", one(0)))
        await asyncio.sleep(0.5)
        leaver.close()
        await asyncio.sleep(0.5)
        release.set()
        status, text = await stayer
        assert (status, len(server.heads)) == (200, 1)
        assert "Registration" in text


async def test_one_tenant_s_hanging_server_holds_nobody_else_up() -> None:
    hanging = Hanging()
    async with (
        upstream(hanging) as bad,
        upstream(willing) as good,
        running({"amina": bad.origin, "omar": good.origin}) as site,
    ):
        browsers = await hang_all_permits(site, "amina", hanging)
        for number in range(10):
            status, text = await site.get("omar", one(number))
            assert (status, "Registration" in text) == (200, True)
        assert hanging.connected == PERMITS, "all of the first tenant's still hang"
        status, text = await site.get("amina", one(28))
        assert status == 503
        assert "\r\nretry-after: 2\r\n" in text.lower()
        assert 'class="countdown" data-seconds="2"' in text
        assert "Too many requests are under way" in text
        for browser in browsers:
            browser.close()
        await hanging.until(connected=0, seconds=5)


async def test_server_that_refuses_everybody_is_paused_with_a_countdown() -> None:
    async with upstream(None) as server, running({"amina": server.origin}) as site:
        statuses = [(await site.get("amina", one(number)))[0] for number in range(3)]
        status, text = await site.get("amina", one(5))
    assert statuses[0] == 502
    assert status == 503
    assert "The server is left alone for a moment" in text
    assert "\r\nretry-after: " in text.lower()
    assert 'class="countdown" data-seconds="' in text


# uvicorn ends in order, and then by the signal that it was sent, so that its parent can tell; only Ctrl-C it forgives.
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 0)])
async def test_stopped_site_closes_its_connections_in_order(number: signal.Signals, code: int) -> None:
    ends = list[str]()

    async def behave(server: FaultyServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await server.head(reader):
                writer.write(registration(head))
        except asyncio.IncompleteReadError as end:
            ends.append(f"closed after {len(end.partial)} bytes")
        except ConnectionError as failure:
            ends.append(type(failure).__name__)

    async with upstream(behave) as server, running({"amina": server.origin}) as site:
        assert (await site.get("amina", one(0)))[0] == 200
        assert ends == []
        started = time.monotonic()
        assert await asyncio.to_thread(site.stop, number) == code
        assert time.monotonic() - started < 5
        await asyncio.sleep(0.05)
    assert ends == ["closed after 0 bytes"]


async def test_stopped_site_does_not_wait_for_a_server_that_hangs() -> None:
    hanging = Hanging()
    complaint = "Cancel 1 running task(s), timeout graceful shutdown exceeded"
    async with upstream(hanging) as server, running({"amina": server.origin}, expected=complaint) as site:
        browser = asyncio.create_task(site.get("amina", one(0)))
        await hanging.until(connected=1, seconds=20)
        started = time.monotonic()
        await asyncio.to_thread(site.stop, signal.SIGTERM)
        # One second of grace, which tests/faults/site.py gives.
        assert time.monotonic() - started < 4
        assert await hanging.until(connected=0, seconds=1) < 1
        status, text = await browser
    assert (status, "\r\nretry-after: 5\r\n" in text.lower()) == (503, True)
    assert text.endswith("The site is being restarted. Try again in a moment.\n")


async def test_stopped_site_ends_a_list_that_is_on_its_way() -> None:
    hung_up = asyncio.Event()

    async def behave(server: FaultyServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.head(reader)
        writer.write(answer(page(flow("Registration"), following=f"{server.origin}/api/v2/flows.json?cursor=1")))
        await server.head(reader)
        await reader.read()
        hung_up.set()

    async with upstream(behave) as server, running({"amina": server.origin}) as site:
        status, text = await site.get("amina")
        assert (status, "1 flow so far" in text) == (200, True)
        assert not hung_up.is_set(), "the list goes on after the page was sent"
        started = time.monotonic()
        await asyncio.to_thread(site.stop, signal.SIGTERM)
        assert time.monotonic() - started < 4
        async with asyncio.timeout(1):
            await hung_up.wait()
