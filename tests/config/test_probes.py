"""What machines ask: does it live, can it serve. Nobody who asks learns more than names of parts."""

import asyncio
import re
import signal
import subprocess
import sys
import threading
import time
import types
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import settings as settings_module
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import AsyncClient, Client
from django.utils import timezone
from pytest_django import Settings

from config import lifespan, probes, readiness
from config.asides import Aside
from config.cache import FallbackRedisCache
from config.handler import Handler
from config.readiness import OK, TIMED_OUT, NotReady, Part, Readiness
from rapidpro_integration import ready
from rapidpro_integration.models import KeyCanary, RapidProToken, TokenState
from rapidpro_integration.observations.models import TokenStateHour
from tests import served
from tests.databases import RealDatabase
from tests.served import free_port, wait_for


@pytest.fixture(autouse=True)
def _asides_at_once() -> None:
    """Ask in other threads, as the site does."""


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Readiness:
    """Return what /readyz asks in this test: nothing yet."""
    fresh = Readiness()
    monkeypatch.setattr(probes, "readiness", fresh)
    return fresh


def broken(error: Exception) -> Part:
    def check() -> None:
        raise error

    return Part("broken", check)


@pytest.mark.parametrize("address", ["/livez", "/healthz"])
def test_live_process_says_so_and_asks_nobody(client: Client, address: str) -> None:
    # Without the `db` fixture each query would fail this test.
    response = client.get(address)
    assert (response.status_code, response.content) == (200, b"ok\n")


@pytest.mark.parametrize("address", ["/livez", "/healthz", "/readyz"])
def test_probes_come_by_any_name_over_plain_http_and_without_a_session(
    address: str, settings: Settings, parts: Readiness
) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.ALLOWED_HOSTS = ["console.example"]
    client = Client(headers={"Host": "10.0.0.7:8000", "Cookie": "sessionid=" + "a" * 32})
    response = client.get(address)
    assert response.status_code == 200
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["X-Request-Id"]
    assert not response.cookies
    assert client.post(address).status_code == 405
    assert client.head(address).status_code == 200


async def test_async_stack_answers_them_too(settings: Settings, parts: Readiness) -> None:
    settings.ALLOWED_HOSTS = ["console.example"]
    assert (await AsyncClient().get("/livez", headers={"Host": "10.0.0.7"})).status_code == 200
    parts.register(broken(NotReady("no")))
    assert (await AsyncClient().get("/readyz", headers={"Host": "10.0.0.7"})).status_code == 503


def test_answer_names_each_part_and_nothing_else(
    client: Client, parts: Readiness, caplog: pytest.LogCaptureFixture
) -> None:
    parts.register(Part("fine", lambda: None))
    assert client.get("/readyz").json() == {"ready": True, "parts": {"fine": "ok"}}
    parts.register(broken(OperationalError("postgres://console:hunter2-hunter2@db.internal refused")))
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {"ready": False, "parts": {"fine": "ok", "broken": "failed"}}
    client.get("/readyz")
    lines = [record.getMessage() for record in caplog.records if record.name == readiness.__name__]
    assert lines == ["Not ready: broken (OperationalError)."]


def test_part_that_is_not_needed_is_told_and_does_no_harm(client: Client, parts: Readiness) -> None:
    parts.register(Part("extra", broken(NotReady("gone")).check, needed=False))
    response = client.get("/readyz")
    assert (response.status_code, response.json()) == (200, {"ready": True, "parts": {"extra": "failed"}})


async def test_hanging_part_is_not_waited_for_and_begun_once(parts: Readiness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "LIMIT_S", 0.05)
    release, begun = threading.Event(), list[int]()

    def hang() -> None:
        begun.append(1)
        release.wait(10)

    parts.register(Part("hanging", hang))
    parts.register(Part("fine", lambda: None))
    started = time.monotonic()
    for said in await asyncio.gather(*[parts.alook() for _ in range(20)]):
        assert said == (False, {"hanging": TIMED_OUT, "fine": OK})
    assert (await parts.alook())[0] is False
    assert time.monotonic() - started < 1
    assert len(begun) == 1
    release.set()


