"""What is done to a token is written down in the transaction that does it."""

import pytest
import respx
from django.test import Client

from accounts.audit.actions import Action, Outcome
from accounts.audit.models import AuditEntry
from accounts.audit.services import LogBroken
from accounts.audit.verification import verify
from accounts.models import User
from rapidpro_integration import server_services, services
from rapidpro_integration.models import RapidProToken, RequestState, Server, TokenState
from rapidpro_integration.vault import Secret
from tests.conftest import OTHER_SERVER, PASSWORD, SECRET, SERVER, Sql, just_proved
from tests.rapidpro_integration.test_admin import act
from tests.rapidpro_integration.test_services import WORKING
from tests.rapidpro_integration.test_token_views import NEW_SECRET, Answer


def only(action: Action) -> AuditEntry:
    return AuditEntry.objects.get(action=action)


def test_added_token_is_written_with_the_checks_reference(owner_client: Client, owner: User, rapidpro: Answer) -> None:
    rapidpro("workspace.json", "endpoint_workspace")
    owner_client.post("/tokens/add/", {"label": "Clinics", "server": SERVER, "token": SECRET})
    token, entry = RapidProToken.objects.get(), only(Action.TOKEN_ADDED)
    assert (entry.token_id, entry.token_label, entry.owner_id) == (token.pk, "Clinics", owner.pk)
    assert (entry.actor_id, entry.address, entry.reference) == (owner.pk, "127.0.0.1", token.check_reference)
    assert entry.details == {"server": SERVER, "state": "working", "status": 200}


def test_refused_attempt_to_add_is_written_although_nothing_is_saved(
    owner_client: Client, owner: User, rapidpro: Answer
) -> None:
    rapidpro("workspace.json", "workspace_bad_token")
    page = owner_client.post("/tokens/add/", {"server": SERVER, "token": SECRET}).content.decode()
    entry = only(Action.TOKEN_ADDED)
    assert (entry.outcome, entry.owner_id, entry.token_id) == (Outcome.REFUSED, owner.pk, None)
    assert entry.details == {"server": SERVER, "state": "rejected", "status": 403, "saved": False}
    assert entry.reference in page


def test_check_is_written_with_what_it_found(owner_client: Client, token: RapidProToken, rapidpro: Answer) -> None:
    rapidpro("workspace.json", "workspace_bad_token")
    owner_client.post(f"/tokens/{token.pk}/check/")
    token.refresh_from_db()
    entry = only(Action.TOKEN_CHECKED)
    assert (entry.outcome, entry.reference) == (Outcome.REFUSED, token.check_reference)
    assert entry.details == {"state": "rejected", "status": 403, "news": "broken"}


def test_replaced_renamed_and_deleted_tokens_are_written(
    owner_client: Client, token: RapidProToken, rapidpro: Answer
) -> None:
    rapidpro("workspace.json", "endpoint_workspace", server=OTHER_SERVER)
    owner_client.post(f"/tokens/{token.pk}/replace/", {"server": OTHER_SERVER, "token": NEW_SECRET})
    owner_client.post(f"/tokens/{token.pk}/rename/", {"label": "Districts"})
    owner_client.post(f"/tokens/{token.pk}/delete/")
    replaced, renamed, deleted = (
        only(action) for action in (Action.TOKEN_REPLACED, Action.TOKEN_RENAMED, Action.TOKEN_DELETED)
    )
    assert (replaced.details["server_before"], replaced.details["server"]) == (SERVER, OTHER_SERVER)
    assert (renamed.token_label, renamed.details) == ("Clinics", {"label": "Districts"})
    assert (deleted.token_label, deleted.details) == ("Districts", {"server": OTHER_SERVER})
    assert {entry.token_id for entry in (replaced, renamed, deleted)} == {token.pk}


