"""Actions on tokens: nothing before the confirmation, each token once, taken back where that can be."""

from typing import Any
from uuid import UUID

import pytest
from django.core import mail
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from accounts.audit.actions import Action
from accounts.audit.models import AuditEntry
from accounts.models import User
from rapidpro_integration import services
from rapidpro_integration.models import RapidProToken, TokenCheck, TokenState
from rapidpro_integration.staff import bulk
from rapidpro_integration.staff.models import BulkAction
from tests.conftest import TokenMaker
from tests.rapidpro_integration.staff.conftest import StaffMaker
from tests.rapidpro_integration.test_token_views import Answer


@pytest.fixture(autouse=True)
def _at_once(settings: Any) -> None:
    """Do work in the moment in which it is handed out."""
    settings.TASKS = {"default": {"BACKEND": "django.tasks.backends.immediate.ImmediateBackend"}}


def choose(client: Client, kind: str, *tokens: RapidProToken, query: str = "", **more: str) -> str:
    """Tick the tokens and press the button; return the address of the confirmation."""
    ticked = [str(token.pk) for token in tokens]
    response = client.post(f"/staff/tokens/act/{query}", {"kind": kind, "token": ticked} | more)
    assert response.status_code == 302
    return str(response.headers["Location"])


def state_of(token: RapidProToken) -> str:
    """Return the state as it is now."""
    return RapidProToken.objects.get(pk=token.pk).state


def test_nothing_happens_before_the_confirmation(boss: Client, token: RapidProToken) -> None:
    address = choose(boss, "disable", token)
    page = boss.get(address).content.decode()
    assert "Disable 1 token?" in page
    assert "Clinics" in page
    assert state_of(token) == TokenState.WORKING


def test_disabled_tokens_are_enabled_again_by_undo(
    boss: Client, staff: User, owner: User, token: RapidProToken, make_token: TokenMaker
) -> None:
    off = make_token(owner, secret="1" * 40, state="disabled")
    address = choose(boss, "disable", token, off)
    boss.post(address)
    assert (state_of(token), state_of(off)) == (TokenState.DISABLED, TokenState.DISABLED)
    action = boss.get(address).context["action"]
    assert (action.changed_ids, action.done_count, action.finished_on is not None) == ([str(token.pk)], 2, True)
    # What was disabled before stays so: only what the action changed is taken back.
    back = boss.post(f"{address}undo/").headers["Location"]
    assert (state_of(token), state_of(off)) == (TokenState.UNCHECKED, TokenState.DISABLED)
    assert boss.post(f"{address}undo/").headers["Location"] == address
    assert "Takes back" in boss.get(back).content.decode()
    said = AuditEntry.objects.filter(action__in=[Action.TOKEN_DISABLED, Action.TOKEN_ENABLED, Action.STAFF_ACTION])
    assert {entry.actor_id for entry in said} == {staff.pk}
    assert sorted(entry.action for entry in said) == ["staff_action", "staff_action", "token_disabled", "token_enabled"]


def test_a_second_click_does_nothing_more(boss: Client, token: RapidProToken) -> None:
    address = choose(boss, "disable", token)
    boss.post(address)
    boss.post(address)
    assert AuditEntry.objects.filter(action=Action.TOKEN_DISABLED).count() == 1


def test_all_that_fit_the_filters_are_taken(
    boss: Client, owner: User, token: RapidProToken, make_token: TokenMaker
) -> None:
    make_token(owner, secret="1" * 40, state="rejected", label="Other")
    address = choose(boss, "disable", query="?state=rejected", everything="yes")
    assert boss.get(address).context["action"].total == 1
    boss.post(address)
    assert state_of(token) == TokenState.WORKING


def test_owners_are_asked_once_each_with_the_note(
    boss: Client, token: RapidProToken, django_capture_on_commit_callbacks: Any
) -> None:
    address = choose(boss, "ask", token)
    with django_capture_on_commit_callbacks(execute=True):
        boss.post(address, {"note": "It is a year old."})
    assert [message.to for message in mail.outbox] == [["owner@example.org"]]
    assert "Please replace your token: Clinics" in mail.outbox[0].subject
    assert "It is a year old." in mail.outbox[0].body
    assert AuditEntry.objects.get(action=Action.TOKEN_REPLACE_ASKED).details["note"] == "It is a year old."


