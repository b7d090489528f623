"""A hostile network, against saved tokens and the real pages: the attacker counts requests and tokens, 0 of each."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from asgiref.sync import sync_to_async

from accounts.models import User
from rapidpro_integration.client import pools
from rapidpro_integration.client.errors import UnreachableException
from rapidpro_integration.client.resolving import LOOK_UP_S
from rapidpro_integration.interface import RapidProInterface
from rapidpro_integration.models import RapidProToken
from rapidpro_integration.problems import problem_for
from tests.conftest import SECRET, TokenMaker
from tests.faults.server import Behaviour, FaultyServer, flow, serve
from tests.rapidpro_integration.client.loopback import always, answer, page
from tests.rapidpro_integration.test_leaks import everything_in_the_database
from tests.security.hostile import (
    ATTACKER,
    ATTACKER_ADDRESS,
    GOOD,
    HANGS,
    HOSPITAL,
    HOSPITAL_ADDRESS,
    Internet,
    asave,
    certificate,
    internet,
    scene,
    visit,
)

OTHER_SECRET = "0therc0ffee0ddba11deadbeef0123456789abcd"
CLINIC = "clinic.example"
FLOWS = "/api/v2/flows.json"


@pytest.fixture
def net() -> Iterator[Internet]:
    with internet() as net:
        yield net


async def once_each(server: FaultyServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one request a connection, so that the next one begins with a look at the name."""
    await server.head(reader)
    writer.write(answer(GOOD, headers="Connection: close\r\n"))
    await writer.drain()


# --- Names that lie -----------------------------------------------------------------------------


async def test_attacker_counts_what_reaches_it(owner: User, make_token: TokenMaker, net: Internet) -> None:
    # Every 0 below is worth something only because this is not one.
    token = await asave(make_token, owner)
    async with scene(net) as at:
        net.answers[HOSPITAL] = [[ATTACKER_ADDRESS]]
        assert (await visit(owner, token))[0] == 200
    assert [SECRET in head for head in at.attacker.heads] == [True]


@pytest.mark.parametrize("forgotten", [True, False], ids=["looked up again", "remembered"])
async def test_name_that_turns_private_takes_no_token_there(
    owner: User, make_token: TokenMaker, net: Internet, *, forgotten: bool
) -> None:
    token = await asave(make_token, owner)
    async with scene(net, once_each) as at:
        net.answers[HOSPITAL] = [[HOSPITAL_ADDRESS], ["127.0.0.1"]]
        statuses = []
        for _ in range(3):
            statuses.append((await visit(owner, token))[0])
            if forgotten:
                await pools.aclose()
        at.assert_attacker_got_nothing()
    # Remembered for seconds is the address that was checked, and no other.
    assert statuses == ([200, 502, 502] if forgotten else [200, 200, 200])
    assert set(net.reached) == {HOSPITAL_ADDRESS}


@pytest.mark.parametrize(
    "private",
    ["127.0.0.1", "10.0.0.7", "169.254.169.254", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "fec0::1", "224.0.0.1"],
)
async def test_one_private_answer_among_public_ones_ends_it_before_any_connection(
    owner: User, make_token: TokenMaker, net: Internet, private: str
) -> None:
    token = await asave(make_token, owner)
    async with scene(net) as at:
        for answers in ([HOSPITAL_ADDRESS, private], [private, HOSPITAL_ADDRESS], [private]):
            await pools.aclose()
            net.answers[HOSPITAL] = [answers]
            status, text = await visit(owner, token)
            assert (status, private in text) == (502, False)
        at.assert_attacker_got_nothing()
    assert net.reached == []


async def test_twenty_names_that_hang_keep_nobody_waiting(
    owner: User, other: User, make_token: TokenMaker, net: Internet
) -> None:
    people = [owner, other] * 10
    hanging = [await asave(make_token, each, f"{HANGS}{number}.example") for number, each in enumerate(people)]
    token = await asave(make_token, other)
    async with scene(net) as at:
        waiting = [asyncio.create_task(visit(*each)) for each in zip(people, hanging, strict=True)]
        assert await asyncio.to_thread(lambda: all(net.hanging.acquire(timeout=60) for _ in hanging))
        began = time.monotonic()
        status, text = await visit(other, token)
        took_s = time.monotonic() - began
        assert (status, "Good" in text, all(task.done() for task in waiting)) == (200, True, False)
        net.release.set()
        assert {status for status, _ in await asyncio.gather(*waiting)} == {502}
        at.assert_attacker_got_nothing()
    # One that waited for the hanging ones would take as long as they are given.
    assert took_s < LOOK_UP_S


