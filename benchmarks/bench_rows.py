"""What the site spends on a page of 250 flows: `python -m benchmarks.bench_rows`, one process, DEBUG off, no socket.

The ASGI application is called in this process, and a wire of ours answers in RapidPro's place after `--latency` ms, so
that the CPU time is the site's own: middleware, database, cache, client above the wire, decoding, rendering. With
DATABASE_URL and CACHE_URL it measures on PostgreSQL and Redis, else on SQLite and in the process. `--profile` shows
where the time goes. Pages that are not as they should be end the run.
"""

import argparse
import asyncio
import base64
import cProfile
import os
import pstats
import secrets
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from benchmarks.rows import PAGE_ROWS, Flows

SERVER = "https://rapidpro.example"
ROW = b'<th scope="row">'
# A list of its own for each page asked: else it would be the kept one.
FILTERS: dict[str, dict[str, str]] = {
    "kept list": {},
    "kept list, page 2": {"page": "2"},
    "kept list, by htmx: a name": {"q": "vacinação"},
    "kept list, by htmx: a type": {"type": "voice"},
    "kept list, by htmx: an order": {"sort": "-runs"},
    "kept list, by htmx: a rate": {"rate_from": "40", "rate_to": "60"},
}


def prepare(folder: Path) -> None:
    """Set the environment of a site in production that is served without TLS, before Django reads it."""
    os.environ |= {
        "ENV_FILE": "",
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DEBUG": "false",
        "HTTPS": "false",
        "ALLOWED_HOSTS": "127.0.0.1",
        "SECRET_KEY": secrets.token_urlsafe(64),
        "TOKEN_KEYS": "k1:" + base64.b64encode(secrets.token_bytes(32)).decode(),
        "RAPIDPRO_SERVERS": SERVER,
        "STATIC_ROOT": str(folder / "static"),
        "LOG_LEVEL": "WARNING",
        "LOG_FILE": "",
    }
    os.environ.setdefault("DATABASE_URL", f"sqlite:///{folder / 'db.sqlite3'}")
    os.environ.setdefault("CACHE_URL", "locmemcache://rows")


class Upstream:
    """RapidPro's list of flows as a wire: page after page, each after the latency."""

    def __init__(self, flows: int, latency_ms: float) -> None:
        rows = [row.body for row in Flows(flows).rows]
        pages = [rows[start : start + PAGE_ROWS] for start in range(0, len(rows), PAGE_ROWS)]
        self._bodies = [
            b'{"next":%s,"previous":null,"results":[%s]}'
            % (
                f'"{SERVER}/api/v2/flows.json?cursor={number + 1}"'.encode() if number + 1 < len(pages) else b"null",
                b",".join(page),
            )
            for number, page in enumerate(pages)
        ]
        self._latency_s = latency_ms / 1000
        self.requests_count = 0

    async def answer(self, request: Any) -> Any:
        """Answer one request."""
        import httpx

        self.requests_count += 1
        if self._latency_s:
            await asyncio.sleep(self._latency_s)
        body = self._bodies[int(request.url.params.get("cursor", 0))]
        return httpx.Response(200, headers={"Content-Type": "application/json"}, content=body)


class Page:
    """One answer: its status and body, and milliseconds to the first row and to the end."""

    def __init__(self) -> None:
        self.status, self.body = 0, b""
        self.row_ms = self.ms = 0.0


async def get(application: Any, path: str, query: dict[str, str], cookie: str, *, by_htmx: bool) -> Page:
    """Return the page that the application answers with. Raises ValueError if it has no row."""
    headers = [(b"host", b"127.0.0.1"), (b"cookie", cookie.encode()), (b"accept", b"text/html")]
    headers += [(b"hx-request", b"true")] * by_htmx
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": urlencode(query).encode(),
        "headers": headers,
        "client": ("127.0.0.1", 5000),
        "server": ("127.0.0.1", 8000),
    }
    page, is_asked, ended = Page(), False, asyncio.Event()

    async def receive() -> dict[str, Any]:
        nonlocal is_asked
        if not is_asked:
            is_asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await ended.wait()
        return {"type": "http.disconnect"}

    started = time.perf_counter()

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            page.status = message["status"]
            return
        page.body += message.get("body", b"")
        if not page.row_ms and ROW in page.body:
            page.row_ms = (time.perf_counter() - started) * 1000

    # As in a server, which begins each request in a context of its own.
    await asyncio.create_task(application(scope, receive, send), context=Context())
    page.ms = (time.perf_counter() - started) * 1000
    ended.set()
    if page.status != 200 or ROW not in page.body:
        raise ValueError(f"{path} is a {page.status} without rows: {page.body[:300]!r}")
    return page


