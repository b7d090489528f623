"""What pages of the site cost besides waiting: thread hops, queries, connections, upstream requests, CPU time.

    DATABASE_URL=… python benchmarks/frame_child.py [--cpu REQUESTS]

Prints JSON, a page a key. The pages are asked for in this process, through all of `config.asgi.application`, one after
the other. RapidPro is an `httpx.MockTransport`: what is counted is what we would send. Fill no database by hand: the
people are made here, and their names are new each time. Imports the site from PYTHONPATH, so that the same file can
measure an older tree.
"""

import argparse
import asyncio
import functools
import json
import os
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SERVER = "https://rapidpro.example"
FLOWS = 250
WARM_UP = 3
HOST = "127.0.0.1"


@dataclass
class Counts:
    """What happened during one request; each entry names who did it."""

    hops: list[str] = field(default_factory=list)
    threads: list[str] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    connections: list[str] = field(default_factory=list)
    upstream: list[str] = field(default_factory=list)


counts = Counts()


def _name(call: Any) -> str:
    """Return what a thread is asked to run: asgiref and asyncio hand it over wrapped in themselves."""
    while isinstance(call, functools.partial):
        inner = [each for each in call.args if isinstance(each, functools.partial)]
        call = inner[-1] if inner else call.args[0] if _is_wrapper(call.func) and call.args else call.func
    owner = getattr(call, "__module__", "") or type(call).__module__
    return f"{owner}.{getattr(call, '__qualname__', type(call).__qualname__)}"


def _is_wrapper(call: Any) -> bool:
    return getattr(call, "__qualname__", "") == "Context.run" or getattr(call, "__name__", "") == "run"


def _place() -> str:
    """Return the nearest lines of the site that lead here."""
    ours = [
        f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_stack()[:-2]
        if "site-packages" not in frame.filename
        and "/lib/python" not in frame.filename
        and not frame.filename.endswith("frame_child.py")
    ]
    return " < ".join(reversed(ours[-3:]))


@contextmanager
def counted() -> Iterator[None]:
    """Write down what happens inside."""
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.backends.utils import CursorWrapper

    undo: list[Callable[[], None]] = []

    def wrap(owner: Any, name: str, note: Callable[..., None]) -> None:
        raw = vars(owner)[name]

        @functools.wraps(getattr(raw, "__func__", raw))
        def noting(*args: Any, **kwargs: Any) -> Any:
            note(*args, **kwargs)
            return getattr(raw, "__func__", raw)(*args, **kwargs)

        setattr(owner, name, classmethod(noting) if isinstance(raw, classmethod) else noting)
        undo.append(lambda: setattr(owner, name, raw))

    wrap(
        ThreadPoolExecutor,
        "submit",
        lambda self, call, *args, **_: counts.hops.append(_name(functools.partial(call, *args))),
    )
    wrap(threading.Thread, "start", lambda self: counts.threads.append(self.name))
    wrap(CursorWrapper, "_execute", lambda self, sql, *_: counts.queries.append(f"{str(sql)[:90]} ({_place()})"))
    if os.environ["DATABASE_URL"].startswith("postgres"):
        import psycopg

        wrap(psycopg.Connection, "connect", lambda *_, **__: counts.connections.append(_place()))
    else:
        wrap(BaseDatabaseWrapper, "connect", lambda *_, **__: counts.connections.append(_place()))
    try:
        yield
    finally:
        for back in undo:
            back()


async def ask(application: Any, path: str, cookie: str) -> tuple[int, bytes]:
    """Return status and body of the page, once the request is over in every respect."""
    name, _, query = path.partition("?")
    headers = [
        (b"host", HOST.encode()),
        (b"accept", b"text/html"),
        (b"accept-language", b"en"),
        (b"user-agent", b"bench"),
    ]
    if cookie:
        headers.append((b"cookie", cookie.encode()))
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": name, "raw_path": name.encode(), "query_string": query.encode(), "root_path": "",
        "headers": headers, "client": (HOST, 50000), "server": (HOST, 8000),
    }  # fmt: skip
    asked, status, body = False, 0, b""

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await asyncio.Event().wait()
        raise AssertionError("nobody leaves")

    async def send(message: dict[str, Any]) -> None:
        nonlocal status, body
        status = message.get("status", status)
        body += message.get("body", b"")

    await application(scope, receive, send)
    return status, body


def upstream() -> Any:
    """Return RapidPro's place: one page with FLOWS flows, whichever is asked for."""
    import httpx

    def flow(number: int) -> dict[str, Any]:
        return {
            "uuid": str(uuid.UUID(int=number + 1)), "name": f"Flow {number}", "type": "message", "archived": False,
            "labels": [], "expires": 720, "created_on": f"2025-01-01T00:{number // 60:02}:{number % 60:02}Z",
            "modified_on": "2025-02-01T00:00:00Z", "results": [], "parent_refs": [],
            "runs": {"active": number, "completed": 2 * number, "interrupted": 0, "expired": 1},
        }  # fmt: skip

    flows = [flow(number) for number in range(FLOWS)]

    def answer(request: httpx.Request) -> httpx.Response:
        counts.upstream.append(request.url.path)
        found = flows[:1] if "uuid" in request.url.params else flows
        return httpx.Response(200, json={"next": None, "previous": None, "results": found})

    return httpx.MockTransport(answer)


