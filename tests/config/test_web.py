"""`manage.py web`, in real processes: what becomes of a request under way when the site is told to stop."""

import asyncio
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from rapidpro_integration.management.commands import web
from tests.faults.server import FaultyServer, flow, serve
from tests.faults.site import ROOT, Site, make
from tests.rapidpro_integration.client.loopback import answer, page
from tests.served import HOST, environment, free_port

FLOW = "5a1e7a8c-7a35-4f0e-9b5f-0e3c7c2f5d10"
MANAGE = [sys.executable, "manage.py", "web"]


async def readiness(port: int) -> int:
    """Return what /readyz says to a new connection; 0 if there is none to be had."""
    try:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(f"GET /readyz HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
        line = await reader.readline()
        writer.close()
    except OSError:
        return 0
    # A connection that was waiting at the door when it was closed gets nothing.
    return int(line.split()[1]) if line else 0


@pytest.mark.parametrize("processes", [1, 2])
async def test_site_that_is_told_to_stop_says_so_finishes_what_is_under_way_closes_all_and_ends_with_0(
    tmp_path: Path, processes: int
) -> None:
    asked, release, hung_up = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow(server: FaultyServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.head(reader)
        asked.set()
        await release.wait()
        writer.write(answer(page(flow("Registration", uuid=FLOW))))
        # An end of the stream, and no reset, is what a client leaves that closes in order.
        assert await reader.read() == b""
        hung_up.set()

    port, log = free_port(), tmp_path / "log"
    async with serve(slow) as rapidpro, asyncio.timeout(300):
        variables = environment(tmp_path, SANDBOX_ORIGIN=rapidpro.origin, STOP_DELAY_S="0.7")
        people = await asyncio.to_thread(make, {"amina": rapidpro.origin}, variables)
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: ASYNC220  # it is begun, not waited for
                [*MANAGE, "--bind", f"{HOST}:{port}", "--grace", "60"],
                env=variables | {"WEB_CONCURRENCY": str(processes)},
                cwd=ROOT,
                stdout=output,
                stderr=output,
            )
        try:
            while await readiness(port) != 200:
                assert process.poll() is None, log.read_text("utf-8")
                await asyncio.sleep(0.05)
            browser = asyncio.create_task(Site(port, process, people).get("amina", f"{FLOW}/"))
            await asked.wait()
            process.send_signal(signal.SIGTERM)
            # It is still asked, and says that it should be no more; only then is the door closed.
            said = [200]
            while said[-1]:
                said.append(await readiness(port))
                await asyncio.sleep(0.02)
            assert 503 in said
            assert process.poll() is None
            assert not hung_up.is_set()
            release.set()
            status, text = await browser
            code = await asyncio.to_thread(process.wait, 60)
            await hung_up.wait()
        finally:
            process.kill()
            process.wait()
    assert (status, "Registration" in text, code) == (200, True, 0)
    told = log.read_text("utf-8")
    assert told.count("All that this process held open is closed.") == processes
    assert not re.search("Traceback|WARNING|ERROR", told), told


@pytest.mark.parametrize("bind", ["8000", "localhost:http", ":8000", "127.0.0.1:70000", "127.0.0.1:0"])
def test_address_that_is_none_is_one_sentence(bind: str) -> None:
    with pytest.raises(CommandError, match="--bind is an address and a port"):
        call_command("web", bind=bind)


@pytest.mark.parametrize(
    ("bind", "host", "port"),
    [("127.0.0.1:8000", "127.0.0.1", 8000), ("[::1]:80", "::1", 80), ("web:65535", "web", 65535)],
)
def test_address_is_a_host_and_a_port(bind: str, host: str, port: int) -> None:
    assert web.address(bind) == (host, port)
