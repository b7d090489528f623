"""The token pages: they work, for their owner only, and never show what they keep."""

import re
import uuid
from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest
import respx
from asgiref.sync import async_to_sync
from django.test import Client
from django.utils import timezone
from django.utils.html import escape
from pytest_django import Settings

from accounts.models import User
from rapidpro_integration import services, vault
from rapidpro_integration.checking import acheck_token
from rapidpro_integration.models import RapidProToken, TokenState
from rapidpro_integration.problems import problem_of_state
from tests.conftest import OTHER_SERVER, SECRET, SERVER, TokenMaker, just_proved

type Answer = Callable[..., respx.Route]

WORKSPACE = "workspace.json"
NEW_SECRET = "b16b00b5" * 5


def add(client: Client, **data: str) -> str:
    response = client.post("/tokens/add/", {"label": "My label", "server": SERVER, "token": SECRET} | data, follow=True)
    assert response.status_code == 200
    return response.content.decode()


# --- List ---------------------------------------------------------------------------------------


def test_list_shows_the_owners_tokens_and_states(owner_client: Client, owner: User, make_token: TokenMaker) -> None:
    make_token(owner, label="Zeta")
    make_token(owner, label="alpha", secret=NEW_SECRET, state=TokenState.REJECTED)
    page = owner_client.get("/tokens/").content.decode()
    assert page.index("alpha") < page.index("Zeta")
    assert "Working" in page
    assert "Refused by the server" in page
    assert "2 tokens" in page


def test_list_of_a_newcomer_says_what_to_do(owner_client: Client) -> None:
    assert "Add your first token" in owner_client.get("/tokens/").content.decode()


def test_list_does_not_show_another_tenants_token(
    owner_client: Client, other: User, make_token: TokenMaker, token: RapidProToken
) -> None:
    make_token(other, label="Not yours")
    page = owner_client.get("/tokens/").content.decode()
    assert "Clinics" in page
    assert "Not yours" not in page


def test_one_broken_row_does_not_break_the_list(owner_client: Client, owner: User, make_token: TokenMaker) -> None:
    make_token(owner, label="Fine")
    broken = make_token(owner, label="Broken", secret=NEW_SECRET)
    RapidProToken.objects.filter(pk=broken.pk).update(sealed="v1.k9.rubbish", key_id="k9")
    page = owner_client.get("/tokens/").content.decode()
    assert "Fine" in page
    assert "Locked" in page
    broken.refresh_from_db()
    assert broken.sealed == "v1.k9.rubbish"


def test_list_asks_the_database_the_same_number_of_questions_for_one_and_for_many(
    owner_client: Client, owner: User, make_token: TokenMaker, django_assert_max_num_queries: Callable[..., object]
) -> None:
    for number in range(20):
        make_token(owner, label=f"Label {number}", secret=f"{number:040d}")
    with django_assert_max_num_queries(4):  # type: ignore[attr-defined]
        owner_client.get("/tokens/")


# --- Add ----------------------------------------------------------------------------------------


def test_add_saves_a_working_token_sealed_and_names_its_workspace(
    owner_client: Client, owner: User, rapidpro: Answer
) -> None:
    route = rapidpro(WORKSPACE, "workspace_good")
    page = add(owner_client, token=f" Token {SECRET} ")
    saved = owner.rapidpro_tokens.get()
    assert route.calls.last.request.headers["Authorization"] == f"Token {SECRET}"
    assert (saved.label, saved.state, saved.server) == ("My label", TokenState.WORKING, SERVER)
    assert saved.workspace_name == "Ministério da Saúde — Nutrição"
    assert saved.workspace_languages == ["por", "eng", "spa"]
    assert saved.workspace_time_zone == "America/Sao_Paulo"
    assert saved.last_four == SECRET[-4:]
    assert vault.open_token(saved).reveal() == SECRET
    assert "Ministério da Saúde — Nutrição" in page
    assert "Undo" in page
    assert SECRET not in page