def test_checks_ask_the_servers_and_are_kept(
    boss: Client,
    owner: User,
    token: RapidProToken,
    make_token: TokenMaker,
    rapidpro: Answer,
    django_capture_on_commit_callbacks: Any,
) -> None:
    off = make_token(owner, secret="1" * 40, state="disabled")
    route = rapidpro("workspace.json", "workspace_bad_token")
    address = choose(boss, "check", token, off)
    with django_capture_on_commit_callbacks(execute=True):
        boss.post(address)
    assert (state_of(token), state_of(off), route.call_count) == (TokenState.REJECTED, TokenState.DISABLED, 1)
    assert TokenCheck.objects.get().trigger == "staff"
    assert BulkAction.objects.get().changed_ids == [str(token.pk)]


@pytest.mark.usefixtures("asks_nothing")
def test_a_check_that_asked_nothing_leaves_what_is_known(
    boss: Client, token: RapidProToken, rapidpro: Answer, django_capture_on_commit_callbacks: Any
) -> None:
    route = rapidpro("workspace.json", "workspace_bad_token")
    address = choose(boss, "check", token)
    with django_capture_on_commit_callbacks(execute=True):
        boss.post(address)
    assert (state_of(token), TokenCheck.objects.count(), route.call_count) == (TokenState.WORKING, 0, 0)
    action = BulkAction.objects.get()
    assert (action.changed_ids, action.finished_on is not None) == ([], True)


