"""The real site in a process of its own, as people reach it: uvicorn, every middleware, SQLite."""

import asyncio
import json
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path

from tests.faults import tls
from tests.faults.server import Behaviour, FaultyServer, serve
from tests.served import HOST, environment, free_port, serve_command, wait_for

ROOT = Path(__file__).parents[2]

# People with one saved token each, and a session in which they are signed in.
_MAKE = """
import json, sys, uuid
import django
django.setup()
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.core.management import call_command
from django.utils import timezone
from accounts.models import User
from rapidpro_integration import canaries, vault
from rapidpro_integration.models import RapidProToken, TokenState
from rapidpro_integration.vault import Secret

call_command("migrate", verbosity=0)
made = {}
for name, server in json.loads(sys.argv[1]).items():
    user = User.objects.create_user(name, f"{name}@example.org", "a long enough passphrase")
    secret, row_id = Secret(f"secret-token-of-{name}"), uuid.uuid4()
    sealed = vault.seal_token(secret, row_id=row_id, owner_id=user.pk, origin=server)
    with canaries.sealing():
        RapidProToken.objects.create(
            id=row_id, owner=user, label=name, server=server, state=TokenState.WORKING, checked_on=timezone.now(),
            sealed=sealed.text, key_id=sealed.key_id, last_four="0000",
            workspace_uuid=uuid.uuid4(), workspace_name=f"Workspace of {name}",
            fingerprint=vault.ring().fingerprint(secret, owner_id=user.pk, origin=server),
        )
    session = SessionStore()
    session[SESSION_KEY], session[HASH_SESSION_KEY] = str(user.pk), user.get_session_auth_hash()
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session.save()
    made[name] = [f"/tokens/{row_id}/flows/", session.session_key]
print(json.dumps(made))
"""


class Site:
    """A running site, and for each person the address of the list of flows, and the session's key."""

    def __init__(self, port: int, process: subprocess.Popen[bytes], people: Mapping[str, tuple[str, str]]) -> None:
        self.port, self.process, self._people = port, process, people

    async def open(self, name: str, query: str = "") -> asyncio.StreamWriter:
        """Ask for a person's flows, and return the connection without waiting for the page."""
        return (await self._ask(name, query))[1]

    async def get(self, name: str, query: str = "") -> tuple[int, str]:
        """Return the status and the whole text, head included, of the page of a person's flows."""
        reader, writer = await self._ask(name, query)
        text = (await reader.read()).decode()
        writer.close()
        return int(text.split(" ", 2)[1]), text

    async def _ask(self, name: str, query: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        path, session = self._people[name]
        reader, writer = await asyncio.open_connection(HOST, self.port)
        head = f"GET {path}{query} HTTP/1.1\r\nHost: {HOST}\r\nCookie: sessionid={session}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode())
        await writer.drain()
        return reader, writer

    def stop(self, number: signal.Signals, seconds: float = 20) -> int:
        """Ask the site to stop, and return what it ends with."""
        self.process.send_signal(number)
        return self.process.wait(seconds)


def make(people: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Make a database with these people; return for each the address of their flows, and the key of a session."""
    command = [sys.executable, "-c", _MAKE, json.dumps(people)]
    done = subprocess.run(command, env=variables, cwd=ROOT, check=True, stdout=subprocess.PIPE, timeout=120)
    return {name: (path, key) for name, (path, key) in json.loads(done.stdout).items()}


@contextmanager
def _process(people: Mapping[str, str], folder: Path, log: Path) -> Iterator[Site]:
    port = free_port()
    origins = ",".join(set(people.values()))
    variables = environment(folder, RAPIDPRO_SERVERS=origins, RAPIDPRO_PRIVATE_ORIGINS=origins)
    made = make(people, variables)
    python, *serve = serve_command(port, tls.authority().pem)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [python, "-W", "default", *serve], env=variables, cwd=ROOT, stdout=output, stderr=output
        )
    try:
        wait_for(port, process)
        yield Site(port, process, made)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)


def upstream(behave: Behaviour | None) -> AbstractAsyncContextManager[FaultyServer]:
    """Serve with `behave` as a server that the site trusts; with None, refuse connections."""
    return serve(behave, tls=tls.context("good") if behave else None, scheme="https")


@asynccontextmanager
async def running(people: Mapping[str, str], *, expected: str = "") -> AsyncIterator[Site]:
    """Serve the site to `people`, each with a token for the server named. It may log nothing wrong but `expected`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "log"
        manager = _process(people, folder, log)
        # The upstream servers answer in this loop meanwhile.
        site = await asyncio.to_thread(manager.__enter__)
        try:
            yield site
        finally:
            await asyncio.to_thread(manager.__exit__, None, None, None)
        text = log.read_text("utf-8")
    if expected:
        assert expected in text
        text = text.replace(f"ERROR uvicorn.error [-] {expected}", "")
    # A page of 502 or 503 is an error to django.request, and what some cases are about.
    assert not re.search(r"Traceback|Warning|never retrieved|ERROR (?!django\.request)|unclosed", text), text