def test_undo_after_adding_deletes_the_token(owner_client: Client, owner: User, rapidpro: Answer) -> None:
    rapidpro(WORKSPACE, "workspace_good")
    page = add(owner_client)
    action = re.search(r'action="([^"]+/delete/)"', page)
    assert action is not None
    owner_client.post(action[1])
    assert not owner.rapidpro_tokens.exists()


def test_empty_label_becomes_the_workspaces_name(owner_client: Client, owner: User, rapidpro: Answer) -> None:
    rapidpro(WORKSPACE, "workspace_good")
    add(owner_client, label="")
    assert owner.rapidpro_tokens.get().label == "Ministério da Saúde — Nutrição"


FAILURES = [
    ({"name": "workspace_bad_token"}, TokenState.REJECTED, "The server does not know this token"),
    ({"name": "workspace_agent_role"}, TokenState.NOT_ALLOWED, "The token is known, but its user may not do this"),
    ({"name": "throttle_org_6"}, TokenState.RATE_LIMITED, "The workspace has used up its requests"),
    ({"status": 500, "text": "Server Error"}, TokenState.SERVER_ERROR, "The server broke on this request"),
    ({"status": 200, "html": "<h1>Hello</h1>"}, TokenState.NOT_RAPIDPRO, "This does not answer like RapidPro"),
    ({"status": 302, "headers": {"Location": "https://evil.example/"}}, TokenState.NOT_RAPIDPRO, "another address"),
    ({"error": httpx.ConnectError("refused")}, TokenState.UNREACHABLE, "The server cannot be reached"),
    ({"error": httpx.ReadTimeout("slow")}, TokenState.UNREACHABLE, "The server took too long to answer"),
]


@pytest.mark.parametrize(("answer", "state", "words"), FAILURES, ids=lambda value: str(value)[:30])
def test_add_saves_nothing_when_the_server_says_no_and_offers_force(
    owner_client: Client, rapidpro: Answer, answer: dict[str, object], state: TokenState, words: str
) -> None:
    rapidpro(WORKSPACE, **answer)
    page = add(owner_client)
    assert not RapidProToken.objects.exists()
    assert words in page
    assert 'name="force"' in page
    assert "Reference" in page
    assert SECRET not in page
    assert 'value="My label"' in page


@pytest.mark.parametrize(("answer", "state", "words"), FAILURES, ids=lambda value: str(value)[:30])
def test_forced_token_is_saved_with_the_state_that_was_found(
    owner_client: Client, owner: User, rapidpro: Answer, answer: dict[str, object], state: TokenState, words: str
) -> None:
    rapidpro(WORKSPACE, **answer)
    page = add(owner_client, force="on")
    saved = owner.rapidpro_tokens.get()
    assert saved.state == state
    problem = problem_of_state(state)
    assert problem is not None
    assert str(escape(problem.title)) in page
    assert vault.open_token(saved).reveal() == SECRET


def test_force_box_is_not_there_before_a_failure(owner_client: Client) -> None:
    assert 'name="force"' not in owner_client.get("/tokens/add/").content.decode()


def test_rate_limited_check_says_when_to_try_again(owner_client: Client, owner: User, rapidpro: Answer) -> None:
    rapidpro(WORKSPACE, status=429, json={"detail": "Request was throttled."}, headers={"Retry-After": "61"})
    assert 'data-seconds="61"' in add(owner_client)
    add(owner_client, force="on")
    retry_on = owner.rapidpro_tokens.get().retry_on
    assert retry_on is not None
    assert timedelta(seconds=50) < retry_on - timezone.now() < timedelta(seconds=62)


@pytest.mark.parametrize("token", ["", "two parts", "a" * 257, "new\nline", "é" * 40])
def test_malformed_token_is_never_saved_and_no_server_is_asked(
    owner_client: Client, respx_mock: respx.MockRouter, token: str
) -> None:
    page = add(owner_client, token=token, force="on")
    assert not RapidProToken.objects.exists()
    assert "errorlist" in page
    assert not token or escape(token) not in page


def test_server_that_is_not_on_the_list_is_refused_unasked(owner_client: Client, respx_mock: respx.MockRouter) -> None:
    add(owner_client, server="https://evil.example", force="on")
    assert not RapidProToken.objects.exists()
    assert not respx_mock.calls