def make_person() -> tuple[int, Any, str]:
    """Save a person with a token and a session; return the person's id, the token, and the cookie."""
    from django.conf import settings
    from django.test import Client
    from django.utils import timezone

    from accounts.models import User
    from benchmarks.contenders import ours_token
    from rapidpro_integration import canaries, selectors, vault
    from rapidpro_integration.models import RapidProToken, TokenState
    from rapidpro_integration.vault import Secret

    name = f"rows{secrets.token_hex(4)}"
    person = User.objects.create_user(name, f"{name}@example.org", "a long enough passphrase")
    row_id, secret = uuid4(), Secret(ours_token(1))
    sealed = vault.seal_token(secret, row_id=row_id, owner_id=person.pk, origin=SERVER)
    with canaries.sealing():
        RapidProToken.objects.create(
            id=row_id,
            owner=person,
            label="Clinics",
            server=SERVER,
            sealed=sealed.text,
            key_id=sealed.key_id,
            fingerprint=vault.ring().fingerprint(secret, owner_id=person.pk, origin=SERVER),
            last_four="0001",
            state=TokenState.WORKING,
            workspace_uuid=uuid4(),
            workspace_name="Nutrition",
            checked_on=timezone.now(),
            check_duration_ms=12,
            check_status=200,
            check_reference="0A1B2C3D",
        )
    browser = Client()
    browser.force_login(person)
    cookie = browser.cookies[settings.SESSION_COOKIE_NAME]
    return person.pk, selectors.tokens_of(person.pk).get(pk=row_id), f"{cookie.key}={cookie.value}"


type Ask = Callable[[], Awaitable[Page]]


def addition_ms() -> float:
    """Return how long a million additions take now: neighbours on the machine slow a processor down by half or more."""
    started = time.process_time()
    sum(range(2_000_000))
    return (time.process_time() - started) * 500


@dataclass(slots=True)
class Found:
    """For each window the CPU ms a page and those of a million additions; of all pages ms to the first row and end."""

    cpu_ms: list[float] = field(default_factory=list)
    addition_ms: list[float] = field(default_factory=list)
    row_ms: list[float] = field(default_factory=list)
    all_ms: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        pace = statistics.median(cpu / unit for cpu, unit in zip(self.cpu_ms, self.addition_ms, strict=True))
        return (
            f"CPU {spread(self.cpu_ms)} ms a page, as {pace:5.2f} million additions;"
            f" first row {spread(self.row_ms)} ms, all {spread(self.all_ms)} ms"
        )


async def measure(ask: Ask, windows: int, pages: int) -> Found:
    """Return what so many windows of pages take."""
    found = Found()
    for _ in range(windows):
        unit_ms = addition_ms()
        started = time.process_time()
        for _ in range(pages):
            page = await ask()
            found.row_ms.append(page.row_ms)
            found.all_ms.append(page.ms)
        # What an answer leaves to be done after it is a part of its cost.
        if left := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(left, timeout=1)
        found.cpu_ms.append((time.process_time() - started) * 1000 / pages)
        found.addition_ms.append((unit_ms + addition_ms()) / 2)
    return found


async def run(options: argparse.Namespace) -> None:
    """Measure each page and print a line for it."""
    from asgiref.sync import sync_to_async

    from config.asgi import application
    from rapidpro_integration import kept
    from rapidpro_integration.client import pools

    upstream = Upstream(options.flows, options.latency)
    import httpx

    pools.use_wire(lambda _: httpx.MockTransport(upstream.answer))
    _, token, cookie = await sync_to_async(make_person)()
    path = f"/tokens/{token.pk}/flows/"

    async def from_upstream() -> Page:
        kept.drop(token)
        return await get(application, path, {}, cookie, by_htmx=False)

    cases: dict[str, Ask] = {"asked upstream": from_upstream}
    for name, query in FILTERS.items():
        if "page" in query and options.flows <= PAGE_ROWS:
            continue

        async def filtered(query: dict[str, str] = query, by_htmx: bool = "htmx" in name) -> Page:
            return await get(application, path, query, cookie, by_htmx=by_htmx)

        cases[name] = filtered
    if options.only:
        cases = {name: case for name, case in cases.items() if options.only in name}
        await get(application, path, {}, cookie, by_htmx=False)
    profile = cProfile.Profile() if options.profile else None
    for name, ask in cases.items():
        await measure(ask, 1, options.pages)
        # A list may still be on its way behind the page that showed its beginning.
        deadline = time.monotonic() + 60
        while name != "asked upstream" and b"<progress" in (await ask()).body and time.monotonic() < deadline:  # noqa: ASYNC110  # the page says no more
            await asyncio.sleep(0.2)
        asked = upstream.requests_count
        if profile:
            profile.enable()
        found = await measure(ask, options.windows, options.pages)
        if profile:
            profile.disable()
        each = (upstream.requests_count - asked) / (options.windows * options.pages)
        print(
            f"{name:32} {found}; {len((await ask()).body)} bytes, {each:g} requests a page",
            flush=True,
        )
    if profile:
        pstats.Stats(profile).sort_stats(options.sort).print_stats(options.lines)


def spread(values: Sequence[float]) -> str:
    """Return the median, and the smallest and the largest."""
    return f"{statistics.median(values):6.2f} ({min(values):.2f}–{max(values):.2f})"


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--flows", type=int, default=PAGE_ROWS)
    parser.add_argument("--latency", type=float, default=0.0, help="of the upstream, in milliseconds")
    parser.add_argument("--windows", type=int, default=10)
    parser.add_argument("--pages", type=int, default=20, help="in a window")
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--sort", default="tottime")
    parser.add_argument("--lines", type=int, default=40)
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="bench-rows-") as folder:
        prepare(Path(folder))
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        call_command("collectstatic", verbosity=0, interactive=False)
        print(f"{options.flows:,} flows, {options.latency:g} ms upstream, load {load:.1f} before")
        asyncio.run(run(options))
        from rapidpro_integration import openings

        openings._openings.flush(everything=True)  # while the database is there


if __name__ == "__main__":
    main()
