"""People at work on several web processes, as a proxy spreads them, who remember what they were told."""

import asyncio
import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.faults.production import Person, Process
from tests.faults.workspaces import secret_of

_CSRF = "c" * 32
# How long people look at what they got, on average.
PAUSE_S = 0.3
# A person who got no answer asks again, and is unhappy after so many times.
_TRIES = 40


class Unhappy(Exception):
    """Somebody got no useful answer, or a wrong one. The message says to what."""


@dataclass
class Ledger:
    """What the site has said yes to: for each person, the token under each label; what is gone; names."""

    tokens: dict[str, dict[str, str]] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    #: What was asked and answered, by kind.
    done: Counter[str] = field(default_factory=Counter)
    #: Requests that a killed process never answered.
    cut: int = 0
    #: Answers of 500 and more: process, status, address, and whether that process was killed meanwhile.
    broken: list[tuple[str, int, str, bool]] = field(default_factory=list)


class Browser:
    """One person's browser. `webs` are the processes, any of which may answer."""

    def __init__(self, person: Person, webs: Sequence[Process], server: str, ledger: Ledger) -> None:
        self._person, self._webs, self._server, self.ledger = person, webs, server, ledger
        self._next = 0
        self.rows = {f"first {number}": row for number, row in enumerate(person.tokens)}
        self._client = httpx.AsyncClient(
            cookies={"sessionid": person.session, "csrftoken": _CSRF},
            headers={"X-CSRFToken": _CSRF},
            # A process that was killed and started again is a new one to a kept connection.
            limits=httpx.Limits(max_keepalive_connections=0),
            timeout=60,
            trust_env=False,
        )
        self._tokens = ledger.tokens.setdefault(
            person.name, {f"first {number}": secret_of(person.name, number) for number in range(len(person.tokens))}
        )

    async def aclose(self) -> None:
        """Close it."""
        await self._client.aclose()

    async def ask(
        self, method: str, path: str, data: dict[str, Any] | None = None, *, web: Process | None = None
    ) -> httpx.Response | None:
        """Return the answer of some process, or None if that was killed before it gave one."""
        while True:
            process = web or random.choice(self._webs)
            past = len(process.past)
            try:
                response = await self._client.request(method, process.origin + path, data=data)
            except httpx.ConnectError:
                # It does not run at the moment: the proxy asks another one.
                await asyncio.sleep(0.05)
                continue
            except httpx.TransportError:
                if len(process.past) == past and process.running is not None:
                    raise Unhappy(f"{process.name} did not answer {method} {path}, and was not killed") from None
                self.ledger.cut += 1
                return None
            if response.status_code >= 500:
                killed = len(process.past) != past
                self.ledger.broken.append((process.name, response.status_code, path, killed))
            return response

    async def until(self, method: str, path: str, data: dict[str, Any] | None = None, *, statuses: set[int]) -> str:
        """Ask until there is an answer of these statuses; return where that leads to, "" for a page."""
        answer = None
        for _ in range(_TRIES):
            answer = await self.ask(method, path, data)
            if answer is not None and answer.status_code in statuses:
                return str(answer.headers.get("Location", ""))
            await asyncio.sleep(0.1)
        raise Unhappy(f"{method} {path}: {answer.status_code if answer is not None else 'no answer'}")

    # --- What people do -------------------------------------------------------------------------

    def _new_secret(self) -> str:
        self._next += 1
        return secret_of(self._person.name, 1000 + self._next)

    async def save(self) -> None:
        """Add a token; who got no answer adds it again, and must then read that it is there, or see it added."""
        secret = self._new_secret()
        label = f"added {self._next}"
        place = await self.until(
            "POST", "/tokens/add/", {"label": label, "server": self._server, "token": secret}, statuses={302}
        )
        if not place.endswith("?added=1") and place != "/tokens/":
            raise Unhappy(f"A save led to {place}")
        self._tokens[label] = secret
        if found := re.match(r"/tokens/([0-9a-f-]{36})/\?added=1", place):
            self.rows[label] = found[1]
        self.ledger.done["save"] += 1

    async def replace(self) -> None:
        """Put another token into a row."""
        label = random.choice(list(self.rows))
        secret = self._new_secret()
        data = {"server": self._server, "token": secret}
        await self.until("POST", f"/tokens/{self.rows[label]}/replace/", data, statuses={302})
        self._tokens[label] = secret
        self.ledger.done["replace"] += 1

    async def delete(self) -> None:
        """Destroy a token, down to the last but one; who got no answer may find it gone."""
        if len(self.rows) < 3:
            return
        label = random.choice(list(self.rows))
        await self.until("POST", f"/tokens/{self.rows.pop(label)}/delete/", statuses={302, 404})
        self.ledger.deleted.append(f"{self._person.name} {label}")
        del self._tokens[label]
        self.ledger.done["delete"] += 1

    async def look(self) -> None:
        """Open a list of flows, the token's page, the home page and one's own log."""
        row = random.choice(list(self.rows.values()))
        for path in (f"/tokens/{row}/flows/", f"/tokens/{row}/", "/", "/accounts/log/"):
            await self.until("GET", path, statuses={200})
            self.ledger.done["look"] += 1

    async def check(self) -> None:
        """Have a token checked."""
        await self.until("POST", f"/tokens/{random.choice(list(self.rows.values()))}/check/", statuses={302})
        self.ledger.done["check"] += 1

    async def rename_self(self) -> None:
        """Change one's name."""
        self._next += 1
        name = f"Name {self._next}"
        await self.until("POST", "/accounts/profile/", {"name": name, "time_zone": "UTC"}, statuses={302})
        self.ledger.names[self._person.name] = name
        self.ledger.done["rename"] += 1

    async def act(self, kind: str) -> None:
        """Do something with all tokens that one began with, as staff: choose, confirm, look."""
        rows = list(self._person.tokens)
        place = await self.until("POST", "/staff/tokens/act/", {"kind": kind, "token": rows}, statuses={302})
        # Who got no answer to the confirmation looks whether it has begun, and confirms it only once.
        await self.until("POST", place, {"note": "as agreed"}, statuses={302})
        await self.until("GET", place, statuses={200})
        self.ledger.done["staff action"] += 1


async def work(browser: Browser, ends: asyncio.Event) -> None:
    """Do what people do, in any order, until the end."""
    doing = [browser.save, browser.look, browser.look, browser.replace, browser.delete, browser.check]
    doing.append(browser.rename_self)
    while not ends.is_set():
        await random.choice(doing)()
        await asyncio.sleep(random.uniform(0, 2 * PAUSE_S))


async def administer(browser: Browser, ends: asyncio.Event) -> None:
    """Disable and enable the same tokens in turn, until the end."""
    while not ends.is_set():
        for kind in ("disable", "enable"):
            await browser.act(kind)
            await asyncio.sleep(PAUSE_S)