def test_same_token_twice_is_already_saved_with_a_link(
    owner_client: Client, token: RapidProToken, respx_mock: respx.MockRouter
) -> None:
    page = add(owner_client)
    assert "already saved" in page
    assert f'href="/tokens/{token.pk}/"' in page
    assert RapidProToken.objects.count() == 1
    assert not respx_mock.calls


def test_same_token_of_another_tenant_is_no_obstacle_and_no_hint(
    owner_client: Client, owner: User, other: User, make_token: TokenMaker, rapidpro: Answer
) -> None:
    make_token(other)
    rapidpro(WORKSPACE, "workspace_good")
    assert "already saved" not in add(owner_client)
    assert owner.rapidpro_tokens.count() == 1


# --- Look at ------------------------------------------------------------------------------------


def test_detail_shows_the_facts_and_never_the_token(owner_client: Client, token: RapidProToken) -> None:
    page = owner_client.get(token.get_absolute_url()).content.decode()
    for fact in ("Clinics", "Nutrition", SERVER, "Working", "0A1B2C3D", "12 ms", SECRET[-4:]):
        assert fact in page
    for kept in (SECRET, token.sealed, token.fingerprint):
        assert kept not in page
    assert "Undo" not in page


@pytest.mark.parametrize("state", [state for state in TokenState if state not in {"working", "unchecked", "locked"}])
def test_detail_advises_on_every_state(owner_client: Client, owner: User, make_token: TokenMaker, state: str) -> None:
    page = owner_client.get(make_token(owner, state=state).get_absolute_url()).content.decode()
    assert 'class="advice"' in page


# --- Check --------------------------------------------------------------------------------------


def test_check_records_what_the_server_says(owner_client: Client, token: RapidProToken, rapidpro: Answer) -> None:
    rapidpro(WORKSPACE, "workspace_good")
    assert "The token works" in owner_client.post(f"/tokens/{token.pk}/check/", follow=True).content.decode()
    token.refresh_from_db()
    assert (token.state, token.workspace_name) == (TokenState.WORKING, "Ministério da Saúde — Nutrição")
    assert token.check_reference != "0A1B2C3D"