def people() -> dict[str, Any]:
    """Save a person with five tokens and a member of staff; return their cookies and the tokens' ids."""
    from allauth.mfa.models import Authenticator
    from django.conf import settings
    from django.test import Client
    from django.utils import timezone

    from accounts.models import User
    from rapidpro_integration import canaries, vault
    from rapidpro_integration.models import RapidProToken, TokenState
    from rapidpro_integration.vault import Secret

    mark = uuid.uuid4().hex[:8]
    made: dict[str, Any] = {"": "", "tokens": []}
    for name, fields in {"person": {}, "staff": {"is_staff": True, "is_superuser": True}}.items():
        user = User.objects.create_user(
            f"{name}-{mark}", f"{name}-{mark}@example.org", "a long enough passphrase", **fields
        )
        if fields:
            Authenticator.objects.create(user=user, type=Authenticator.Type.TOTP, data={"secret": ""})
        browser = Client()
        browser.force_login(user)
        cookie = browser.cookies[settings.SESSION_COOKIE_NAME]
        made[name] = f"{cookie.key}={cookie.value}"
        made[f"{name}_id"] = user.pk
    for number in range(5):
        row_id, owner_id, secret = uuid.uuid4(), made["person_id"], Secret(f"{number:040x}")
        sealed = vault.seal_token(secret, row_id=row_id, owner_id=owner_id, origin=SERVER)
        with canaries.sealing():
            RapidProToken.objects.create(
                id=row_id, owner_id=owner_id, label=f"Token {number}", server=SERVER, sealed=sealed.text,
                key_id=sealed.key_id, fingerprint=vault.ring().fingerprint(secret, owner_id=owner_id, origin=SERVER),
                last_four="0000", state=TokenState.WORKING, workspace_uuid=uuid.uuid4(), workspace_name="Nutrition",
                checked_on=timezone.now(),
            )  # fmt: skip
        made["tokens"].append(str(row_id))
    return made


def pages(made: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Return path and cookie of each page by its name."""
    token = made["tokens"][0]
    return {
        "healthz": ("/healthz", ""),
        "front, a stranger's": ("/", ""),
        "home": ("/", "person"),
        "token list": ("/tokens/", "person"),
        "one token": (f"/tokens/{token}/", "person"),
        "flow list, kept": (f"/tokens/{token}/flows/", "person"),
        "flow list, asking": (f"/tokens/{token}/flows/", "person"),
        "one flow": (f"/tokens/{token}/flows/{uuid.UUID(int=1)}/", "person"),
        "profile": ("/accounts/profile/", "person"),
        "staff overview": ("/staff/overview/", "staff"),
    }


async def measure(application: Any, made: dict[str, Any], requests: int, only: str) -> dict[str, Any]:
    """Return what each page costs."""
    from rapidpro_integration import kept
    from rapidpro_integration.models import RapidProToken

    found = {}
    row = await RapidProToken.objects.aget(pk=made["tokens"][0])
    for name, (path, who) in pages(made).items():
        if only and only not in name:
            continue

        async def once(path: str = path, who: str = who, name: str = name) -> None:
            if name.endswith("asking"):
                await kept.adrop(row)
            global counts
            counts = Counts()
            # A task and so a context of its own, as servers give each: what is left in one is copied at each hop.
            status, body = await asyncio.create_task(ask(application, path, made[who]))
            if status != 200:
                raise SystemExit(f"{name}: {path} is a {status}: {body[:300]!r}")

        with counted():
            for _ in range(WARM_UP):
                await once()
                await asyncio.sleep(0.05)
        found[name] = vars(counts)
        if requests and not name.endswith("asking"):
            found[name] |= await cpu(once, requests)
    return found


async def cpu(once: Callable[[], Any], requests: int) -> dict[str, float]:
    """Return the medians of windows of a tenth of the requests each, in milliseconds a request."""
    times = []
    window = max(requests // 10, 1)
    for _ in range(10):
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        for _ in range(window):
            await once()
        times.append(((time.process_time() - cpu_s) / window, (time.perf_counter() - wall_s) / window))
    middle = len(times) // 2
    return {
        "cpu_ms": sorted(each[0] for each in times)[middle] * 1000,
        "wall_ms": sorted(each[1] for each in times)[middle] * 1000,
    }


def main() -> None:
    """Make people, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cpu", type=int, default=0, metavar="REQUESTS", help="measure CPU time over so many requests")
    parser.add_argument("--only", default="", help="only pages whose name has this in it")
    parser.add_argument("--profile", default="", help="write cProfile's numbers of the CPU runs here")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.db import connections

    from config.asgi import application  # sets Django up
    from rapidpro_integration.client import pools

    made = people()
    connections.close_all()
    transport = upstream()
    pools.use_wire(lambda _: transport)
    if options.profile:
        import cProfile

        profile = cProfile.Profile()
        threading.setprofile(None)
        profile.enable()
    found = asyncio.run(measure(application, made, options.cpu, options.only))
    if options.profile:
        profile.disable()
        profile.dump_stats(options.profile)
    json.dump(found, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
