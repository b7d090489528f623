"""A fresh proof before what cannot be taken back; a lapsed one changes nothing, says so, and keeps nothing."""

import pytest
from django.contrib.sessions.models import Session
from django.core import mail
from django.test import Client

from accounts.models import User
from rapidpro_integration.models import RapidProToken
from tests.conftest import PASSWORD, SECRET, SERVER, just_proved

NEW_PASSWORD = "another long passphrase"
NEW_SECRET = "0123456789abcdef" * 2 + "fedcba98"
ACTIONS = {
    "/tokens/{}/replace/": {"server": SERVER, "token": NEW_SECRET, "force": "on"},
    "/tokens/{}/delete/": {},
    "/accounts/email/": {"email": "fresh@example.org", "action_add": ""},
    "/accounts/password/change/": {"oldpassword": PASSWORD, "password1": NEW_PASSWORD, "password2": NEW_PASSWORD},
    "/accounts/close/": {},
    "/accounts/2fa/totp/activate/": {"code": "000000"},
    "/accounts/2fa/webauthn/add/": {"credential": "{}"},
}


@pytest.mark.parametrize("action", ACTIONS)
def test_lapsed_proof_changes_nothing_says_so_and_keeps_nothing_of_what_was_typed(
    client: Client, owner: User, token: RapidProToken, action: str
) -> None:
    just_proved(client, owner, seconds_ago=301)
    before = (owner.password, token.sealed)
    address = action.format(token.pk)
    response = client.post(address, ACTIONS[action], follow=True)
    assert response.redirect_chain == [(f"/accounts/reauthenticate/?next={address.replace('/', '%2F')}", 302)]
    assert "Nothing was changed." in response.content.decode()
    owner.refresh_from_db()
    token.refresh_from_db()
    assert (owner.password, token.sealed) == before
    assert mail.outbox == []
    kept = str([session.get_decoded() for session in Session.objects.all()])
    assert not [value for value in ACTIONS[action].values() if len(value) > 8 and value in kept]


@pytest.mark.parametrize("action", ACTIONS)
def test_page_asks_for_the_proof_first_and_comes_back(
    client: Client, owner: User, token: RapidProToken, action: str
) -> None:
    just_proved(client, owner, seconds_ago=301)
    address = action.format(token.pk)
    asked = client.get(address)
    assert asked.status_code == 302
    back = client.post(asked.headers["Location"], {"password": PASSWORD, "next": address})
    assert back.headers["Location"] == address
    assert client.get(address).status_code == 200


def test_wrong_password_is_no_proof_and_cannot_be_guessed(client: Client, owner: User, token: RapidProToken) -> None:
    just_proved(client, owner, seconds_ago=301)
    for _ in range(10):
        client.post("/accounts/reauthenticate/", {"password": "wrong password!"})
    assert client.post("/accounts/reauthenticate/", {"password": PASSWORD}).status_code == 429
    client.post(f"/tokens/{token.pk}/delete/")
    assert RapidProToken.objects.filter(pk=token.pk).exists()


def test_sign_in_is_a_proof_for_five_minutes(client: Client, owner: User, token: RapidProToken) -> None:
    client.post("/accounts/login/", {"login": "owner", "password": PASSWORD})
    assert client.get(f"/tokens/{token.pk}/delete/").status_code == 200
    just_proved(client, owner, seconds_ago=299)
    assert client.get(f"/tokens/{token.pk}/delete/").status_code == 200


def test_proof_of_another_person_in_the_same_browser_counts_nothing(
    client: Client, owner: User, other: User, token: RapidProToken
) -> None:
    just_proved(client, other)
    session = client.session
    session["_auth_user_id"] = str(owner.pk)
    session["_auth_user_hash"] = owner.get_session_auth_hash()
    session.save()
    assert client.get(f"/tokens/{token.pk}/delete/").status_code == 302


def test_what_can_be_taken_back_asks_for_nothing(client: Client, owner: User, token: RapidProToken) -> None:
    just_proved(client, owner, seconds_ago=301)
    for page in ("/tokens/", "/tokens/add/", f"/tokens/{token.pk}/rename/", "/accounts/profile/", "/accounts/2fa/"):
        assert client.get(page).status_code == 200
    assert SECRET not in client.get(f"/tokens/{token.pk}/").content.decode()


@pytest.mark.parametrize("page", ["change/", "password/", "delete/"])
def test_administrator_changes_a_person_with_a_fresh_proof_only(
    client: Client, staff: User, owner: User, page: str
) -> None:
    just_proved(client, staff, seconds_ago=301)
    data = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD, "usable_password": "true", "post": "yes"}
    data |= {"email": "x@example.org", "username": "owner", "time_zone": "UTC"}
    data |= {"date_joined_0": "2026-01-02", "date_joined_1": "03:04:05"}
    response = client.post(f"/admin/accounts/user/{owner.pk}/{page}", data)
    assert response.headers["Location"].startswith("/accounts/reauthenticate/")
    before = owner.password, owner.email
    owner.refresh_from_db()
    assert (owner.password, owner.email) == before
    just_proved(client, staff)
    assert client.post(f"/admin/accounts/user/{owner.pk}/{page}", data).status_code == 302
    after = User.objects.filter(pk=owner.pk).first()
    assert after is None or (after.password, after.email) != before


@pytest.mark.parametrize("page", ["{}/delete/", ""])
def test_administrator_deletes_a_token_with_a_fresh_proof_only(
    client: Client, staff: User, token: RapidProToken, page: str
) -> None:
    address = f"/admin/rapidpro_integration/rapidprotoken/{page.format(token.pk)}"
    data = {"post": "yes", "action": "delete_selected", "_selected_action": [str(token.pk)]}
    for seconds_ago, left in ((301, 1), (0, 0)):
        just_proved(client, staff, seconds_ago=seconds_ago)
        client.post(address, data)
        assert RapidProToken.objects.count() == left
