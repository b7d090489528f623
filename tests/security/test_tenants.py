"""Tenants who share a server share no answer, no connection, no permit, no wait and no pause."""

import asyncio
import time

import pytest

from rapidpro_integration.client import transport
from rapidpro_integration.client.errors import AbstractRequestException, Kind
from rapidpro_integration.client.permits import Limits
from rapidpro_integration.interface import RapidProInterface
from tests.faults.server import Behaviour, FaultyServer, serve
from tests.rapidpro_integration.client.loopback import answer, page
from tests.security.tenants import exercise

EVIL, GOOD = "e" * 40, "9" * 40
WORKSPACE = "882f1c30-45b7-4fe2-bff8-12c78de3807e"
FLOWS = answer(page())


async def test_no_answer_reaches_another_tenant_or_token_whatever_the_connections_do() -> None:
    outcome = await exercise(rounds=500)
    assert (outcome.of_another_tenant, outcome.of_another_token) == (0, 0), outcome
    assert outcome.requests > 1_400
    # Connections were kept, answers came, and callers left: else nothing was tried.
    assert outcome.connections < outcome.requests / 2
    assert outcome.came["right"] > 1_300
    assert outcome.came["cancelled"] > 20


async def test_single_flight_joins_the_same_token_of_the_same_tenant_alone() -> None:
    async def slow(server: FaultyServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await server.head(reader)
            await asyncio.sleep(0.1)
            writer.write(FLOWS)
            await writer.drain()

    whose = ((GOOD, "user 1"), (GOOD, "user 2"), (EVIL, "user 1"), (EVIL, "user 2"))
    async with serve(slow) as server:
        asked = [RapidProInterface(token, server.origin, tenant=tenant) for token, tenant in whose for _ in range(5)]
        await asyncio.gather(*(interface.aget_flows() for interface in asked))
    assert len(server.heads) == 4
    assert sum(GOOD in head for head in server.heads) == 2


def spoiled(for_evil: bytes | None) -> Behaviour:
    """Return a server that answers one token with these bytes, or never, and every other one as it should."""

    async def behave(server: FaultyServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            is_evil = EVIL in await server.head(reader)
            if is_evil and for_evil is None:
                await reader.read()
            writer.write((for_evil or b"") if is_evil else FLOWS)
            await writer.drain()

    return behave


SPOILED: dict[str, bytes | None] = {
    "500": answer(b"", status="500 Oops"),
    "503 for ever": answer(b"", status="503 Busy", headers="Retry-After: 999999999\r\n"),
    "429 for ever": answer(b"", status="429 Slow", headers="Retry-After: 999999999\r\n"),
    "429 that names a workspace": answer(
        b"", status="429 Slow", headers=f"Retry-After: 99999\r\nX-Temba-Workspace: {WORKSPACE}\r\n"
    ),
    "hangs": None,
    "half an answer": b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n{",
}


@pytest.mark.parametrize("for_evil", SPOILED.values(), ids=SPOILED)
async def test_workspace_that_breaks_its_server_takes_nothing_from_others(for_evil: bytes | None) -> None:
    def evil(number: int) -> RapidProInterface:
        return RapidProInterface(EVIL, server.origin, tenant="user 1", deadline_s=1.5 + number / 1000)

    async with serve(spoiled(for_evil)) as server:
        good = RapidProInterface(GOOD, server.origin, tenant="user 2", workspace="cdab8b26-9e1f-4b3a-8c9b-2d2a1c5a6d11")
        # More at once than a tenant has permits; different deadlines, so that none joins another.
        storm = [asyncio.create_task(evil(number).aget_flows()) for number in range(60)]
        await asyncio.sleep(0.3)
        took: list[float] = []
        for _ in range(10):
            began = time.monotonic()
            assert list(await good.aget_flows()) == []
            took.append(time.monotonic() - began)
        outcomes = await asyncio.gather(*storm, return_exceptions=True)
        assert list(await good.aget_flows()) == []
    assert all(isinstance(outcome, AbstractRequestException) for outcome in outcomes)
    assert not transport.breaker.is_paused(server.origin)
    assert max(took) < 1


async def test_one_tenants_requests_fill_its_own_permits_and_leave_the_origins() -> None:
    async with serve(spoiled(None)) as server:
        limits = Limits(wait_s=0.1)
        evil = [
            RapidProInterface(EVIL, server.origin, tenant="user 1", limits=limits, deadline_s=1 + number / 1000)
            for number in range(250)
        ]
        outcomes = await asyncio.gather(*(each.aget_flows() for each in evil), return_exceptions=True)
        assert list(await RapidProInterface(GOOD, server.origin, tenant="user 2", limits=limits).aget_flows()) == []
    kinds = [outcome.kind for outcome in outcomes if isinstance(outcome, AbstractRequestException)]
    assert (kinds.count(Kind.BUSY), kinds.count(Kind.TIMED_OUT)) == (250 - limits.tenant, limits.tenant)
