"""The numbers of a process, for those who may read them, and described in docs/operations.md."""

import re
import uuid
from collections.abc import Sequence
from ipaddress import ip_network
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings as django_settings
from django.db import DatabaseError
from django.test import AsyncClient, Client
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from pytest_django import Settings

from accounts.models import User
from config import metrics
from rapidpro_integration.client import transport
from rapidpro_integration.client.breaker import THRESHOLD, Verdict
from rapidpro_integration.models import RapidProToken, TokenState
from rapidpro_integration.observations.recorder import recorder
from tests.config.test_config import start
from tests.conftest import OTHER_SERVER, SECRET, SERVER, TokenMaker

KEY = "a key for the tests that is long enough"
TENANTS_OWN = "https://hidden-clinic.example"


@pytest.fixture
def with_key(settings: Settings, db: None) -> Client:
    """Return a browser that has the key."""
    settings.METRICS_KEY = KEY
    return Client(headers={"Authorization": f"Bearer {KEY}"})


def samples(client: Client) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    response = client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == metrics.CONTENT_TYPE
    found: list[Sample] = []
    for family in text_string_to_metric_families(response.content.decode()):
        found += family.samples
    return {(sample.name, frozenset(sample.labels.items())): sample.value for sample in found}


def value(client: Client, name: str, **labels: str) -> float:
    return samples(client).get((name, frozenset(labels.items())), 0.0)


# --- Who may read -------------------------------------------------------------------------------


def test_without_a_key_and_addresses_there_is_nothing(client: Client, db: None) -> None:
    response = client.get("/metrics", headers={"Authorization": "Bearer "})
    assert response.status_code == 404
    assert "There is nothing here" in response.content.decode()


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (f"Bearer {KEY}", 200),
        (f"bearer  {KEY}", 200),
        (f"Bearer {KEY}x", 404),
        (f"Bearer {KEY[:-1]}", 404),
        (f"Basic {KEY}", 404),
        (KEY, 404),
        ("Bearer ", 404),
        ("Bearer é", 404),
        ("", 404),
    ],
)
def test_key_opens(client: Client, settings: Settings, db: None, header: str, status: int) -> None:
    settings.METRICS_KEY = KEY
    assert client.get("/metrics", headers={"Authorization": header}).status_code == status


@pytest.mark.parametrize(
    ("address", "forwarded", "proxies", "status"),
    [
        ("10.1.2.3", "", 0, 200),
        ("::ffff:10.1.2.3", "", 0, 200),
        ("fd00::7", "", 0, 200),
        ("192.0.2.1", "", 0, 404),
        ("192.0.2.1", "10.1.2.3", 0, 404),
        ("192.0.2.1", "10.1.2.3", 1, 200),
        ("10.9.9.9", "192.0.2.7", 1, 404),
        ("", "", 0, 404),
    ],
)
def test_address_opens(
    client: Client, settings: Settings, db: None, address: str, forwarded: str, proxies: int, status: int
) -> None:
    settings.METRICS_ADDRESSES = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]
    settings.TRUSTED_PROXY_COUNT = settings.ALLAUTH_TRUSTED_PROXY_COUNT = proxies
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    assert client.get("/metrics", REMOTE_ADDR=address, headers=headers).status_code == status


