"""The whole site as a child process: uvicorn, a database of its own, and people who are signed in with their tokens.

`python -m benchmarks.site ORIGIN TOKENS` makes the person and the tokens, with the environment of such a site.
"""

import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from benchmarks.harness import ROOT
from tests.served import HOST, environment, free_port, wait_for

ROW = b'<th scope="row">'
_TICKS = os.sysconf("SC_CLK_TCK")


class SiteError(Exception):
    """A page was not what it should be: the run is worth nothing."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A page as it came, and when: `row_ms` to its first row of a table, `ms` to its last byte."""

    text: str
    row_ms: float
    ms: float


class Site:
    """`with Site(upstream.origin, tokens=5) as site: site.get(f"/tokens/{site.tokens[0]}/flows/")`.

    DEBUG is on, as a token goes to an address of loopback in the local demo alone; nothing else is of the demo.
    """

    def __init__(self, upstream: str, tokens: int) -> None:
        self._upstream, self._count = upstream, tokens
        self.tokens: list[str] = []

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="bench-site-")
        self._log, port = Path(self._folder.name) / "site.log", free_port()
        self.folder = Path(self._folder.name)
        variables = self.variables = environment(
            self.folder, SANDBOX_ORIGIN=self._upstream, LOG_LEVEL="WARNING", LOG_FILE=str(self._log)
        )
        made: dict[str, Any] = {}
        for command in (
            ["manage.py", "migrate", "--verbosity", "0"],
            ["-m", "benchmarks.site", self._upstream, str(self._count)],
        ):
            done = subprocess.run(
                [sys.executable, *command], env=variables, cwd=ROOT, check=True, stdout=subprocess.PIPE, timeout=120
            )
            made = json.loads(done.stdout or b"{}")
        self.tokens, self.cookie = made["tokens"], made["cookie"]
        serve = [sys.executable, "-m", "uvicorn", "config.asgi:application", "--host", HOST, "--port", str(port)]
        self._process = subprocess.Popen(
            [*serve, "--log-level", "warning", "--no-access-log", "--lifespan", "on"], env=variables, cwd=ROOT
        )
        wait_for(port, self._process)
        self._connection = http.client.HTTPConnection(HOST, port, timeout=60)
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._process.terminate()
        self._process.wait(20)
        log = self._log.read_text("utf-8")
        self._folder.cleanup()
        if "ERROR" in log or "Traceback" in log:
            raise SiteError(f"The site's log tells of a fault:\n{log[-2000:]}")

    def get(self, path: str, *, by_htmx: bool = False) -> Answer:
        """Return the page. Raises SiteError if it is not a 200."""
        headers = {"Cookie": self.cookie, "Accept": "text/html"} | ({"HX-Request": "true"} if by_htmx else {})
        started = time.perf_counter()
        self._connection.request("GET", path, headers=headers)
        response = self._connection.getresponse()
        body, row_s = b"", 0.0
        while piece := response.read1():
            body += piece
            row_s = row_s or (time.perf_counter() if ROW in body else 0.0)
        ended, text = time.perf_counter(), body.decode()
        if response.status != 200:
            raise SiteError(f"{path} is a {response.status}: {response.headers.get('Location')} {text[:200]}")
        return Answer(text, ((row_s or ended) - started) * 1000, (ended - started) * 1000)

    def cpu_s(self) -> float:
        """Return the user and system time that the site's process has used so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS


def make_people(origin: str, tokens: int) -> dict[str, Any]:
    """Save a person, a session and so many tokens in the site's database; return the cookie and the tokens' ids."""
    import django

    django.setup()
    from django.conf import settings
    from django.test import Client

    from accounts.models import User
    from benchmarks.contenders import ours_token
    from rapidpro_integration import notices, services
    from rapidpro_integration.checking import acheck_secret
    from rapidpro_integration.vault import Secret

    async def check_all() -> list[Any]:
        return [await acheck_secret(Secret(ours_token(number)), origin) for number in range(tokens)]

    from asgiref.sync import async_to_sync

    person = User.objects.create_user("bench", "bench@example.org", "a long enough passphrase")
    ids = []
    with notices.silence():
        for number, outcome in enumerate(async_to_sync(check_all)()):
            secret = Secret(ours_token(number))
            ids.append(str(services.add_token(person.pk, f"Token {number}", origin, secret, outcome).pk))
    browser = Client()
    browser.force_login(person)
    cookie = browser.cookies[settings.SESSION_COOKIE_NAME]
    return {"cookie": f"{cookie.key}={cookie.value}", "tokens": ids}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(make_people(sys.argv[1], int(sys.argv[2]))))
