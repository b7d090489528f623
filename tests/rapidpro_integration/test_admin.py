"""Administrators can manage every token and read none."""

from typing import Any

import pytest
import respx
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.audit.actions import Action
from accounts.audit.services import record
from accounts.models import User
from rapidpro_integration.models import RapidProToken, TokenCheck, TokenState
from tests.conftest import SECRET, TokenMaker
from tests.rapidpro_integration.test_token_views import NEW_SECRET, Answer

LIST = "/admin/rapidpro_integration/rapidprotoken/"


@pytest.fixture
def admin(client: Client, staff: User) -> Client:
    client.force_login(staff)
    return client


def act(admin: Client, action: str, *tokens: RapidProToken) -> str:
    """Choose the action, then say on the next page that it is meant."""
    data = {"action": action, "_selected_action": [str(token.pk) for token in tokens]}
    return admin.post(LIST, data | {"confirmed": "yes"}, follow=True).content.decode()


@pytest.mark.parametrize("action", ["check_now", "disable", "enable", "ask_for_new"])
def test_actions_ask_first_and_do_nothing_before(
    admin: Client, token: RapidProToken, respx_mock: respx.MockRouter, action: str
) -> None:
    data = {"action": action, "_selected_action": [str(token.pk)], "select_across": "1"}
    page = admin.post(LIST, data).content.decode()
    assert "Yes, I am sure" in page
    assert "Clinics" in page
    for field in (f'value="{action}"', f'value="{token.pk}"', 'name="select_across" value="1"'):
        assert field in page
    token.refresh_from_db()
    assert token.state == TokenState.WORKING
    assert not respx_mock.calls
    assert not LogEntry.objects.exists()


def test_owners_are_asked_for_new_tokens(
    admin: Client, token: RapidProToken, mailoutbox: Any, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        assert "1 owner asked" in act(admin, "ask_for_new", token)
    assert [mail.subject for mail in mailoutbox] == ["Please replace your token: Clinics"]


def test_tokens_are_found_by_what_they_want(
    admin: Client, owner: User, other: User, token: RapidProToken, make_token: TokenMaker
) -> None:
    make_token(other, label="Shared", secret=NEW_SECRET)
    make_token(owner, label="Refused", secret="1" * 40, workspace_uuid=None, state=TokenState.REJECTED)
    labels = {
        wants: {row.label for row in admin.get(f"{LIST}?wants={wants}").context["cl"].result_list}
        for wants in ("attention", "never", "shared", "rotate", "idle", "nonsense")
    }
    everything = {"Clinics", "Shared", "Refused"}
    assert labels == {
        "attention": {"Refused"},
        "never": set(),
        "shared": {"Clinics", "Shared"},
        "rotate": set(),
        "idle": set(),
        "nonsense": everything,
    }


def test_row_shows_its_checks_and_its_log_to_those_who_may_see_it(
    client: Client, owner: User, other: User, token: RapidProToken
) -> None:
    TokenCheck.objects.create(
        token=token, started_on=token.created_on, state="rejected", trigger="due", server=token.server, reference="C0DE"
    )
    record(Action.TOKEN_RENAMED, token=token, by=other, reference="L06")
    staff = User.objects.create_user("viewer", "viewer@example.org", is_staff=True)
    TOTP.activate(staff, generate_totp_secret())
    rights = Permission.objects.filter(codename__in=["view_rapidprotoken", "view_auditentry"])
    staff.user_permissions.set(rights.filter(codename="view_rapidprotoken"))
    client.force_login(staff)
    page = client.get(f"{LIST}{token.pk}/change/").content.decode()
    assert ("C0DE" in page, "L06" in page) == (True, False)
    staff.user_permissions.set(rights)
    page = client.get(f"{LIST}{token.pk}/change/").content.decode()
    assert ("C0DE" in page, "L06" in page) == (True, True)


def test_checks_are_read_and_never_changed(admin: Client, token: RapidProToken) -> None:
    check = TokenCheck.objects.create(
        token=token, started_on=token.created_on, state="rejected", trigger="due", server=token.server, reference="C0DE"
    )
    rows = "/admin/rapidpro_integration/tokencheck/"
    for address in (rows, f"{rows}?state=rejected&q=C0DE", f"{rows}{check.pk}/change/"):
        page = admin.get(address).content.decode()
        assert "Clinics" in page
        assert token.sealed not in page
    for address in (f"{rows}add/", f"{rows}{check.pk}/delete/"):
        assert admin.get(address).status_code == 403
    assert admin.post(f"{rows}{check.pk}/change/", {"state": "working"}).status_code == 403


def test_people_are_completed_by_name_for_those_who_may_see_them(
    admin: Client, owner: User, token: RapidProToken
) -> None:
    ask = {"app_label": "rapidpro_integration", "model_name": "server", "field_name": "users"}
    found = admin.get("/admin/autocomplete/", ask | {"term": "owner@"}).json()
    assert [(row["id"], row["text"]) for row in found["results"]] == [(str(owner.pk), str(owner))]
    assert admin.get("/admin/autocomplete/", ask | {"term": owner.password[:20]}).json()["results"] == []
    tokens = {"app_label": "rapidpro_integration", "model_name": "tokencheck", "field_name": "token"}
    assert [row["text"] for row in admin.get("/admin/autocomplete/", tokens | {"term": "Clin"}).json()["results"]] == [
        "Clinics"
    ]
    for kept in (token.sealed[:20], token.fingerprint[:20], token.last_four):
        assert admin.get("/admin/autocomplete/", tokens | {"term": kept}).json()["results"] == []
    stranger = Client()
    stranger.force_login(owner)
    assert stranger.get("/admin/autocomplete/", ask | {"term": "o"}).status_code in {302, 403}


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


@pytest.mark.usefixtures("asks_nothing")
def test_check_now_that_asked_nothing_leaves_what_is_known(
    admin: Client, token: RapidProToken, rapidpro: Answer
) -> None:
    route = rapidpro("workspace.json", "workspace_bad_token")
    act(admin, "check_now", token)
    token.refresh_from_db()
    assert (token.state, TokenCheck.objects.count(), route.call_count) == (TokenState.WORKING, 0, 0)


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