async def test_answer_is_believed_for_a_second() -> None:
    now, asked = [0.0], list[float]()
    aside = Aside(lambda: asked.append(now[0]), limit_s=1, kept_s=1, clock=lambda: now[0])
    await asyncio.gather(aside.ask(), aside.ask())
    now[0] = 0.9
    await aside.ask()
    now[0] = 1.0
    await aside.ask()
    assert asked == [0.0, 1.0]
    aside.forget()
    await aside.ask()
    assert len(asked) == 3


async def test_who_asks_what_hangs_is_told_at_once_and_nothing_is_kept_for_them() -> None:
    release = threading.Event()
    aside = Aside(lambda: release.wait(10), limit_s=0.1, kept_s=1)
    with pytest.raises(TimeoutError):
        await aside.ask()
    running = aside._running
    assert running is not None
    kept, started = len(running._done_callbacks), time.monotonic()
    for _ in range(20):
        with pytest.raises(TimeoutError):
            await aside.ask()
    assert time.monotonic() - started < 1
    assert len(running._done_callbacks) == kept
    release.set()


async def test_part_is_asked_again_where_no_thread_was_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    start, refused = threading.Thread.start, list[str]()

    def refuse_once(thread: threading.Thread) -> None:
        if not refused:
            refused.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    aside = Aside(lambda: OK, limit_s=1, kept_s=1)
    monkeypatch.setattr(threading.Thread, "start", refuse_once)
    with pytest.raises(RuntimeError, match="new thread"):
        await aside.ask()
    assert await aside.ask() == OK
    assert refused == ["aside"]


def test_process_that_is_told_to_stop_lives_and_is_not_ready(
    client: Client, parts: Readiness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifespan, "_stopping", True)
    assert client.get("/livez").status_code == 200
    response = client.get("/readyz")
    assert (response.status_code, response.json()) == (503, {"ready": False, "parts": {"process": "stopping"}})


# --- The parts ----------------------------------------------------------------------------------


def test_process_asks_these_parts() -> None:
    assert set(readiness.readiness._parts) == {"database", "migrations", "cache", "keys"}


def test_all_is_well_in_a_database_of_ours(token: RapidProToken) -> None:
    readiness.check_database()
    readiness.check_cache()
    readiness.MigrationsApplied()()
    ready.check_keys()


def test_migration_that_waits_is_seen_until_it_is_applied(db: None) -> None:
    recorder = MigrationRecorder(connection)
    last = max(name for app, name in recorder.applied_migrations() if app == "rapidpro_integration")
    check = readiness.MigrationsApplied()
    recorder.record_unapplied("rapidpro_integration", last)
    with pytest.raises(NotReady, match="1 migrations wait"):
        check()
    recorder.record_applied("rapidpro_integration", last)
    check()


def test_other_key_under_an_id_and_a_retired_first_one_are_seen(token: RapidProToken) -> None:
    KeyCanary.objects.update(retired_on=timezone.now())
    with pytest.raises(NotReady, match="1 keys"):
        ready.check_keys()
    KeyCanary.objects.update(retired_on=None, check_value="0" * 64)
    with pytest.raises(NotReady, match="1 keys"):
        ready.check_keys()


def test_cache_that_each_process_has_for_itself_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = FallbackRedisCache("redis://127.0.0.1:1/0", {"TIMEOUT": 10})
    monkeypatch.setattr(readiness, "cache", alone)
    with pytest.raises(NotReady):
        readiness.check_cache()


def heart(monkeypatch: pytest.MonkeyPatch, beat: datetime | None) -> None:
    module = types.ModuleType("heartbeat")
    module.worker_heartbeat = lambda: beat  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "rapidpro_integration.health.heartbeat", module)


def test_silent_worker_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    heart(monkeypatch, timezone.now() - timedelta(seconds=50))
    ready.check_worker()
    for silent in (None, timezone.now() - timedelta(seconds=70)):
        heart(monkeypatch, silent)
        with pytest.raises(NotReady, match="no worker"):
            ready.check_worker()


