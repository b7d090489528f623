"""Administrators can manage every token and read none."""

import pytest
import respx
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import User
from rapidpro_integration.models import RapidProToken, TokenState
from tests.conftest import SECRET, TokenMaker
from tests.rapidpro_integration.test_token_views import NEW_SECRET, Answer

LIST = "/admin/rapidpro_integration/rapidprotoken/"


@pytest.fixture
def admin(client: Client, staff: User) -> Client:
    client.force_login(staff)
    return client


def act(admin: Client, action: str, *tokens: RapidProToken) -> str:
    data = {"action": action, "_selected_action": [str(token.pk) for token in tokens]}
    return admin.post(LIST, data, follow=True).content.decode()


def test_list_and_row_show_facts_but_nothing_of_the_token(admin: Client, token: RapidProToken) -> None:
    for address in (LIST, f"{LIST}{token.pk}/change/", f"{LIST}{token.pk}/history/", f"{LIST}{token.pk}/delete/"):
        response = admin.get(address)
        assert response.status_code == 200, address
        page = response.content.decode()
        assert "Clinics" in page
        for kept in (SECRET, token.sealed, token.sealed[-20:], token.fingerprint, "fingerprint", "sealed"):
            assert kept not in page


def test_search_and_filters_work(admin: Client, token: RapidProToken) -> None:
    for query in ("q=owner@example.org", "q=Nutrition", "state=working", "server=https://rapidpro.example"):
        assert "Clinics" in admin.get(f"{LIST}?{query}").content.decode()
    assert "Clinics" not in admin.get(f"{LIST}?state=rejected").content.decode()


@pytest.mark.parametrize("field", ["sealed", "fingerprint", "key_id", "last_four", "owner__rapidpro_tokens__sealed"])
@pytest.mark.parametrize("lookup", ["", "__startswith", "__gt"])
def test_what_is_kept_cannot_be_guessed_by_look_ups(
    admin: Client, token: RapidProToken, field: str, lookup: str
) -> None:
    assert admin.get(f"{LIST}?{field}{lookup}=v1").status_code == 400


@pytest.mark.parametrize("kept", ["sealed", "fingerprint", "last_four"])
def test_search_does_not_find_what_is_kept(admin: Client, token: RapidProToken, kept: str) -> None:
    page = admin.get(LIST, {"q": getattr(token, kept)}).content.decode()
    assert "0 RapidPro tokens" in page


def test_no_token_can_be_added_or_typed(admin: Client, token: RapidProToken) -> None:
    assert admin.get(f"{LIST}add/").status_code == 403
    admin.post(f"{LIST}{token.pk}/change/", {"label": "Changed", "sealed": "v1.k1.x", "server": "https://evil.example"})
    after = RapidProToken.objects.get()
    assert (after.label, after.sealed, after.server) == (token.label, token.sealed, token.server)


def test_disable_and_enable_change_the_state_and_are_logged(admin: Client, staff: User, token: RapidProToken) -> None:
    assert "1 token disabled" in act(admin, "disable", token)
    token.refresh_from_db()
    assert token.state == TokenState.DISABLED
    assert "1 token enabled" in act(admin, "enable", token)
    token.refresh_from_db()
    assert token.state == TokenState.UNCHECKED
    entries = LogEntry.objects.order_by("pk").values_list("user", "object_id", "change_message")
    assert list(entries) == [(staff.pk, str(token.pk), "Disabled."), (staff.pk, str(token.pk), "Enabled.")]


def test_enabling_a_working_token_changes_nothing(admin: Client, token: RapidProToken) -> None:
    assert "0 tokens enabled" in act(admin, "enable", token)
    token.refresh_from_db()
    assert token.state == TokenState.WORKING
    assert not LogEntry.objects.exists()


def test_check_now_asks_the_servers_and_is_logged(
    admin: Client, owner: User, token: RapidProToken, make_token: TokenMaker, rapidpro: Answer
) -> None:
    disabled = make_token(owner, label="Off", secret=NEW_SECRET, state=TokenState.DISABLED)
    route = rapidpro("workspace.json", "workspace_bad_token")
    assert "1 token checked, 0 working" in act(admin, "check_now", token, disabled)
    token.refresh_from_db()
    disabled.refresh_from_db()
    assert (token.state, disabled.state) == (TokenState.REJECTED, TokenState.DISABLED)
    assert route.call_count == 1
    assert LogEntry.objects.get().change_message == "Checked."


def test_check_now_of_a_locked_row_sends_nothing(
    admin: Client, token: RapidProToken, respx_mock: respx.MockRouter
) -> None:
    RapidProToken.objects.update(key_id="k9")
    act(admin, "check_now", token)
    assert not respx_mock.calls
    assert RapidProToken.objects.get().state == TokenState.LOCKED


def test_viewers_get_no_actions(client: Client, owner: User, token: RapidProToken) -> None:
    owner.is_staff = True
    owner.save()
    owner.user_permissions.add(Permission.objects.get(codename="view_rapidprotoken"))
    client.force_login(owner)
    act(client, "disable", token)
    token.refresh_from_db()
    assert token.state == TokenState.WORKING


def test_stranger_and_plain_user_do_not_get_in(client: Client, owner: User, token: RapidProToken) -> None:
    assert client.get(LIST).status_code == 302
    client.force_login(owner)
    assert client.get(LIST).status_code in {302, 403}