async def test_key_opens_in_the_async_stack_by_any_name(settings: Settings, db: None) -> None:
    settings.METRICS_KEY = KEY
    settings.ALLOWED_HOSTS = ["console.example"]
    headers = {"Host": "10.0.0.1", "Authorization": f"Bearer {KEY}"}
    assert (await AsyncClient().get("/metrics", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("setting", "said"),
    [({"METRICS_KEY": "short"}, "32 characters"), ({"METRICS_ADDRESSES": "10.0.0.1/8"}, "host bits")],
)
def test_unfit_setting_stops_the_start(setting: dict[str, str], said: str) -> None:
    assert said in start(**setting).stderr


# --- What it tells ------------------------------------------------------------------------------


def test_requests_of_the_site_are_counted_by_view(with_key: Client, client: Client, owner: User) -> None:
    client.force_login(owner)
    before = value(with_key, "console_requests_total", view="rapidpro:token-detail", status="404")
    for _ in range(2):
        client.get(f"/tokens/{uuid.uuid4()}/")
    client.get("/no/such/page")
    found = samples(with_key)
    key = frozenset({("view", "rapidpro:token-detail"), ("status", "404")})
    assert found["console_requests_total", key] == before + 2
    assert found["console_requests_total", frozenset({("view", "none"), ("status", "404")})] >= 1
    assert found["console_request_seconds_count", frozenset({("view", "rapidpro:token-detail")})] >= 2
    # Machines are not counted, or they would be most of it.
    assert not [labels for name, labels in found if {("view", "metrics"), ("status", "200")} <= labels]
    assert found["console_requests_under_way", frozenset()] == 0


def test_requests_to_servers_are_counted_by_server_and_outcome(with_key: Client) -> None:
    for ms in (40, 90, 400):
        recorder.note(SERVER, str(uuid.uuid4()), str(uuid.uuid4()), "ok", 200, ms)
    recorder.note(OTHER_SERVER, "", "", "unreachable", None, 3)
    for server in (TENANTS_OWN, "https://second.example"):
        recorder.note(server, "", "", "timed_out", None, 15_100)
    recorder.take()
    found = samples(with_key)

    def count(name: str, **labels: str) -> float:
        return found[name, frozenset(labels.items())]

    assert count("console_upstream_requests_total", server="rapidpro.example", outcome="ok") == 3
    assert count("console_upstream_requests_total", server="other.example", outcome="unreachable") == 1
    assert count("console_upstream_requests_total", server="other", outcome="timed_out") == 2
    assert count("console_upstream_seconds_bucket", server="rapidpro.example", le="0.05") == 1
    assert count("console_upstream_seconds_bucket", server="rapidpro.example", le="0.1") == 2
    assert count("console_upstream_seconds_bucket", server="other", le="15.0") == 0
    assert count("console_upstream_seconds_bucket", server="other", le="+Inf") == 2
    assert count("console_upstream_seconds_count", server="rapidpro.example") == 3
    assert count("console_upstream_seconds_sum", server="rapidpro.example") == pytest.approx(0.53)


async def test_what_is_held_back_is_told(settings: Settings, db: None) -> None:
    for _ in range(THRESHOLD):
        ticket = transport.breaker.enter(TENANTS_OWN, "tenant", "token")
        transport.breaker.leave(ticket, Verdict.NO_CONNECTION)
    await transport.quota.anote(f"{SERVER} workspace v2", 60, shared=False)
    settings.METRICS_KEY = KEY
    response = await AsyncClient().get("/metrics", headers={"Authorization": f"Bearer {KEY}"})
    text = response.content.decode()
    assert 'console_breakers_open{server="other"} 2.0' in text
    assert 'console_breakers_open{server="rapidpro.example"} 0.0' in text
    assert "console_workspaces_waiting 1.0" in text
    assert "console_upstream_under_way 0.0" in text
    assert "console_upstream_retries_left 10.0" in text


def test_tokens_are_counted_by_state(
    with_key: Client, owner: User, token: RapidProToken, make_token: TokenMaker
) -> None:
    make_token(owner, secret="a" * 40, state=TokenState.REJECTED)
    found = samples(with_key)
    states = {dict(labels)["state"]: count for (name, labels), count in found.items() if name == "console_tokens"}
    assert states == dict.fromkeys(TokenState.values, 0) | {"working": 1, "rejected": 1}
    assert found["console_database_up", frozenset()] == 1


@pytest.mark.skipif(not apps.is_installed("django_tasks_db"), reason="nothing works in the background")
def test_tasks_are_counted_by_queue_and_status_and_those_that_are_done_are_not(with_key: Client) -> None:
    rows = apps.get_model("django_tasks_database", "DBTaskResult")._default_manager
    for status in ("READY", "READY", "FAILED", "SUCCESSFUL"):
        rows.create(queue_name="checks", status=status, args_kwargs={"args": [], "kwargs": {}}, task_path="a.b")
    found = samples(with_key)
    assert {dict(labels)["status"]: count for (name, labels), count in found.items() if name == "console_tasks"} == {
        "ready": 2,
        "failed": 1,
    }


@pytest.mark.parametrize("error", [TimeoutError(), DatabaseError("postgres://console:hunter2-hunter2@db")])
def test_database_that_is_gone_takes_its_own_metrics_along_and_no_others(
    with_key: Client, monkeypatch: pytest.MonkeyPatch, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    def read() -> Sequence[Metric]:
        raise error

    monkeypatch.setattr(metrics._aside, "_call", read)
    found = samples(with_key)
    assert found["console_database_up", frozenset()] == 0
    assert not [name for name, _ in found if name == "console_tokens"]
    assert ("console_upstream_under_way", frozenset()) in found
    assert "hunter2" not in caplog.text


def test_nothing_of_a_tenants_is_told(with_key: Client, owner: User, make_token: TokenMaker) -> None:
    mine = make_token(owner, secret="b" * 40, server=TENANTS_OWN, label="Hidden clinic")
    recorder.note(TENANTS_OWN, str(mine.workspace_uuid), str(mine.pk), "ok", 200, 10)
    with_key.get(f"/tokens/{mine.pk}/")
    text = with_key.get("/metrics").content.decode()
    for secret in (
        SECRET, "hidden", str(mine.pk), str(mine.workspace_uuid), mine.last_four, owner.email, "owner", KEY,
        "Nutrition", django_settings.SECRET_KEY, mine.fingerprint,
    ):  # fmt: skip
        assert secret not in text


# --- The documentation --------------------------------------------------------------------------

TEXT = (Path(django_settings.BASE_DIR) / "docs" / "operations.md").read_text("utf-8")


def test_every_metric_is_documented_with_its_labels_and_no_other(with_key: Client, token: RapidProToken) -> None:
    recorder.note(SERVER, "", "", "ok", 200, 10)
    with_key.get("/")
    text = with_key.get("/metrics").content.decode()
    told: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        if not name.startswith("process_"):
            told[name] = told.get(name, set()) | labels
    told["console_tasks"] = {"queue", "status"}  # of which there are none here
    rows = re.findall(r"^\| `(console_\w+)` \|([^|]*)\|", TEXT, re.MULTILINE)
    documented = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    assert told == documented