@pytest.mark.parametrize("wanted", [True, False])
def test_worker_is_asked_for_only_by_setting(settings: Settings, monkeypatch: pytest.MonkeyPatch, wanted: bool) -> None:
    fresh = Readiness()
    monkeypatch.setattr(ready, "readiness", fresh)
    settings.READY_NEEDS_WORKER = wanted
    ready.connect()
    assert ("worker" in fresh._parts) is wanted


# --- The end ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("delay_s", "signals", "waited"), [(0.0, 1, False), (0.2, 1, True), (30.0, 2, False)])
def test_signal_makes_it_unready_before_the_server_hears_of_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, delay_s: float, signals: int, waited: bool
) -> None:
    """In the main thread, where signals come: so with a loop of its own and not as a coroutine test."""
    settings.STOP_DELAY_S = delay_s
    monkeypatch.setattr(lifespan, "_jobs", [])
    monkeypatch.setattr(lifespan, "_closers", [])
    monkeypatch.setattr(lifespan, "_stopping", False)

    async def live() -> tuple[bool, bool]:
        heard, server = asyncio.Queue[dict[str, str]](), asyncio.Event()
        before = signal.signal(signal.SIGTERM, lambda *_: server.set())
        started = asyncio.Event()

        async def send(message: Mapping[str, Any]) -> None:
            started.set()

        heard.put_nowait({"type": "lifespan.startup"})
        application = asyncio.create_task(lifespan.Lifespan(Handler())({"type": "lifespan"}, heard.get, send))
        try:
            await started.wait()
            assert not lifespan.is_stopping()
            for _ in range(signals):
                signal.raise_signal(signal.SIGTERM)
            was = (lifespan.is_stopping(), server.is_set())
            async with asyncio.timeout(5):
                await server.wait()
                heard.put_nowait({"type": "lifespan.shutdown"})
                await application
            # Nothing of ours stays behind.
            assert signal.getsignal(signal.SIGTERM) is not before
            server.clear()
            signal.raise_signal(signal.SIGTERM)
            assert server.is_set()
        finally:
            signal.signal(signal.SIGTERM, before)
        return was

    assert asyncio.run(live()) == (True, not waited)


def test_real_process_tells_of_itself_and_writes_its_counts_before_it_ends(real_database: RealDatabase) -> None:
    port = free_port()
    environment = served.environment(Path(), DATABASE_URL=real_database.url, STOP_DELAY_S="0.7", METRICS_KEY="k" * 32)
    command = [sys.executable, "-m", "uvicorn", "config.asgi:application", "--port", str(port), "--lifespan", "on"]
    process = subprocess.Popen(command, env=environment, cwd=settings_module.BASE_DIR, stderr=subprocess.PIPE)
    try:
        wait_for(port, process)
        at = f"http://127.0.0.1:{port}"
        headers = {"Host": "10.1.2.3"}
        answer = httpx.get(f"{at}/readyz", headers=headers)
        assert answer.json() == {
            "ready": True,
            "parts": dict.fromkeys(["database", "migrations", "cache", "keys"], "ok"),
        }
        text = httpx.get(f"{at}/metrics", headers=headers | {"Authorization": f"Bearer {'k' * 32}"}).text
        assert 'console_tokens{state="working"} 0.0' in text
        assert httpx.get(f"{at}/metrics").status_code == 404
        process.send_signal(signal.SIGTERM)
        while (answer := httpx.get(f"{at}/readyz", headers=headers)).status_code == 200:
            time.sleep(0.02)
        assert answer.json() == {"ready": False, "parts": {"process": "stopping"}}
        assert httpx.get(f"{at}/livez", headers=headers).status_code == 200
        _, log = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == -signal.SIGTERM
    assert not re.search(rb"Traceback|Warning|ERROR", log), log.decode()
    with real_database.connected() as alias:
        assert TokenStateHour.objects.using(alias).count() == len(TokenState.values)