def test_staff_who_disable_enable_check_and_delete_are_named(
    client: Client, staff: User, token: RapidProToken, rapidpro: Answer
) -> None:
    rapidpro("workspace.json", "endpoint_workspace")
    just_proved(client, staff)
    for action in ("disable", "disable", "enable", "check_now"):
        act(client, action, token)
    client.post(f"/admin/rapidpro_integration/rapidprotoken/{token.pk}/delete/", {"post": "yes"})
    actions = [Action.TOKEN_DISABLED, Action.TOKEN_ENABLED, Action.TOKEN_CHECKED, Action.TOKEN_DELETED]
    for entry in map(only, actions):
        assert (entry.actor_id, entry.owner_id, entry.token_id) == (staff.pk, token.owner_id, token.pk)


def test_tokens_that_go_with_an_account_are_written(owner_client: Client, token: RapidProToken) -> None:
    owner_client.post("/accounts/close/", {"password": PASSWORD})
    assert only(Action.TOKEN_DELETED).token_id == token.pk


def test_look_of_staff_at_a_token_stands_in_that_tokens_log(client: Client, staff: User, token: RapidProToken) -> None:
    client.force_login(staff)
    client.get(f"/admin/rapidpro_integration/rapidprotoken/{token.pk}/change/")
    entry = only(Action.FACTS_VIEWED)
    assert (entry.actor_id, entry.owner_id, entry.token_id) == (staff.pk, token.owner_id, token.pk)


def test_change_that_cannot_be_written_down_is_not_made(
    owner: User, token: RapidProToken, sql: Sql, respx_mock: respx.MockRouter
) -> None:
    before = RapidProToken.objects.values().get()
    sql("DELETE FROM accounts_audithead")
    for change in (
        lambda: services.add_token(owner.pk, "New", OTHER_SERVER, Secret(NEW_SECRET), WORKING),
        lambda: services.replace_token(token, OTHER_SERVER, Secret(NEW_SECRET), WORKING),
        lambda: services.record_check(token, WORKING),
        lambda: services.rename_token(token, "New"),
        lambda: services.disable_token(token),
    ):
        with pytest.raises(LogBroken):
            change()
        assert RapidProToken.objects.values().get() == before
    # Django deletes in a transaction without a savepoint: inside the test's own one it needs a savepoint around it.
    with pytest.raises(LogBroken), services.transaction.atomic():
        services.delete_token(token)
    assert RapidProToken.objects.values().get() == before
    RapidProToken.objects.update(state=TokenState.DISABLED)
    with pytest.raises(LogBroken):
        services.enable_token(token)
    assert RapidProToken.objects.get().state == TokenState.DISABLED


def test_no_entry_holds_any_part_of_a_token(owner_client: Client, token: RapidProToken, rapidpro: Answer) -> None:
    rapidpro("workspace.json", "workspace_bad_token")
    owner_client.post("/tokens/add/", {"server": SERVER, "token": NEW_SECRET})
    owner_client.post(f"/tokens/{token.pk}/check/")
    owner_client.post(f"/tokens/{token.pk}/delete/")
    kept = str(list(AuditEntry.objects.values()))
    for secret in (SECRET, NEW_SECRET):
        for part in (secret, secret[:8], secret[-4:]):
            assert part not in kept
    for part in (token.sealed, token.sealed[-20:], token.fingerprint):
        assert part not in kept
    assert verify().broken == ""


def test_servers_are_asked_for_answered_and_changed_in_the_log(owner: User, staff: User) -> None:
    wish = server_services.ask_for_server(owner, "Ours", "https://ours.example", "Trial", link="")
    server_services.decide(wish, staff, RequestState.APPROVED)
    server = Server.objects.get(origin="https://ours.example")
    for paused in (True, True, False):
        server_services.pause_server(server, paused=paused)
    asked, decided = only(Action.SERVER_ASKED), only(Action.SERVER_DECIDED)
    assert (asked.owner_id, decided.owner_id, decided.outcome) == (owner.pk, owner.pk, Outcome.DONE)
    changes = AuditEntry.objects.filter(action=Action.SERVER_CHANGED).order_by("number")
    assert [entry.details["change"] for entry in changes] == ["paused", "resumed"]
