"""Processes tell each other of waits through Redis, and none is held up by a Redis that is gone or silent."""

import asyncio
import logging
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache

from config.cache import FallbackRedisCache
from rapidpro_integration import waits
from rapidpro_integration.client import RapidProAPI
from rapidpro_integration.client.quota import Quota
from rapidpro_integration.waits import ANSWER_S, REST_S, CacheWaits
from tests.conftest import SECRET
from tests.redis_databases import redis_database

LOCATION = redis_database(2)
OPTIONS = {"socket_timeout": 1, "socket_connect_timeout": 1}


def _has_redis() -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", 6379)) == 0


needs_redis = pytest.mark.skipif(not _has_redis(), reason="no Redis listens on 127.0.0.1:6379")


def redis_cache(location: str = LOCATION) -> RedisCache:
    return RedisCache(location, {"OPTIONS": dict(OPTIONS)})


@pytest.fixture
def key() -> Iterator[str]:
    """Return the key of a workspace that no other test knows; what is kept under it is deleted."""
    name = f"https://rapidpro.example {uuid.uuid4()} v2"
    yield name
    redis_cache().delete(waits._name(name))


@contextmanager
def silent_port() -> Iterator[int]:
    """Listen, let everybody connect, and never say a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        yield listener.getsockname()[1]


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# --- A Redis that works -------------------------------------------------------------------------


@needs_redis
async def test_wait_is_kept_for_as_long_as_it_lasts(key: str) -> None:
    now = [1_000_000.0]
    store = CacheWaits(redis_cache(), clock=lambda: now[0])
    assert await store.aget(key) is None
    await store.aset(key, 30)
    assert await store.aget(key) == 30
    now[0] += 29
    assert await store.aget(key) == 1
    now[0] += 1
    assert await store.aget(key) is None
    await store.aset(key, 1)
    cache = redis_cache()
    assert cache.get(waits._name(key)) is not None
    await asyncio.sleep(1.1)
    assert cache.get(waits._name(key)) is None, "Redis forgets it by itself"


@needs_redis
def test_one_process_waits_for_what_another_was_told(key: str) -> None:
    script = """
import asyncio, sys, django
django.setup()
from rapidpro_integration.client import transport

async def tell(): await transport.quota.anote(sys.argv[2], 30)
async def ask(): print(await transport.quota.await_s(sys.argv[2]))

assert transport.quota.store is not None
asyncio.run({"tell": tell, "ask": ask}[sys.argv[1]]())
"""
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings", "CACHE_URL": f"rediscache{LOCATION[5:]}"}

    def run(what: str, name: str) -> str:
        done = subprocess.run(
            [sys.executable, "-X", "dev", "-c", script, what, name],
            env=environment,
            cwd=settings.BASE_DIR,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert "Warning" not in done.stderr
        return done.stdout

    assert run("ask", key) == "0.0\n"
    run("tell", key)
    assert 10 < float(run("ask", key)) <= 30
    assert run("ask", f"{key}.runs") == "0.0\n"


@needs_redis
async def test_key_shows_neither_token_nor_workspace(key: str) -> None:
    client = redis_cache()._cache.get_client()  # type: ignore[attr-defined]
    before = set(client.keys("*"))
    await CacheWaits(redis_cache()).aset(f"{key} {SECRET}", 5)
    [new] = set(client.keys("*")) - before
    assert new.startswith(b":1:rapidpro-wait:")
    for told in (SECRET, RapidProAPI(SECRET).credential.mark(), key.split()[1], "rapidpro.example"):
        assert told.encode() not in new
    client.delete(new)


@needs_redis
@pytest.mark.parametrize("found", ["text", None, {"a": 1}, float("nan"), float("inf"), -1.0, True])
async def test_foreign_values_are_no_waits_that_last(key: str, found: object) -> None:
    redis_cache().set(waits._name(key), found, 5)
    wait_s = await CacheWaits(redis_cache()).aget(key)
    assert wait_s is None or wait_s <= 24 * 3600


# --- A Redis that does not ----------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["gone", "silent"])
async def test_redis_that_is_gone_or_silent_holds_nobody_up(fault: str, caplog: pytest.LogCaptureFixture) -> None:
    now = [1000.0]
    with silent_port() as silent:
        port = silent if fault == "silent" else closed_port()
        # The best of three: this machine does other things too, and a caller that is held up is so each time.
        for tries_left in (2, 1, 0):
            caplog.clear()
            store = CacheWaits(redis_cache(f"redis://127.0.0.1:{port}/0"), monotonic=lambda: now[0])
            quota = Quota()
            quota.store = store
            started = time.monotonic()
            await asyncio.gather(*[quota.await_s(f"key {number}") for number in range(100)])
            first_s = time.monotonic() - started
            started = time.monotonic()
            await quota.anote("key", 60)
            assert 59 < await quota.await_s("key") <= 60, "the process goes by what it knows itself"
            later_s = time.monotonic() - started
            if (first_s < ANSWER_S + 0.25 and later_s < 0.02) or not tries_left:
                break
            store._threads.shutdown(wait=True, cancel_futures=True)
        assert first_s < ANSWER_S + 0.25
        assert later_s < 0.02
        lines = [record for record in caplog.records if record.name == "rapidpro_integration.waits"]
        assert [record.levelno for record in lines] == [logging.WARNING]
        # It is asked again after its rest; the log hears of it once a minute.
        for _ in range(10):
            now[0] += REST_S
            await store.aget("another key")
        lines = [record for record in caplog.records if record.name == "rapidpro_integration.waits"]
        assert len(lines) == 2
        assert "127.0.0.1" not in caplog.text
        store._threads.shutdown(wait=True, cancel_futures=True)


@pytest.mark.parametrize("fault", ["gone", "silent"])
async def test_site_s_own_cache_holds_nobody_up_either(fault: str, caplog: pytest.LogCaptureFixture) -> None:
    with silent_port() as silent:
        port = silent if fault == "silent" else closed_port()
        store = CacheWaits(FallbackRedisCache(f"redis://127.0.0.1:{port}/0", {}))
        started = time.monotonic()
        assert await asyncio.gather(*[store.aget(f"key {number}") for number in range(100)]) == [None] * 100
        assert time.monotonic() - started < ANSWER_S + 0.25
        store._threads.shutdown(wait=True, cancel_futures=True)
    loggers = {record.name for record in caplog.records if record.levelno >= logging.WARNING}
    assert loggers & {"config.cache", "rapidpro_integration.waits"}, "never swallowed in silence"


@needs_redis
async def test_redis_that_comes_back_is_used_again(key: str) -> None:
    now = [1000.0]
    with silent_port() as port:
        store = CacheWaits(redis_cache(f"redis://127.0.0.1:{port}/0"), monotonic=lambda: now[0])
        await store.aset(key, 30)
        store._cache = redis_cache()
        await store.aset(key, 30)
        assert await CacheWaits(redis_cache()).aget(key) is None, "still resting"
        now[0] += REST_S
        await store.aset(key, 30)
        assert await CacheWaits(redis_cache()).aget(key) is not None
        store._threads.shutdown(wait=True, cancel_futures=True)


# --- Which cache --------------------------------------------------------------------------------


def test_memory_is_no_store_and_redis_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def shared(cache: object) -> CacheWaits | None:
        with monkeypatch.context() as patch:
            patch.setattr(waits, "caches", {"default": cache})
            return waits.shared_store()

    assert shared(LocMemCache("tests", {})) is None
    assert isinstance(shared(redis_cache()), CacheWaits)
    assert isinstance(shared(FallbackRedisCache(LOCATION, {})), CacheWaits)
