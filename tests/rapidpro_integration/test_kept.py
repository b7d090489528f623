"""Kept lists: asked for once, shown with their age, sealed outside the process, gone with their token."""

import json
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest
import redis
import respx
from asgiref.sync import async_to_sync
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.audit.actions import Action
from accounts.audit.models import AuditEntry
from accounts.models import User
from rapidpro_integration import blobs, kept, server_services, services, vault
from rapidpro_integration.checking import CheckOutcome
from rapidpro_integration.client.types import Flow, Rows, Workspace
from rapidpro_integration.flow_lists import alisting
from rapidpro_integration.kept import KeptFlows
from rapidpro_integration.models import RapidProToken, Server, TokenState
from rapidpro_integration.vault import Secret
from tests.conftest import SECRET, SERVER, TokenMaker
from tests.databases import RealDatabase
from tests.rapidpro_integration.test_flow_views import FLOWS, REFUSED, Answer, flow, get, page_of
from tests.redis_databases import redis_database

REDIS = redis_database(1)


@pytest.fixture(autouse=True)
def _no_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "_local", kept._Local())


@pytest.fixture
def shared(settings: Settings) -> Iterator[redis.Redis]:
    """Let the site use a real Redis, as it does with several workers, and return it."""
    server = redis.Redis.from_url(REDIS, socket_connect_timeout=0.5)
    try:
        server.ping()
    except redis.RedisError:
        pytest.skip("No Redis is running here.")
    settings.CACHES = {"default": {"BACKEND": "config.cache.FallbackRedisCache", "LOCATION": REDIS}}
    cache.clear()
    yield server
    cache.clear()
    cache.close()
    server.close()


def another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what this process has decoded."""
    monkeypatch.setattr(kept, "_local", kept._Local())


def make_old(token: RapidProToken, **age: float) -> KeptFlows:
    """Keep the token's list again as if it had come so long ago."""
    found = kept.get(token)
    assert found is not None
    old = KeptFlows(found.rows, 0, "", timezone.now() - timedelta(**age))
    kept.put(token, old)
    return old


# --- Asked once ---------------------------------------------------------------------------------


def test_fresh_list_is_shown_without_a_request(owner_client: Client, token: RapidProToken, rapidpro: Answer) -> None:
    route = rapidpro(FLOWS, json=page_of(flow(1)))
    for _ in range(3):
        assert "Flow 1" in get(owner_client, token)
    assert route.call_count == 1
    assert AuditEntry.objects.filter(action=Action.TOKEN_OPENED).count() == 1


def test_list_that_is_no_longer_fresh_is_asked_for_again(
    owner_client: Client, token: RapidProToken, rapidpro: Answer, settings: Settings
) -> None:
    route = rapidpro(FLOWS, json=page_of(flow(1)))
    get(owner_client, token)
    make_old(token, seconds=settings.FLOWS_FRESH_S - 10)
    get(owner_client, token)
    assert route.call_count == 1
    make_old(token, seconds=settings.FLOWS_FRESH_S + 1)
    get(owner_client, token)
    assert route.call_count == 2


def test_refresh_asks_at_once_and_keeps_the_filters(
    owner_client: Client, token: RapidProToken, rapidpro: Answer
) -> None:
    route = rapidpro(FLOWS, json=page_of(flow(1)))
    get(owner_client, token)
    rapidpro(FLOWS, json=page_of(flow(2)))
    address = f"/tokens/{token.pk}/flows/"
    response = owner_client.post(f"{address}refresh/?after=2026-01-01&page=2")
    assert (response.status_code, response.headers["Location"]) == (302, f"{address}?after=2026-01-01&page=2")
    assert "Flow 2" in get(owner_client, token)
    assert route.call_count == 2
    assert owner_client.get(f"{address}refresh/").status_code == 405


def test_other_tenant_cannot_refresh(
    client: Client, other: User, token: RapidProToken, respx_mock: respx.MockRouter
) -> None:
    client.force_login(other)
    assert client.post(f"/tokens/{token.pk}/flows/refresh/").status_code == 404
    assert not respx_mock.calls


