"""A name leads to addresses that were checked, or to no connection at all: with real sockets and scripted look-ups."""

import asyncio
import gc
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import aiohttp
import pytest
from cryptography import x509

from rapidpro_integration.client import resolving
from rapidpro_integration.client.resolving import (
    AddressRefused,
    LookUpFailed,
    LookUps,
    LookUpTimedOut,
    NotResolved,
    Resolver,
    TooManyLookUps,
    require_allowed,
    system_look_up,
)
from tests.faults.tls import authority
from tests.rapidpro_integration.client.loopback import always, answer, serve

HERE = "127.0.0.1"
PUBLIC = "8.8.8.8"


class Script:
    """A look-up that gives one answer after the other, the last one for ever, and counts."""

    def __init__(self, *answers: Sequence[str] | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        given = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(given, Exception):
            raise given
        return given


@contextmanager
def hanging(known: Sequence[str] = (HERE,)) -> Iterator[LookUps]:
    """Give look-ups that hang for every name that begins with "hang" until the block ends."""
    release = threading.Event()

    def look_up(host: str) -> Sequence[str]:
        if host.startswith("hang"):
            release.wait(30)
        return known

    try:
        yield LookUps(look_up)
    finally:
        release.set()


@asynccontextmanager
async def session(resolver: Resolver, tls: ssl.SSLContext | None = None) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(resolver=resolver, ssl=tls or True, use_dns_cache=False)
    async with aiohttp.ClientSession(connector=connector) as client:
        yield client


async def resolve(look_up: resolving.LookUp, *, private: bool = False, **options: socket.AddressFamily) -> list[str]:
    found = await Resolver(private=private, look_ups=LookUps(look_up)).resolve("a.example", 443, **options)
    assert {(entry["hostname"], entry["port"]) for entry in found} == {("a.example", 443)}
    return [entry["host"] for entry in found]


# --- What is allowed ----------------------------------------------------------------------------


async def test_allowed_addresses_are_handed_over_under_the_name() -> None:
    assert await resolve(Script([PUBLIC, "2606:4700::1"])) == [PUBLIC, "2606:4700::1"]
    assert await resolve(Script([PUBLIC, "2606:4700::1"]), family=socket.AF_INET) == [PUBLIC]
    assert await resolve(Script([HERE, "::1"]), private=True) == [HERE, "::1"]


async def test_of_very_many_addresses_a_few_are_tried() -> None:
    assert len(await resolve(Script([f"8.8.{number}.8" for number in range(200)]))) == 8


@pytest.mark.parametrize(
    "answers",
    [[HERE], [PUBLIC, HERE], [HERE, PUBLIC], [PUBLIC, "::ffff:7f00:1"], [PUBLIC, "169.254.169.254"], ["fe80::1%eth0"]],
    ids=str,
)
async def test_one_answer_that_is_not_allowed_refuses_them_all_and_nothing_connects(
    answers: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    async with serve(always(answer(b"{}"))) as server, session(Resolver(look_ups=LookUps(Script(answers)))) as client:
        with pytest.raises(aiohttp.ClientConnectorError) as caught:
            await client.get(f"http://a.example:{server.port}/")
    assert isinstance(caught.value.os_error, AddressRefused)
    assert server.connections == 0
    assert not any(address in str(caught.value) + caplog.text for address in answers)
    assert "address refused host=a.example private_allowed=False" in caplog.text


async def test_name_that_turns_to_a_private_address_later_is_refused_then() -> None:
    look_up = Script([PUBLIC], [HERE])
    resolver = Resolver(look_ups=LookUps(look_up))
    async with serve(always(answer(b"{}"))) as server:
        assert [entry["host"] for entry in await resolver.resolve("a.example", server.port)] == [PUBLIC]
        async with session(resolver) as client:
            with pytest.raises(aiohttp.ClientConnectorError):
                await client.get(f"http://a.example:{server.port}/")
    assert server.connections == 0


async def test_connection_goes_to_the_address_that_was_checked_without_a_second_look() -> None:
    look_up = Script([HERE], [PUBLIC])
    resolver = Resolver(private=True, look_ups=LookUps(look_up))
    async with serve(always(answer(b"{}"))) as server, session(resolver) as client:
        for _ in range(3):
            async with client.get(f"http://a.example:{server.port}/") as response:
                assert await response.read() == b"{}"
    assert look_up.asked == ["a.example"]
    assert server.connections == 1


@pytest.mark.parametrize("address", [HERE, "10.0.0.5", "::1", "169.254.169.254", "2130706433", "localhost"])
def test_literals_are_refused_by_themselves(address: str) -> None:
    with pytest.raises(AddressRefused):
        require_allowed(address)


async def test_aiohttp_asks_no_resolver_about_a_literal() -> None:
    # Why `require_allowed` and the rules for origins are needed: if this fails one day, they are needed no longer.
    look_up = Script([PUBLIC])
    resolver = Resolver(look_ups=LookUps(look_up))
    async with (
        serve(always(answer(b"{}"))) as server,
        session(resolver) as client,
        client.get(server.origin) as response,
    ):
        assert response.status == 200
    assert look_up.asked == []


# --- Whose certificate --------------------------------------------------------------------------


async def test_two_names_on_one_address_never_share_a_connection_nor_a_certificate() -> None:
    trust = ssl.create_default_context(cadata=authority().pem)
    tls = authority().server_context(x509.DNSName("a.example"))
    resolver = Resolver(private=True, look_ups=LookUps(Script([HERE])))
    async with serve(always(answer(b"{}")), tls=tls) as server, session(resolver, trust) as client:
        async with client.get(f"https://a.example:{server.port}/") as response:
            assert response.status == 200
            await response.read()
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await client.get(f"https://b.example:{server.port}/", headers={"Authorization": "Token marker"})
        async with client.get(f"https://a.example:{server.port}/") as response:
            assert response.status == 200
    assert len(server.heads) == 2
    assert not any("marker" in head for head in server.heads)


# --- Look-ups that fail or hang -----------------------------------------------------------------


@pytest.mark.parametrize(
    "outcome", [socket.gaierror(-2, "unknown"), UnicodeError("label too long"), TimeoutError(), []], ids=str
)
async def test_name_that_leads_nowhere_is_one_error(outcome: Exception | list[str]) -> None:
    with pytest.raises(LookUpFailed) as caught:
        await resolve(Script(outcome))
    assert caught.value.__context__ is None


async def test_fault_of_our_own_is_not_taken_for_a_networks() -> None:
    with pytest.raises(ZeroDivisionError):
        await resolve(Script(ZeroDivisionError()))


async def test_twenty_hanging_look_ups_end_in_time_and_keep_nobody_waiting() -> None:
    with hanging() as look_ups:
        resolver = Resolver(private=True, look_ups=look_ups, timeout_s=1)
        began = time.monotonic()
        tasks = [asyncio.create_task(resolver.resolve(f"hang{number}.example")) for number in range(20)]
        await asyncio.sleep(0)
        async with (
            serve(always(answer(b"{}"))) as server,
            session(resolver) as client,
            client.get(f"http://a.example:{server.port}/") as response,
        ):
            assert response.status == 200
        assert time.monotonic() - began < 0.5
        assert not any(task.done() for task in tasks)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {LookUpTimedOut}
        assert time.monotonic() - began < 2


async def test_names_that_have_answered_before_keep_their_share_when_strangers_hang() -> None:
    threads = threading.active_count()  # of other tests
    with hanging() as look_ups:
        resolver = Resolver(private=True, look_ups=look_ups, timeout_s=0.2)
        await resolver.resolve("known.example")
        hung = [resolver.resolve(f"hang{number}.example") for number in range(100)]
        outcomes = await asyncio.gather(*hung, return_exceptions=True)
        kinds = [type(outcome) for outcome in outcomes]
        assert (kinds.count(LookUpTimedOut), kinds.count(TooManyLookUps)) == (24, 76)
        assert threading.active_count() - threads < 50
        with pytest.raises(TooManyLookUps):
            await resolver.resolve("new.example")
        assert await resolver.resolve("known.example")
    for _ in range(100):
        await asyncio.sleep(0.02)
        try:
            assert await resolver.resolve("new.example")
        except TooManyLookUps:
            continue
        break
    else:
        pytest.fail("The threads of the look-ups that ended are not free again.")


async def test_one_name_is_looked_up_once_at_a_time_and_one_callers_leaving_is_nobody_elses() -> None:
    begun, release = threading.Event(), threading.Event()
    asked: list[str] = []

    def look_up(host: str) -> Sequence[str]:
        asked.append(host)
        begun.set()
        release.wait(30)
        return [PUBLIC]

    resolver = Resolver(look_ups=LookUps(look_up))
    first, second = (asyncio.create_task(resolver.resolve("a.example")) for _ in range(2))
    assert await asyncio.to_thread(begun.wait, 5)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    release.set()
    assert [entry["host"] for entry in await second] == [PUBLIC]
    assert asked == ["a.example"]


def test_loop_that_ends_before_its_look_up_leaves_nothing_behind(caplog: pytest.LogCaptureFixture) -> None:
    with hanging() as look_ups:

        async def leave() -> None:
            with pytest.raises(LookUpTimedOut):
                await Resolver(look_ups=look_ups, timeout_s=0.05).resolve("hang.example")

        asyncio.run(leave())
        waiting = look_ups.submit("hang.example")
    assert waiting.result(5) == (HERE,)
    gc.collect()
    assert caplog.text == ""


def test_forked_child_looks_up_for_itself() -> None:
    program = """
import os, threading
from rapidpro_integration.client.resolving import LookUps
hang = threading.Event()
look_ups = LookUps(lambda host: (hang.wait() or ()) if os.getpid() == parent else ["8.8.8.8"])
parent = os.getpid()
look_ups.submit("a.example")
child = os.fork()
if child == 0:
    print(look_ups.submit("a.example").result(5), flush=True)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
hang.set()
"""
    command = [sys.executable, "-W", "ignore", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (done.stdout.strip(), done.stderr) == ("['8.8.8.8']", "")


def test_systems_own_look_up_gives_each_address_once_and_raises_for_an_unknown_name() -> None:
    addresses = system_look_up("localhost")
    assert set(addresses) <= {HERE, "::1"}
    assert len(addresses) == len(set(addresses)) > 0
    with pytest.raises(OSError):
        system_look_up("no-such-host.invalid")


def test_every_way_to_fail_is_an_os_error_without_a_number() -> None:
    # aiohttp makes a connector error of an OSError, and lets a TimeoutError without a number through as it is.
    for kind in (AddressRefused, LookUpFailed, LookUpTimedOut, TooManyLookUps):
        assert issubclass(kind, NotResolved)
        assert issubclass(kind, OSError)
        assert not issubclass(kind, TimeoutError)
