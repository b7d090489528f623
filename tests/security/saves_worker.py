"""The processes beside the saves: `people`, `post`, `locked` and `verify` (see tests/security/saves.py)."""

import asyncio
import json
import sqlite3
import sys
from collections import Counter
from contextlib import closing
from importlib import import_module
from pathlib import Path

import django

django.setup()


import httpx  # noqa: E402
from django.conf import settings  # noqa: E402
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY  # noqa: E402

from accounts.models import User  # noqa: E402
from config.asgi import application  # noqa: E402
from rapidpro_integration import vault  # noqa: E402
from rapidpro_integration.client import pools  # noqa: E402
from rapidpro_integration.models import RapidProToken  # noqa: E402
from tests.security.rotation_worker import tell  # noqa: E402
from tests.security.saves import PEOPLE, wanted  # noqa: E402

SERVER = "https://rapidpro.example"
# Whoever is told to come back does so; twenty times in vain is a failure.
ROUNDS = 20
CSRF = "c" * 32


def people() -> None:
    """Make the people, signed in, and give their session keys."""
    store = import_module(settings.SESSION_ENGINE).SessionStore
    keys = []
    for number in range(PEOPLE):
        user = User.objects.create_user(f"person{number}", f"person{number}@example.org")
        session = store()
        session[SESSION_KEY], session[BACKEND_SESSION_KEY] = str(user.pk), settings.AUTHENTICATION_BACKENDS[0]
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.save()
        keys.append(session.session_key)
    tell(json.dumps(keys))


def _answer(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"uuid": "882f1c30-45b7-4fe2-bff8-12c78de3807e", "name": "Nutrition"})


def _browser() -> httpx.AsyncClient:
    """Return a browser whose requests go through the site as its server hands them over, each in a thread of its own.

    Django's test clients would leave connections open in threads that no server has.
    """
    transport = httpx.ASGITransport(app=application, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://testserver")


async def _post(browser: httpx.AsyncClient, key: str, label: str, secret: str) -> httpx.Response:
    cookies = f"{settings.SESSION_COOKIE_NAME}={key}; {settings.CSRF_COOKIE_NAME}={CSRF}"
    data = {"label": label, "server": SERVER, "token": secret, "csrfmiddlewaretoken": CSRF}
    return await browser.post("/tokens/add/", data=data, headers={"Cookie": cookies})


async def _save(browser: httpx.AsyncClient, number: int, keys: list[str]) -> list[str]:
    """Post one token through the view, again after each 503; return what each answer was."""
    person, secret = wanted(number)
    answers = []
    for _ in range(ROUNDS):
        response = await _post(browser, keys[person], str(number), secret)
        place = response.headers.get("Location", "")
        if response.status_code == 302:
            kind = "saved" if place.endswith("?added=1") else "already" if place == "/tokens/" else f"to {place}"
        else:
            kind = str(response.status_code)
        if kind == "503" and "Retry-After" not in response.headers:
            kind = "503 without Retry-After"
        answers.append(kind)
        if kind != "503":
            break
        await asyncio.sleep(int(response.headers["Retry-After"]))
    return answers


async def post(first: int, step: int, saves: int, go: Path) -> None:
    """Save each `step`th token from `first` on, all at once when the file is there; tell the answers."""
    keys = json.loads(sys.stdin.readline())
    pools.use_wire(lambda _: httpx.MockTransport(_answer))
    tell("ready")
    while not go.exists():  # noqa: ASYNC110, ASYNC240  # another process makes it
        await asyncio.sleep(0.01)
    async with _browser() as browser:
        all_answers = await asyncio.gather(*(_save(browser, number, keys) for number in range(first, saves, step)))
    tell(json.dumps(Counter(answer for answers in all_answers for answer in answers)))


async def locked() -> None:
    """Save while another hand holds SQLite's lock for longer than we wait, and again without it; tell the answers."""
    key = json.loads(sys.stdin.readline())[0]
    pools.use_wire(lambda _: httpx.MockTransport(_answer))
    settings.DATABASES["default"]["OPTIONS"]["timeout"] = 0.2
    secret = wanted(0)[1]
    async with _browser() as browser:
        with closing(sqlite3.connect(settings.DATABASES["default"]["NAME"], isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            refused = await _post(browser, key, "x", secret)
            other.execute("ROLLBACK")
        saved = await _post(browser, key, "x", secret)
    clean = "locked" not in refused.text and secret not in refused.text
    tell(json.dumps([refused.status_code, refused.headers.get("Retry-After"), clean, saved.status_code]))


def verify(saves: int) -> None:
    """Open every row; tell how many tokens are right, wrong, twice there and missing."""
    expected = {secret: person for person, secret in map(wanted, range(saves))}
    rows = list(RapidProToken.objects.select_related("owner"))
    opened = [(vault.open_token(row).reveal(), row.owner.username) for row in rows]
    right = {secret for secret, name in opened if name == f"person{expected.get(secret)}"}
    counts = {"rows": len(rows), "right": len(right), "twice": len(rows) - len({secret for secret, _ in opened})}
    tell(json.dumps(counts | {"missing": len(expected) - len(right)}))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["people"]:
            people()
        case ["post", first, step, saves, go]:
            asyncio.run(post(int(first), int(step), int(saves), Path(go)))
        case ["locked"]:
            asyncio.run(locked())
        case ["verify", saves]:
            verify(int(saves))
        case _:
            sys.exit("What?")