class _Slow(BaseHTTPRequestHandler):
    """A RapidPro that takes its time, so that all the others come while it works."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        time.sleep(1.5)
        body = json.dumps(page_of(*map(flow, range(30)))).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


def test_twenty_one_people_in_three_processes_cause_one_fetch(
    real_database: RealDatabase, shared: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CACHE_URL", f"rediscache{REDIS[5:]}")
    _Slow.asked = []
    script = ("-m", "tests.rapidpro_integration.openers_of_lists")
    with ThreadingHTTPServer(("127.0.0.1", 0), _Slow) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            origin = f"http://127.0.0.1:{server.server_port}"
            token_id = real_database.run(*script, "make", origin).communicate(timeout=60)[0].strip()
            processes = [real_database.run(*script, "open", origin, token_id) for _ in range(3)]
            listings = [each for process in processes for each in process.communicate(timeout=60)[0].split()]
        finally:
            server.shutdown()
            thread.join()
    assert len(listings) == 21
    assert len(set(listings)) == 1
    assert listings[0].startswith("30@")
    assert len(_Slow.asked) == 1


# --- When the server is down --------------------------------------------------------------------


def test_last_list_is_shown_with_its_age_and_the_problem(
    owner_client: Client, token: RapidProToken, rapidpro: Answer
) -> None:
    rapidpro(FLOWS, json=page_of(flow(1)))
    get(owner_client, token)
    make_old(token, hours=3)
    route = rapidpro(FLOWS, error=REFUSED)
    page = get(owner_client, token)
    for fact in ("Flow 1", "The server cannot be reached", "it is 3\xa0hours old"):
        assert fact in page
    asked = route.call_count
    assert "Flow 1" in get(owner_client, token)
    assert route.call_count == asked, "a server that has just failed is left alone for a while"


def test_refresh_that_fails_says_so(owner_client: Client, token: RapidProToken, rapidpro: Answer) -> None:
    rapidpro(FLOWS, json=page_of(flow(1)))
    get(owner_client, token)
    rapidpro(FLOWS, error=httpx.ReadTimeout("slow"))
    response = owner_client.post(f"/tokens/{token.pk}/flows/refresh/", follow=True)
    assert "The server took too long to answer" in response.content.decode()
    assert "Flow 1" in response.content.decode()


def test_token_that_is_refused_shows_no_list_any_more(
    owner_client: Client, token: RapidProToken, rapidpro: Answer
) -> None:
    rapidpro(FLOWS, json=page_of(flow(1)))
    get(owner_client, token)
    rapidpro(FLOWS, "flows_bad_token")
    page = owner_client.post(f"/tokens/{token.pk}/flows/refresh/")
    assert page.status_code == 424
    assert kept.get(token) is None


# --- Gone with its token ------------------------------------------------------------------------


def close(token: RapidProToken) -> None:
    Server.objects.filter(origin=SERVER).update(open_to_all=False)


def replace(token: RapidProToken) -> None:
    services.replace_token(token, SERVER, Secret("0" * 40), CheckOutcome(TokenState.UNCHECKED, 1, "0A1B2C3D"))


def pause(token: RapidProToken) -> None:
    server_services.pause_server(Server.objects.get(origin=SERVER), paused=True)


def move(token: RapidProToken) -> None:
    elsewhere = Workspace(uuid4(), name="Another")
    services.record_check(token, CheckOutcome(TokenState.WORKING, 1, "0A1B2C3D", workspace=elsewhere))


@pytest.mark.parametrize("end", [replace, services.delete_token, services.disable_token, pause, close, move])
def test_list_is_dropped_when_its_token_is_not_to_be_used(
    owner_client: Client,
    token: RapidProToken,
    rapidpro: Answer,
    shared: redis.Redis,
    django_capture_on_commit_callbacks: Callable[..., Any],
    end: Callable[[RapidProToken], Any],
) -> None:
    rapidpro(FLOWS, json=page_of(flow(1)))
    get(owner_client, token)
    assert len(shared.keys("*flows:*")) == 3  # a stamp, the list, its summary
    with django_capture_on_commit_callbacks(execute=True):
        end(token)
    rapidpro(FLOWS, error=REFUSED)
    assert "Flow 1" not in owner_client.get(f"/tokens/{token.pk}/flows/").content.decode()
    assert shared.keys("*flows:*") == []


def test_list_that_arrives_after_the_token_was_disabled_is_not_kept(
    owner_client: Client, token: RapidProToken, respx_mock: respx.MockRouter
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=page_of(flow(1)))

    respx_mock.get(f"{SERVER}/api/v2/{FLOWS}").mock(side_effect=answer)
    RapidProToken.objects.filter(pk=token.pk).update(state=TokenState.DISABLED)
    # `token` was read before: it is the row of a request under way.
    async_to_sync(alisting)(token)
    assert respx_mock.calls
    assert kept.get(token) is None


# --- Outside the process ------------------------------------------------------------------------


def everything_in(server: redis.Redis) -> bytes:
    keys = server.keys("*")
    return b"\n".join(key + b" " + (server.dump(key) or b"") + (server.get(key) or b"") for key in keys)


def test_nothing_stands_in_the_shared_cache_in_clear(
    owner_client: Client, owner: User, token: RapidProToken, rapidpro: Answer, shared: redis.Redis
) -> None:
    rapidpro(FLOWS, json=page_of(*(flow(number, name=f"Malaria tracker {number}") for number in range(300))))
    get(owner_client, token)
    haystack = everything_in(shared)
    assert len(haystack) > 1_000
    wanted = [SECRET, "Malaria", "Nutrition", "owner", owner.email, SERVER, "rapidpro.example", str(token.pk), "uuid"]
    for needle in [*wanted, token.pk.hex, token.sealed, token.fingerprint]:
        assert needle.encode() not in haystack
    # Nor merely compressed.
    for start in range(len(haystack) - 1):
        if haystack[start : start + 2] in {b"x\x01", b"x\x9c", b"x\xda", b"\x1f\x8b"}:
            with pytest.raises(zlib.error):
                zlib.decompress(haystack[start:])


def test_another_process_reads_the_list_from_the_shared_cache(
    owner_client: Client,
    token: RapidProToken,
    rapidpro: Answer,
    shared: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    odd = flow(2, name="Ñ\u202e \U0001f600", type=None, labels=[], created_on=None, runs={})
    route = rapidpro(FLOWS, json=page_of(flow(1, archived=True), odd))
    first = get(owner_client, token)
    mine = kept.get(token)
    another_process(monkeypatch)
    theirs = kept.get(token)
    assert theirs == mine
    assert theirs is not mine
    assert get(owner_client, token).count("<bdi>") == first.count("<bdi>")
    assert route.call_count == 1


@pytest.mark.parametrize("change", ["row", "owner", "server", "stamp", "bit", "key"])
def test_blob_opens_for_its_own_token_and_stamp_only(
    owner: User, other: User, make_token: TokenMaker, settings: Settings, change: str
) -> None:
    token = make_token(owner)
    blob = blobs.seal(b"flows", token, "stamp")
    assert blobs.opened(blob, token, "stamp") == b"flows"
    stamp = "stamp"
    if change == "row":
        token = make_token(owner, secret="1" * 40)
    elif change == "owner":
        token.owner_id = other.pk
    elif change == "server":
        token.server = "https://other.example"
    elif change == "stamp":
        stamp = "pmats"
    elif change == "bit":
        blob = blob[:-1] + bytes([blob[-1] ^ 1])
    else:
        settings.TOKEN_KEYS = settings.TOKEN_KEYS.replace("k1:", "k2:")
    assert blobs.opened(blob, token, stamp) is None


def test_key_of_kept_lists_seals_nothing_else(owner: User, make_token: TokenMaker) -> None:
    token, ring = make_token(owner), vault.ring()
    blob = blobs.seal(b"flows", token, "stamp")
    as_token = vault.Sealed(f"v1.k1.{vault._encode(blob.removeprefix(b'b1.k1.'))}", "k1")
    with pytest.raises(vault.LockedError):
        ring.open(as_token, blobs._binding(token, "stamp"))


def test_list_that_somebody_damaged_is_asked_for_again(
    owner_client: Client, token: RapidProToken, rapidpro: Answer, shared: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    route = rapidpro(FLOWS, json=page_of(flow(1)))
    get(owner_client, token)
    cache.set(f"{kept.key_of(token)}:list", b"b1.k1." + bytes(100), 60)
    another_process(monkeypatch)
    assert "Flow 1" in get(owner_client, token)
    assert route.call_count == 2


@pytest.mark.parametrize("plain", [zlib.compress(b'{"rows": 5}'), zlib.compress(b"{"), b"no zlib at all"])
def test_list_of_another_version_of_the_program_is_not_read(
    token: RapidProToken, shared: redis.Redis, monkeypatch: pytest.MonkeyPatch, plain: bytes
) -> None:
    kept.put(token, kept.made_of(Rows()))
    key = kept.key_of(token)
    cache.set(f"{key}:list", blobs.seal(plain, token, cache.get(f"{key}:stamp")), 60)
    monkeypatch.setattr(kept, "_local", kept._Local())  # another process
    assert kept.get(token) is None


def test_list_too_large_for_the_cache_stays_in_the_process(
    owner_client: Client, token: RapidProToken, rapidpro: Answer, shared: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "MAX_SEALED_BYTES", 10)
    route = rapidpro(FLOWS, json=page_of(flow(1)))
    for _ in range(2):
        get(owner_client, token)
    assert not shared.keys("*:list")
    assert route.call_count == 1


def test_process_keeps_so_many_rows_and_no_more(
    owner: User, make_token: TokenMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "MAX_LOCAL_ROWS", 5)
    rows = Rows(Flow(uuid=uuid4()) for _ in range(2))
    tokens = [make_token(owner, secret=str(number) * 40) for number in range(4)]
    for token in tokens:
        kept.put(token, kept.made_of(rows))
    assert len(kept._local._lists) == 2


def test_results_and_the_servers_answer_are_not_held(token: RapidProToken) -> None:
    answer = b'{"uuid": "5a1e7a8c-7a35-4f0e-9b5f-0e3c7c2f5d10", "results": [{"key": "age"}]}'
    read = msgspec.json.decode(answer, type=Flow)
    assert kept.made_of(Rows([read], fetched_at=datetime.now(UTC))).rows[0].results == ()