def test_a_few_that_fail_midway_are_left_to_a_worker(
    boss: Client,
    owner: User,
    token: RapidProToken,
    make_token: TokenMaker,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings.TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": ["default"], "OPTIONS": {}}}
    another = make_token(owner, secret="1" * 40)
    address = choose(boss, "disable", token, another)
    disable, asked = services.disable_token, list[RapidProToken]()

    def fail_at_the_second(each: RapidProToken, **by: Any) -> bool:
        asked.append(each)
        if len(asked) == 2:
            raise OperationalError("database is locked")
        return disable(each, **by)

    monkeypatch.setattr(services, "disable_token", fail_at_the_second)
    assert boss.post(address).headers["Location"] == address
    (line,) = [record for record in caplog.records if record.name == bulk.__name__]
    action = BulkAction.objects.get()
    assert str(action.pk) in line.getMessage()
    assert line.exc_info
    assert (state_of(token), state_of(another), action.is_running) == (TokenState.WORKING, TokenState.WORKING, True)
    waiting = DBTaskResult.objects.get(task_path=bulk.run_later.module_path)
    bulk.run_later.call(*waiting.args_kwargs["args"])
    assert (state_of(token), state_of(another)) == (TokenState.DISABLED, TokenState.DISABLED)


def test_a_few_whose_web_process_is_killed_are_done_by_a_worker(
    staff: User, token: RapidProToken, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": ["default"], "OPTIONS": {}}}
    action = bulk.prepare(staff, "disable", [str(token.pk)])

    class Killed(BaseException):
        """As if the process had ended here, where no handler runs."""

    def die(action_id: UUID) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(bulk, "run", die)
        with pytest.raises(Killed):
            bulk.confirm(action)
    action.refresh_from_db()
    assert (state_of(token), action.is_running) == (TokenState.WORKING, True)
    waiting = DBTaskResult.objects.get(task_path=bulk.run_later.module_path)
    assert waiting.run_after > timezone.now(), "a living process is done long before"
    for _ in range(2):
        bulk.run_later.call(*waiting.args_kwargs["args"])
    action.refresh_from_db()
    assert (state_of(token), action.is_running) == (TokenState.DISABLED, False)
    assert AuditEntry.objects.filter(action=Action.TOKEN_DISABLED).count() == 1


def test_a_killed_worker_s_action_goes_on_where_it_was(
    staff: User, owner: User, make_token: TokenMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = [make_token(owner, secret=f"{number:040x}") for number in range(45)]
    action = bulk.prepare(staff, "disable", [str(token.pk) for token in tokens])
    BulkAction.objects.filter(pk=action.pk).update(started_on=action.created_on)
    steps = bulk._step

    class Killed(Exception):
        """As if the process had ended here."""

    def once(*args: Any) -> BulkAction:
        if BulkAction.objects.get(pk=action.pk).done_count:
            raise Killed
        return steps(*args)

    monkeypatch.setattr(bulk, "_step", once)
    with pytest.raises(Killed):
        bulk.run(action.pk)
    assert RapidProToken.objects.filter(state="disabled").count() == 20
    monkeypatch.setattr(bulk, "_step", steps)
    bulk.run(action.pk)
    bulk.run(action.pk)
    assert RapidProToken.objects.filter(state="disabled").count() == 45
    action.refresh_from_db()
    assert (len(action.changed_ids), action.done_count, action.is_running) == (45, 45, False)
    assert AuditEntry.objects.filter(action=Action.TOKEN_DISABLED).count() == 45


def test_only_its_maker_confirms_an_action(boss: Client, helper: StaffMaker, token: RapidProToken) -> None:
    address = choose(boss, "disable", token)
    client = helper("staff_tokens", "staff_token_actions")
    assert client.post(address).status_code == 404
    assert "Only" in client.get(address).content.decode()
    assert state_of(token) == TokenState.WORKING


def test_looking_is_not_acting(helper: StaffMaker, token: RapidProToken) -> None:
    client = helper("staff_tokens")
    assert client.post("/staff/tokens/act/", {"kind": "disable", "token": str(token.pk)}).status_code == 403
    assert "Disable…" not in client.get("/staff/tokens/").content.decode()


def test_nothing_chosen_and_what_is_no_action(boss: Client, token: RapidProToken) -> None:
    response = boss.post("/staff/tokens/act/", {"kind": "disable", "token": "x"}, follow=True)
    assert "Choose at least one token first." in response.content.decode()
    assert boss.post("/staff/tokens/act/", {"kind": "read", "token": str(token.pk)}).status_code == 404
    assert not BulkAction.objects.exists()


def test_many_are_handed_to_a_worker_that_takes_staff_s_name(
    boss: Client, staff: User, owner: User, make_token: TokenMaker, settings: Any
) -> None:
    settings.TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": ["default"], "OPTIONS": {}}}
    tokens = [make_token(owner, secret=f"{number:040x}") for number in range(bulk.AT_ONCE + 1)]
    address = choose(boss, "disable", *tokens)
    boss.post(address)
    page = boss.get(address).content.decode()
    assert "under way" in page
    assert 'hx-trigger="every 2s"' in page
    waiting = DBTaskResult.objects.get(task_path="rapidpro_integration.staff.bulk.run_later")
    assert waiting.args_kwargs["args"] == [str(BulkAction.objects.get().pk)]
    bulk.run_later.call(*waiting.args_kwargs["args"])
    assert RapidProToken.objects.filter(state="disabled").count() == bulk.AT_ONCE + 1
    assert {entry.actor_id for entry in AuditEntry.objects.filter(action=Action.TOKEN_DISABLED)} == {staff.pk}
    assert "done" in boss.get(address).content.decode()


def test_failed_work_is_tried_again_and_waiting_work_taken_out(boss: Client, settings: Any) -> None:
    settings.TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": ["default"], "OPTIONS": {}}}
    bulk.run_later.enqueue("00000000-0000-0000-0000-000000000000")
    row = DBTaskResult.objects.get()
    address = f"/staff/work/{row.pk}/"
    boss.post(address, {"change": "cancel"})
    row.refresh_from_db()
    assert row.status == "FAILED"
    page = boss.get("/staff/work/?status=FAILED").content.decode()
    assert "Cancelled" in page
    assert "00000000-0000" not in page
    boss.post(address, {"change": "retry"})
    row.refresh_from_db()
    assert row.status == "READY"
    boss.post(address, {"change": "retry"})
    entries = AuditEntry.objects.filter(action=Action.WORK_CHANGED).order_by("number")
    assert [entry.details["change"] for entry in entries] == ["cancel", "retry"]