# --- One address, two names ---------------------------------------------------------------------


@asynccontextmanager
async def two_names(net: Internet, behave: Behaviour, *certified: str) -> AsyncIterator[FaultyServer]:
    """Serve both names behind one address, with certificates for some of them."""
    async with serve(behave, tls=certificate(*certified)) as server:
        net.ports[HOSPITAL_ADDRESS] = server.port
        net.answers |= {HOSPITAL: [[HOSPITAL_ADDRESS]], CLINIC: [[HOSPITAL_ADDRESS]]}
        yield server


async def test_name_without_a_certificate_gets_no_token_over_its_neighbours_connection(
    owner: User, other: User, make_token: TokenMaker, net: Internet
) -> None:
    mine = await asave(make_token, owner)
    theirs = await asave(make_token, other, CLINIC, secret=OTHER_SECRET)
    async with two_names(net, always(answer(GOOD)), HOSPITAL) as server:
        visits = [visit(person, token) for _ in range(5) for person, token in ((owner, mine), (other, theirs))]
        statuses = [status for status, _ in await asyncio.gather(*visits)]
        later = [(await visit(owner, mine))[0], (await visit(other, theirs))[0]]
    assert (statuses[::2], set(statuses[1::2]), later) == ([200] * 5, {502}, [200, 502])
    assert all(SECRET in head and f"Host: {HOSPITAL}" in head for head in server.heads)
    assert not any(OTHER_SECRET in head for head in server.heads)


