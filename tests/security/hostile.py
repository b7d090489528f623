"""An internet of a test's own: names lead where the test says, addresses to servers on loopback, and nothing else.

What is played is the network alone: DNS through `resolving.use_look_up`, routing where asyncio connects a socket. The
rules for addresses, the certificates, the client and the pages are the site's own, at their usual ports.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from threading import Event, Semaphore
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from cryptography import x509
from django.test import AsyncClient
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from rapidpro_integration.client import resolving
from rapidpro_integration.models import RapidProToken, Server
from tests.conftest import SECRET, TokenMaker
from tests.faults import tls
from tests.faults.server import HOST, Behaviour, FaultyServer, serve
from tests.rapidpro_integration.client.loopback import always, answer, page
from tests.security.running import tally

HOSPITAL, ATTACKER = "hospital.example", "attacker.example"
# Globally routable, so that our rules let them pass; the test's network leads them to loopback.
HOSPITAL_ADDRESS, ATTACKER_ADDRESS = "8.8.8.8", "1.1.1.1"
GOOD = page({"uuid": "6e99f824-2ea1-4731-9b59-9afdcda1399b", "name": "Good"})
HANGS = "hangs"
_GOOD_ALWAYS = always(answer(GOOD))


class Internet:
    """Which addresses a name has, one answer after the other and the last for ever; where an address leads."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Sequence[str]]] = {}
        self.ports: dict[str, int] = {}
        self.reached: list[str] = []
        self.asked: list[str] = []
        self.release = Event()
        self.hanging = Semaphore(0)

    def look_up(self, host: str) -> Sequence[str]:
        """Answer as DNS; a name that begins with HANGS waits for `release`. Raises OSError for an unknown name."""
        self.asked.append(host)
        if host.startswith(HANGS):
            self.hanging.release()
            self.release.wait(30)
        answers = self.answers.get(host)
        if not answers:
            raise OSError("no such name")
        return answers.pop(0) if len(answers) > 1 else answers[0]


@contextmanager
def internet() -> Iterator[Internet]:
    """Give the process this internet and no other, and trust in the tests' authority, until the block ends."""
    net = Internet()
    real = asyncio.SelectorEventLoop.sock_connect

    async def connect(loop: asyncio.SelectorEventLoop, sock: Any, address: Any) -> None:
        net.reached.append(address[0])
        if address[0] not in net.ports:
            raise ConnectionRefusedError
        await real(loop, sock, (HOST, net.ports[address[0]]))

    with pytest.MonkeyPatch.context() as patch, tls.trusting():
        patch.setattr(asyncio.SelectorEventLoop, "sock_connect", connect)
        resolving.use_look_up(net.look_up)
        try:
            yield net
        finally:
            net.release.set()
            resolving.use_look_up(None)


def certificate(*names: str) -> ssl.SSLContext:
    """Return the TLS context of a server that shows for each name a certificate of its own, the first by default."""
    contexts = {name: tls.authority().server_context(x509.DNSName(name)) for name in names}

    def choose(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        if name in contexts:
            connection.context = contexts[name]

    first = contexts[names[0]]
    first.sni_callback = choose  # type: ignore[assignment]  # asyncio hands it an SSLObject
    return first


@dataclass(frozen=True)
class Scene:
    """The hospital's RapidPro, and the attacker who wants its token."""

    net: Internet
    hospital: FaultyServer
    attacker: FaultyServer

    def assert_attacker_got_nothing(self) -> None:
        """Assert that the attacker saw no connection, no request and no token."""
        tokens = sum(SECRET in head for head in self.attacker.heads)
        tally.scenes += 1
        tally.requests += len(self.attacker.heads)
        tally.tokens += tokens
        assert (self.attacker.connections, len(self.attacker.heads), tokens) == (0, 0, 0)
        assert ATTACKER_ADDRESS not in self.net.reached


@asynccontextmanager
async def scene(net: Internet, behave: Behaviour = _GOOD_ALWAYS) -> AsyncIterator[Scene]:
    """Serve both behind their addresses and certificates; the loopback addresses lead to the attacker too."""
    async with (
        serve(behave, tls=certificate(HOSPITAL)) as hospital,
        serve(_GOOD_ALWAYS, tls=certificate(ATTACKER, HOSPITAL)) as attacker,
    ):
        net.ports |= {HOSPITAL_ADDRESS: hospital.port, ATTACKER_ADDRESS: attacker.port, HOST: attacker.port}
        net.answers |= {HOSPITAL: [[HOSPITAL_ADDRESS]], ATTACKER: [[ATTACKER_ADDRESS]]}
        yield Scene(net, hospital, attacker)


def save(make_token: TokenMaker, owner: User, host: str = HOSPITAL, **fields: Any) -> RapidProToken:
    """Return a saved token of a server that stands on the list as a row, approved and open to all."""
    origin = f"https://{host}"
    Server.objects.get_or_create(
        origin=origin, defaults={"name": host, "open_to_all": True, "approved_on": timezone.now()}
    )
    return make_token(owner, server=origin, label=host, **fields)


asave = sync_to_async(save)


async def visit(person: User, token: RapidProToken) -> tuple[int, str]:
    """Return status and text of the page of flows, as the person sees it."""
    browser = AsyncClient()
    await browser.aforce_login(person)
    response = await browser.get(reverse("rapidpro:flow-list", args=[token.pk]))
    return response.status_code, response.content.decode()