def test_failed_check_keeps_the_workspaces_facts(
    owner_client: Client, token: RapidProToken, rapidpro: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    rapidpro(WORKSPACE, "workspace_bad_token")
    page = owner_client.post(f"/tokens/{token.pk}/check/", follow=True).content.decode()
    token.refresh_from_db()
    assert (token.state, token.check_status, token.workspace_name) == (TokenState.REJECTED, 403, "Nutrition")
    assert "Refused by the server" in page
    assert token.check_reference in page
    assert token.check_reference in caplog.text
    assert SECRET not in caplog.text


def test_check_by_htmx_returns_the_row_alone(owner_client: Client, token: RapidProToken, rapidpro: Answer) -> None:
    rapidpro(WORKSPACE, "workspace_bad_token")
    page = owner_client.post(f"/tokens/{token.pk}/check/", headers={"HX-Request": "true"}).content.decode()
    assert page.strip().startswith("<tr>")
    assert page.strip().endswith("</tr>")
    assert "Refused by the server" in page


def test_check_of_a_locked_row_sends_nothing_and_overwrites_nothing(
    owner_client: Client, token: RapidProToken, respx_mock: respx.MockRouter
) -> None:
    RapidProToken.objects.filter(pk=token.pk).update(key_id="k9")
    page = owner_client.post(f"/tokens/{token.pk}/check/", follow=True).content.decode()
    assert "ask your administrator" in page
    assert not respx_mock.calls
    after = RapidProToken.objects.get(pk=token.pk)
    assert (after.sealed, after.state) == (token.sealed, TokenState.LOCKED)


def test_token_of_a_server_that_left_the_list_is_locked_and_not_sent(
    owner_client: Client, token: RapidProToken, settings: Settings, respx_mock: respx.MockRouter
) -> None:
    settings.RAPIDPRO_SERVERS = [OTHER_SERVER]
    for page in ("", "flows/"):
        assert "its server is no longer on the list" in owner_client.get(f"/tokens/{token.pk}/{page}").content.decode()
    owner_client.post(f"/tokens/{token.pk}/check/")
    assert not respx_mock.calls


def test_check_of_a_disabled_token_sends_nothing(
    owner_client: Client, owner: User, make_token: TokenMaker, respx_mock: respx.MockRouter
) -> None:
    token = make_token(owner, state=TokenState.DISABLED)
    page = owner_client.post(f"/tokens/{token.pk}/check/", follow=True).content.decode()
    token.refresh_from_db()
    assert token.state == TokenState.DISABLED
    assert "Staff have disabled this token" in page
    assert not respx_mock.calls


def test_check_that_a_replacement_overtakes_changes_nothing(token: RapidProToken, rapidpro: Answer) -> None:
    rapidpro(WORKSPACE, "workspace_bad_token")
    outcome = async_to_sync(acheck_token)(token)
    RapidProToken.objects.filter(pk=token.pk).update(sealed="v1.k1.another")
    with pytest.raises(services.TokenChangedMeanwhile):
        services.record_check(token, outcome)
    token.refresh_from_db()
    assert token.state == TokenState.WORKING


# --- Replace, rename, delete --------------------------------------------------------------------


def test_replace_puts_the_new_token_in_and_keeps_the_label(
    owner_client: Client, token: RapidProToken, rapidpro: Answer
) -> None:
    rapidpro(WORKSPACE, "workspace_good", server=OTHER_SERVER)
    page = owner_client.post(
        f"/tokens/{token.pk}/replace/", {"server": OTHER_SERVER, "token": NEW_SECRET}, follow=True
    ).content.decode()
    after = RapidProToken.objects.get()
    assert "The token was replaced" in page
    assert (after.pk, after.label, after.server) == (token.pk, "Clinics", OTHER_SERVER)
    assert vault.open_token(after).reveal() == NEW_SECRET
    assert after.fingerprint != token.fingerprint


def test_server_cannot_be_changed_without_the_token(owner_client: Client, token: RapidProToken) -> None:
    owner_client.post(f"/tokens/{token.pk}/replace/", {"server": OTHER_SERVER, "token": ""})
    token.refresh_from_db()
    assert token.server == SERVER


def test_refused_replacement_keeps_the_old_token_until_forced(
    owner_client: Client, token: RapidProToken, rapidpro: Answer
) -> None:
    rapidpro(WORKSPACE, "workspace_bad_token")
    data = {"server": SERVER, "token": NEW_SECRET}
    page = owner_client.post(f"/tokens/{token.pk}/replace/", data).content.decode()
    assert "Nothing was saved" in page
    assert NEW_SECRET not in page
    token.refresh_from_db()
    assert vault.open_token(token).reveal() == SECRET
    owner_client.post(f"/tokens/{token.pk}/replace/", data | {"force": "on"})
    token.refresh_from_db()
    assert vault.open_token(token).reveal() == NEW_SECRET
    assert (token.state, token.workspace_name) == (TokenState.REJECTED, "")


def test_replace_with_a_token_saved_elsewhere_points_there(
    owner_client: Client, owner: User, token: RapidProToken, make_token: TokenMaker, respx_mock: respx.MockRouter
) -> None:
    elsewhere = make_token(owner, label="Elsewhere", secret=NEW_SECRET)
    page = owner_client.post(
        f"/tokens/{token.pk}/replace/", {"server": SERVER, "token": NEW_SECRET}, follow=True
    ).content.decode()
    assert "already saved" in page
    assert elsewhere.get_absolute_url() in page


def test_replace_heals_a_locked_row(owner_client: Client, token: RapidProToken, rapidpro: Answer) -> None:
    RapidProToken.objects.filter(pk=token.pk).update(key_id="k9")
    rapidpro(WORKSPACE, "workspace_good")
    owner_client.post(f"/tokens/{token.pk}/replace/", {"server": SERVER, "token": SECRET})
    token.refresh_from_db()
    assert token.shown_state == TokenState.WORKING


def test_disabled_token_cannot_be_replaced(
    owner_client: Client, owner: User, make_token: TokenMaker, rapidpro: Answer
) -> None:
    token = make_token(owner, state=TokenState.DISABLED)
    rapidpro(WORKSPACE, "workspace_good")
    page = owner_client.post(
        f"/tokens/{token.pk}/replace/", {"server": SERVER, "token": NEW_SECRET}, follow=True
    ).content.decode()
    assert "Nothing was saved" in page
    token.refresh_from_db()
    assert token.state == TokenState.DISABLED
    assert vault.open_token(token).reveal() == SECRET


def test_rename_changes_the_label_alone(owner_client: Client, token: RapidProToken) -> None:
    owner_client.post(f"/tokens/{token.pk}/rename/", {"label": "عيادات"})
    after = RapidProToken.objects.get()
    assert (after.label, after.sealed, after.state) == ("عيادات", token.sealed, token.state)


def test_rename_refuses_an_empty_label(owner_client: Client, token: RapidProToken) -> None:
    assert "errorlist" in owner_client.post(f"/tokens/{token.pk}/rename/", {"label": " "}).content.decode()
    token.refresh_from_db()
    assert token.label == "Clinics"


def test_delete_asks_first(owner_client: Client, token: RapidProToken) -> None:
    assert "cannot be brought back" in owner_client.get(f"/tokens/{token.pk}/delete/").content.decode()
    assert RapidProToken.objects.exists()
    owner_client.post(f"/tokens/{token.pk}/delete/")
    assert not RapidProToken.objects.exists()


def test_labels_are_escaped(owner_client: Client, owner: User, make_token: TokenMaker) -> None:
    token = make_token(owner, label="<script>alert(1)</script>", workspace_name="<img src=x onerror=alert(1)>")
    for address in ("/tokens/", token.get_absolute_url(), f"/tokens/{token.pk}/delete/", f"/tokens/{token.pk}/rename/"):
        page = owner_client.get(address).content.decode()
        assert "<script>alert" not in page
        assert "<img src=x" not in page


# --- Other people -------------------------------------------------------------------------------

PAGES = ["", "check/", "replace/", "rename/", "delete/", "flows/", "flows/5a1e7a8c-7a35-4f0e-9b5f-0e3c7c2f5d10/"]


@pytest.mark.parametrize("page", PAGES)
def test_another_tenants_token_and_an_unknown_one_are_the_same_404(
    client: Client, other: User, token: RapidProToken, respx_mock: respx.MockRouter, page: str
) -> None:
    just_proved(client, other)
    for method in (client.get, client.post):
        theirs = method(f"/tokens/{token.pk}/{page}")
        unknown = method(f"/tokens/{uuid.uuid4()}/{page}")
        assert theirs.status_code in {404, 405}
        assert theirs.content == unknown.content
        # Each answer has an id of its own, whatever it says.
        assert theirs.headers.pop("X-Request-Id") != unknown.headers.pop("X-Request-Id")
        assert theirs.headers == unknown.headers
    assert client.get(f"/tokens/{token.pk}/{page}").status_code == (405 if page == "check/" else 404)
    assert not respx_mock.calls
    token.refresh_from_db()
    assert token.label == "Clinics"


def test_staff_have_no_way_to_another_persons_pages(client: Client, staff: User, token: RapidProToken) -> None:
    client.force_login(staff)
    assert client.get(token.get_absolute_url()).status_code == 404


@pytest.mark.parametrize("page", ["/tokens/", "/tokens/add/", *(f"/tokens/{{}}/{page}" for page in PAGES)])
def test_stranger_is_sent_to_sign_in(client: Client, token: RapidProToken, page: str) -> None:
    response = client.get(page.format(token.pk))
    assert response.status_code == 302
    assert response.headers["Location"].startswith("/accounts/login/?next=")


@pytest.mark.parametrize("page", ["add/", "{}/check/", "{}/replace/", "{}/rename/", "{}/delete/"])
def test_no_change_without_a_csrf_token(owner: User, token: RapidProToken, page: str) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(owner)
    assert strict.post(f"/tokens/{page.format(token.pk)}", {"label": "x"}).status_code == 403
    assert RapidProToken.objects.get().label == "Clinics"
