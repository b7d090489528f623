"""The cache with a Redis that is full, slow, hangs or comes back empty: one of one's own, for nobody else's may be."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from config import cache as cache_module
from config.cache import FallbackRedisCache
from tests.faults.own import CannotRun, Redis, redis_server
from tests.served import HOST


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget which servers have failed before, and begin each local cache empty."""
    monkeypatch.setattr(cache_module, "_states", {})
    monkeypatch.setattr("django.core.cache.backends.locmem._caches", {})


@pytest.fixture
def own() -> Iterator[Redis]:
    try:
        with redis_server() as server:
            yield server
    except CannotRun as reason:
        pytest.skip(str(reason))


def made(server: Redis) -> FallbackRedisCache:
    return FallbackRedisCache(server.url.replace("rediscache", "redis"), {})


def test_full_redis_makes_no_count_begin_anew(own: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "REST_S", 0.05)
    cache = made(own)
    cache.set("seen", "in Redis")
    own.client().config_set("maxmemory", 1)
    assert cache.add("tries", 1), "refused by Redis, so this process counts"
    for count in range(2, 6):
        time.sleep(0.06)
        # Reading would be answered: by a Redis in which nobody has tried anything.
        assert cache.get("seen") is None
        assert cache.incr("tries") == count
    assert not cache.is_shared()
    own.client().config_set("maxmemory", 0)
    time.sleep(0.06)
    assert cache.get("seen") == "in Redis"
    assert cache.is_shared()


def test_redis_that_comes_back_empty_is_used_again(own: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "REST_S", 0.05)
    cache = made(own)
    cache.set("place", "before")
    own.kill()
    cache.set("place", "alone")
    assert (cache.get("place"), cache.is_shared()) == ("alone", False)
    own.start()
    time.sleep(0.06)
    assert cache.get("place") is None
    assert cache.is_shared()


def test_wrong_password_is_a_failure_like_another_and_is_not_logged(
    own: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    own.client().config_set("requirepass", "the right one")
    cache = FallbackRedisCache(f"redis://:a-wrong-one@{HOST}:{own.port}/0", {})
    cache.set("place", "here")
    assert (cache.get("place"), cache.is_shared()) == ("here", False)
    assert "(AuthenticationError): this process counts alone." in caplog.text
    assert "wrong-one" not in caplog.text


def test_redis_that_is_slow_again_and_again_is_left_alone(
    own: Redis, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cache_module, "REST_S", 0.05)
    cache = made(own)
    cache.set("place", "there")
    monkeypatch.setattr(cache_module, "SLOW_S", -1.0)  # as if each answer took too long
    shared = []
    for _ in range(4):
        cache.get("place")
        shared.append(cache.is_shared())
    assert shared == [True, True, False, False]
    assert "(slow)" in caplog.text
    time.sleep(0.06)
    cache.get("place")
    assert not cache.is_shared(), "it answers, and no quicker"
    monkeypatch.setattr(cache_module, "SLOW_S", 10.0)
    time.sleep(0.06)
    assert cache.get("place") == "there"


def test_hanging_redis_is_tried_again_by_one_and_waited_for_by_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server((HOST, 0), backlog=64) as silent:
        silent.setblocking(False)
        url = f"redis://{HOST}:{silent.getsockname()[1]}/0"
        FallbackRedisCache(url, {}).get("a")
        monkeypatch.setattr(cache_module, "_states", {url: cache_module._states[url]})
        cache_module._states[url]._tried_again_at = 0.0
        threads = [threading.Thread(target=lambda: FallbackRedisCache(url, {}).get("a")) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for _ in ("the one that found out", "one after the rest"):
            silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()