async def test_two_certified_names_on_one_address_never_share_a_connection(
    owner: User, other: User, make_token: TokenMaker, net: Internet
) -> None:
    mine = await asave(make_token, owner)
    theirs = await asave(make_token, other, CLINIC, secret=OTHER_SECRET)
    by_connection: list[list[str]] = []

    async def note(server: FaultyServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        by_connection.append(heads := [])
        while True:
            heads.append(await server.head(reader))
            writer.write(answer(GOOD))
            await writer.drain()

    async with two_names(net, note, HOSPITAL, CLINIC) as server:
        for _ in range(10):
            assert await asyncio.gather(visit(owner, mine), visit(other, theirs))
        await asyncio.gather(*(visit(*pair) for _ in range(10) for pair in ((owner, mine), (other, theirs))))
    # Kept connections were used again, and each for one name with its own token.
    assert len(by_connection) < len(server.heads)
    for heads in by_connection:
        kinds = {(f"Host: {HOSPITAL}\r" in head, SECRET in head, OTHER_SECRET in head) for head in heads}
        assert kinds in ({(True, True, False)}, {(False, False, True)})


# --- Answers that lead elsewhere ----------------------------------------------------------------

ELSEWHERE = (
    f"https://{ATTACKER}{FLOWS}",
    f"//{ATTACKER}{FLOWS}",
    f"http://{ATTACKER}{FLOWS}",
    f"http://{HOSPITAL}{FLOWS}?over=http",
    f"https://{HOSPITAL}:8443{FLOWS}",
    f"https://{HOSPITAL}@{ATTACKER}{FLOWS}",
    f"https://{HOSPITAL}\\@{ATTACKER}{FLOWS}",
    f"https:\\\\{ATTACKER}{FLOWS}",
    f"https://{HOSPITAL}.{ATTACKER}{FLOWS}",
    f"https://127.0.0.1{FLOWS}",
    f"/elsewhere{FLOWS}",
)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 305, 307, 308])
async def test_redirect_is_never_followed(owner: User, make_token: TokenMaker, net: Internet, status: int) -> None:
    token = await asave(make_token, owner)
    replies = iter(
        [answer(b"", status=f"{status} There", headers=f"Location: {place}\r\nRefresh: 0; url={place}\r\n")]
        for place in ELSEWHERE
    )

    async def redirect(server: FaultyServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await server.head(reader)
            writer.write(next(replies)[0])
            await writer.drain()

    async with scene(net, redirect) as at:
        statuses = {(await visit(owner, token))[0] for _ in ELSEWHERE}
        at.assert_attacker_got_nothing()
    assert statuses == {502}
    assert [head.split()[1] for head in at.hospital.heads] == [FLOWS] * len(ELSEWHERE)
    assert (set(net.reached), set(net.asked)) == ({HOSPITAL_ADDRESS}, {HOSPITAL})


@pytest.mark.parametrize("place", ELSEWHERE)
async def test_next_link_gives_a_position_and_no_place(
    owner: User, make_token: TokenMaker, net: Internet, place: str
) -> None:
    token = await asave(make_token, owner)
    following = f"{place}{'&' if '?' in place else '?'}cursor=two&evil=1"

    async def pages(server: FaultyServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            is_second = "cursor=two" in await server.head(reader)
            writer.write(answer(GOOD if is_second else page(flow("First"), following=following)))
            await writer.drain()

    async with scene(net, pages) as at:
        status, text = await visit(owner, token)
        at.assert_attacker_got_nothing()
    assert (status, "First" in text, "Good" in text) == (200, True, True)
    assert [head.split()[1] for head in at.hospital.heads] == [FLOWS, f"{FLOWS}?cursor=two"]
    assert set(net.asked) == {HOSPITAL}


async def test_cookies_and_other_headers_of_a_server_change_nothing(
    owner: User, make_token: TokenMaker, net: Internet
) -> None:
    token = await asave(make_token, owner)
    headers = (
        f"Set-Cookie: sid=1; Domain={HOSPITAL}; Path=/\r\nSet-Cookie: all=1; Domain=example\r\n"
        f'Alt-Svc: h2="{ATTACKER}:443"; ma=86400; persist=1\r\nLink: <https://{ATTACKER}/>; rel=next\r\n'
        f"Content-Location: https://{ATTACKER}{FLOWS}\r\nWWW-Authenticate: Basic realm=x\r\n"
    )
    async with scene(net, always(answer(GOOD, headers=headers))) as at:
        for _ in range(3):
            assert (await visit(owner, token))[0] == 200
        at.assert_attacker_got_nothing()
    assert len(at.hospital.heads) == 3
    assert not any("cookie" in head.lower() for head in at.hospital.heads)


async def test_proxies_and_netrc_of_the_environment_are_not_asked(
    owner: User, make_token: TokenMaker, net: Internet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    token = await asave(make_token, owner)
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine {HOSPITAL} login somebody password secret\ndefault login x password y\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.delenv("NO_PROXY", raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        for spelled in (name, name.lower()):
            monkeypatch.setenv(spelled, f"http://{ATTACKER}:8080")
    async with scene(net) as at:
        assert (await visit(owner, token))[0] == 200
        at.assert_attacker_got_nothing()
    assert f"Authorization: Token {SECRET}\r\n" in at.hospital.heads[0]
    assert "Basic" not in at.hospital.heads[0]


@pytest.mark.parametrize("status", ["200 OK", "400 Bad Request", "401 Unauthorized", "403 Forbidden", "500 Oops"])
async def test_answer_that_repeats_the_token_is_not_passed_on(
    owner: User, make_token: TokenMaker, net: Internet, caplog: pytest.LogCaptureFixture, status: str
) -> None:
    caplog.set_level(logging.DEBUG)
    token = await asave(make_token, owner)
    body = json.dumps({"detail": f"Token {SECRET}", "error": [SECRET]}).encode()
    reply = answer(body, status=f"{status} {SECRET}", headers=f"X-Temba-Workspace: {SECRET}\r\nX-Echo: {SECRET}\r\n")
    async with scene(net, always(reply)) as at:
        code, text = await visit(owner, token)
        at.assert_attacker_got_nothing()
    assert code >= 400
    assert SECRET not in text + caplog.text
    assert SECRET not in await sync_to_async(everything_in_the_database)()


# --- A list with senseless servers --------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        *("127.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.0.0.1", "[::1]", "[::ffff:7f00:1]", "[0:0:0:0:0:0:0:1]"),
        *("127.0.0.1.", "127。0。0。1", "１２７.0.0.1", "127.0.0.1:443", "user@127.0.0.1", "127%2e0.0.1"),
    ],
)
async def test_address_on_the_list_in_any_spelling_is_nowhere_to_send_a_token(
    owner: User, make_token: TokenMaker, net: Internet, host: str
) -> None:
    # Such a row can only come past the admin's form: a restored dump, a hand in the database.
    token: RapidProToken = await asave(make_token, owner, host)
    async with scene(net) as at:
        net.answers |= {host: [["127.0.0.1"]], host.rstrip("."): [["127.0.0.1"]]}
        status, _ = await visit(owner, token)
        assert status in {problem_for(UnreachableException()).status, 423}
        with pytest.raises((UnreachableException, RapidProInterface.TokenLockedException)):
            await RapidProInterface.for_token(token).aget_flows()
        at.assert_attacker_got_nothing()
    assert net.reached == []
