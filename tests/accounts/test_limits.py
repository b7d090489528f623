"""Rate limits: per account and per address, by all workers together, and without Redis."""

import socket

import pytest
import respx
from django.core.cache import caches
from django.test import Client
from pytest_django import Settings

from accounts.models import User
from rapidpro_integration.models import RapidProToken
from tests.accounts.test_accounts import SIGN_UP, is_signed_in, sign_in
from tests.conftest import PASSWORD, SERVER, just_proved


def add(client: Client, address: str = "192.0.2.1", **headers: str) -> int:
    data = {"server": SERVER, "token": ""}
    return client.post("/tokens/add/", data, REMOTE_ADDR=address, headers=headers).status_code


def test_adding_is_limited_for_an_account_from_wherever(owner_client: Client, settings: Settings) -> None:
    settings.RATE_LIMITS = {"token_add": "3/m/user,100/m/ip"}
    assert [add(owner_client, f"192.0.2.{number}") for number in range(5)] == [200, 200, 200, 429, 429]
    assert owner_client.get("/tokens/add/").status_code == 200


def test_adding_is_limited_for_an_address_whoever_it_is(owner_client: Client, other: User, settings: Settings) -> None:
    settings.RATE_LIMITS = {"token_add": "100/m/user,3/m/ip"}
    stranger = just_proved(Client(), other)
    assert [add(owner_client), add(stranger), add(owner_client), add(stranger)] == [200, 200, 200, 429]
    assert add(stranger, "192.0.2.99") == 200


def test_replacing_counts_as_adding(owner_client: Client, token: RapidProToken, settings: Settings) -> None:
    settings.RATE_LIMITS = {"token_add": "1/m/user"}
    assert add(owner_client) == 200
    response = owner_client.post(f"/tokens/{token.pk}/replace/", {"server": SERVER, "token": "x" * 40, "force": "on"})
    assert response.status_code == 429
    assert "That was tried too often" in response.content.decode()
    before = token.sealed
    token.refresh_from_db()
    assert token.sealed == before


def test_checks_are_limited_and_the_server_is_not_asked(
    owner_client: Client, token: RapidProToken, settings: Settings, respx_mock: respx.MockRouter
) -> None:
    settings.RATE_LIMITS = {"token_check": "2/m/user"}
    route = respx_mock.get(f"{SERVER}/api/v2/workspace.json").respond(401)
    statuses = [owner_client.post(f"/tokens/{token.pk}/check/").status_code for _ in range(4)]
    assert statuses == [302, 302, 429, 429]
    assert route.call_count == 2


def test_address_is_the_clients_behind_a_trusted_proxy_only(owner_client: Client, settings: Settings) -> None:
    settings.RATE_LIMITS = {"token_add": "1/m/ip"}
    claims = [f"203.0.113.{number}" for number in range(3)]
    assert [add(owner_client, **{"x-forwarded-for": claim}) for claim in claims] == [200, 429, 429]
    settings.TRUSTED_PROXY_COUNT = 1
    assert [add(owner_client, **{"x-forwarded-for": f"6.6.6.6, {claim}"}) for claim in claims] == [200, 200, 200]
    assert [add(owner_client, **{"x-forwarded-for": f"{claim}, 203.0.113.9"}) for claim in claims] == [200, 429, 429]


# --- Signing in and up --------------------------------------------------------------------------


def test_password_cannot_be_guessed_from_many_addresses(owner: User) -> None:
    for number in range(5):
        sign_in(Client(REMOTE_ADDR=f"192.0.2.{number}"), "owner", "wrong password!")
    late = Client(REMOTE_ADDR="192.0.2.200")
    assert "Too many failed login attempts" in sign_in(late, "owner")
    assert not is_signed_in(late)


def test_one_address_cannot_try_many_accounts(client: Client, owner: User) -> None:
    for number in range(10):
        sign_in(client, f"somebody{number}", "wrong password!")
    assert "Too many failed login attempts" in sign_in(client, "owner")


def test_sign_up_is_limited_for_an_address(client: Client, db: None) -> None:
    answers = [client.post("/accounts/signup/", SIGN_UP | {"email": "no"}) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert answers[-1].headers["Retry-After"] == "300"


def test_reset_is_limited_for_an_address_that_it_is_asked_for(owner: User) -> None:
    statuses = [
        Client(REMOTE_ADDR=f"192.0.2.{number}").post("/accounts/password/reset/", {"email": owner.email}).status_code
        for number in range(6)
    ]
    assert statuses == [302] * 5 + [429]


# --- Without Redis ------------------------------------------------------------------------------


@pytest.fixture
def redis_is_gone(settings: Settings) -> None:
    """Let the site believe in a Redis that is not there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"redis://127.0.0.1:{port}/0"
    settings.CACHES = {"default": {"BACKEND": "config.cache.FallbackRedisCache", "LOCATION": address}}
    assert type(caches["default"]).__name__ == "FallbackRedisCache"


def test_limits_hold_without_redis(redis_is_gone: None, owner_client: Client, settings: Settings) -> None:
    settings.RATE_LIMITS = {"token_add": "2/m/user"}
    assert [add(owner_client) for _ in range(3)] == [200, 200, 429]
    for _ in range(5):
        sign_in(Client(), "owner", "wrong password!")
    assert "Too many failed login attempts" in sign_in(Client(), "owner", PASSWORD)
