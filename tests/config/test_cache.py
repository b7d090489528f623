"""The cache with Redis, without it, and with one that hangs: what is counted goes on being counted."""

import os
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import redis
from pytest_django import Settings

from config import cache as cache_module
from config.cache import FallbackRedisCache
from tests.redis_databases import redis_database

REDIS = redis_database(0)


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget which servers have failed before."""
    monkeypatch.setattr(cache_module, "_states", {})


def made(server: str) -> FallbackRedisCache:
    return FallbackRedisCache(server, {})


def exercise(cache: FallbackRedisCache) -> None:
    """Use everything that a cache can do, and check what comes back."""
    cache.clear()
    assert (cache.add("a", 1), cache.add("a", 2), cache.get("a")) == (True, False, 1)
    assert (cache.incr("a"), cache.decr("a", 2)) == (2, 0)
    cache.set("b", ["x"], 30)
    assert cache.get_many(["a", "b", "c"]) == {"a": 0, "b": ["x"]}
    assert ("b" in cache, "c" in cache) == (True, False)
    assert (cache.touch("b", 60), cache.touch("c")) == (True, False)
    assert cache.set_many({"d": 1, "e": 2}) == []
    cache.delete_many(["d"])
    assert (cache.get("d"), cache.get("e"), cache.get("d", "none")) == (None, 2, "none")
    assert (cache.delete("e"), cache.delete("e")) == (True, False)
    assert cache.get_or_set("f", lambda: 7) == 7
    cache.close()


@pytest.fixture
def closed_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"redis://127.0.0.1:{probe.getsockname()[1]}/0"


@pytest.fixture
def hanging() -> Iterator[str]:
    """Return the address of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


def test_without_redis_the_process_counts_for_itself(closed_port: str) -> None:
    exercise(made(closed_port))


def test_redis_that_hangs_costs_half_a_second_once(hanging: str) -> None:
    started = time.monotonic()
    exercise(made(hanging))
    assert cache_module.TIMEOUT_S <= time.monotonic() - started < 3 * cache_module.TIMEOUT_S


def test_hanging_redis_holds_up_twenty_threads_no_longer_than_one(hanging: str) -> None:
    started = time.monotonic()
    threads = [threading.Thread(target=lambda: made(hanging).add("a", 1)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - started < 3 * cache_module.TIMEOUT_S


def test_threads_of_a_process_count_together_without_redis(closed_port: str) -> None:
    assert made(closed_port).add("code", "used")
    assert not made(closed_port).add("code", "used")


def test_failure_is_logged_once_a_minute_and_says_no_password(
    closed_port: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = made(closed_port.replace("127", "user:hush@127"))
    monkeypatch.setattr(cache_module, "REST_S", 0)
    for _ in range(5):
        cache.get("a")
    assert [record.getMessage() for record in caplog.records] == [
        "The Redis cache does not answer (ConnectionError): this process counts alone."
    ]
    assert "hush" not in caplog.text


def test_fault_of_ours_is_no_failure_of_redis(closed_port: str) -> None:
    with pytest.raises(ValueError, match="not found"):
        made(closed_port).incr("nothing")


@pytest.fixture
def real() -> str:
    try:
        redis.Redis.from_url(REDIS, socket_connect_timeout=0.5).ping()
    except redis.RedisError:
        pytest.skip("No Redis is running here.")
    return REDIS


def test_with_redis_workers_count_together(real: str, monkeypatch: pytest.MonkeyPatch) -> None:
    exercise(made(real))
    one = made(real)
    one.delete("shared")
    assert one.add("shared", 1)
    # Another process has a local cache and a state of its own.
    monkeypatch.setattr(cache_module, "_states", {})
    monkeypatch.setattr("django.core.cache.backends.locmem._caches", {})
    assert made(real).get("shared") == 1
    one.delete("shared")


def test_redis_that_comes_back_is_used_again(real: str, closed_port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "REST_S", 0.05)
    cache = made(closed_port)
    cache.set("place", "here")
    cache._servers = [real]
    vars(cache).pop("_cache", None)
    assert cache.get("place") == "here"
    time.sleep(0.06)
    cache.set("place", "there")
    assert made(real).get("place") == "there"
    cache.delete("place")


def test_redis_address_gives_the_cache_that_does_without(settings: Settings) -> None:
    backend = settings.CACHES["default"]["BACKEND"]
    is_redis = os.environ["CACHE_URL"].startswith("redis")
    assert backend == (
        "config.cache.FallbackRedisCache" if is_redis else "django.core.cache.backends.locmem.LocMemCache"
    )
