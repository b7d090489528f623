"""A round of checks against recorded servers."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
import respx
from asgiref.sync import async_to_sync
from django.db import DatabaseError
from django.utils import timezone

from accounts.audit.actions import Action
from accounts.audit.models import AuditEntry
from accounts.models import User
from rapidpro_integration import services
from rapidpro_integration.health import leases, rounds
from rapidpro_integration.models import RapidProToken, TokenCheck, TokenState, Trigger
from tests.conftest import OTHER_SERVER, SECRET, SERVER, TokenMaker
from tests.rapidpro_integration.test_token_views import Answer

around = async_to_sync(rounds.around)
WORKSPACE = {"uuid": "882f1c30-45b7-4fe2-bff8-12c78de3807e", "name": "Nutrition"}


def test_due_token_is_checked_once_and_due_again_in_six_hours(token: RapidProToken, rapidpro: Answer) -> None:
    route = rapidpro("workspace.json", json=WORKSPACE)
    assert around("worker").working == 1
    assert around("worker").checked == 0
    assert route.call_count == 1
    check = TokenCheck.objects.get()
    assert (check.token_id, check.state, check.trigger) == (token.pk, "working", "due")
    assert (check.http_status, check.kind, check.server, check.drift) == (200, "", SERVER, None)
    token.refresh_from_db()
    assert (token.leased_until, token.leased_by, token.check_reference) == (None, "", check.reference)
    assert token.next_check_on is not None
    assert timedelta(hours=5.3) < token.next_check_on - timezone.now() < timedelta(hours=6.7)


def test_check_that_changes_nothing_leaves_only_the_opening_in_the_audit_log(
    token: RapidProToken, rapidpro: Answer
) -> None:
    rapidpro("workspace.json", json=WORKSPACE)
    around("worker")
    assert [entry.action for entry in AuditEntry.objects.filter(token_id=token.pk)] == [Action.TOKEN_OPENED]


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ({"error": httpx.ConnectError("down")}, TokenState.UNREACHABLE),
        ({"error": httpx.ReadTimeout("slow")}, TokenState.UNREACHABLE),
        ({"status": 500}, TokenState.SERVER_ERROR),
        ({"status": 503}, TokenState.SERVER_ERROR),
        ({"status": 200, "html": "<p>Down for maintenance</p>"}, TokenState.NOT_RAPIDPRO),
        ({"status": 302, "headers": {"Location": "https://login.example/"}}, TokenState.NOT_RAPIDPRO),
        ({"name": "throttle_org_6"}, TokenState.RATE_LIMITED),
    ],
    ids=["no connection", "time-out", "500", "503", "web page", "redirect", "429"],
)
def test_failure_of_a_server_is_never_a_rejection(
    token: RapidProToken, rapidpro: Answer, answer: dict[str, Any], state: TokenState
) -> None:
    rapidpro("workspace.json", **answer)
    around("worker")
    token.refresh_from_db()
    assert token.state == state == TokenCheck.objects.get().state
    assert token.workspace_name == "Nutrition"
    assert token.broken_told_on is None


def test_locked_token_is_put_off_and_nothing_is_sent(token: RapidProToken, respx_mock: respx.MockRouter) -> None:
    RapidProToken.objects.update(sealed=token.sealed[:-4] + "AAAA")
    tally = around("worker")
    assert (tally.checked, tally.put_off) == (0, 1)
    token.refresh_from_db()
    assert token.leased_until is None
    assert token.next_check_on is not None
    assert not TokenCheck.objects.exists()
    assert not respx_mock.calls


def test_check_whose_lease_was_taken_over_is_not_saved(token: RapidProToken, respx_mock: respx.MockRouter) -> None:
    async def answer(request: httpx.Request) -> httpx.Response:
        until = timezone.now() + timedelta(minutes=1)
        await RapidProToken.objects.aupdate(leased_by="somebody else's", leased_until=until)
        return httpx.Response(403, json={"detail": "Invalid token"})

    respx_mock.get(f"{SERVER}/api/v2/workspace.json").mock(side_effect=answer)
    tally = around("worker")
    assert (tally.checked, tally.put_off) == (0, 1)
    token.refresh_from_db()
    assert (token.state, token.leased_by) == (TokenState.WORKING, "somebody else's")
    assert not TokenCheck.objects.exists()


def test_error_of_our_own_fails_the_round_and_stops_no_other_check(
    owner: User, token: RapidProToken, make_token: TokenMaker, rapidpro: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = make_token(owner, secret="b" * 40, server=OTHER_SERVER)
    rapidpro("workspace.json", json=WORKSPACE)
    rapidpro("workspace.json", server=OTHER_SERVER, json=WORKSPACE)
    save = services.record_check

    def fails_for_one(row: RapidProToken, *args: Any, **kwargs: Any) -> None:
        if row.pk == token.pk:
            raise DatabaseError("disk full")
        save(row, *args, **kwargs)

    monkeypatch.setattr(services, "record_check", fails_for_one)
    with pytest.raises(rounds.ChecksFailed, match=str(token.pk)) as caught:
        around("worker")
    assert "disk full" not in str(caught.value)
    assert TokenCheck.objects.get().token_id == good.pk
    token.refresh_from_db()
    assert (token.leased_until, token.leased_by) == (None, "")
    assert token.next_check_on is not None
    assert token.next_check_on > timezone.now() + timedelta(minutes=2), "not with the next lease: it would fail again"


def test_failed_check_that_cannot_be_put_off_keeps_its_lease_and_is_told_like_any_other(
    token: RapidProToken, rapidpro: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    rapidpro("workspace.json", json=WORKSPACE)

    def fails(*args: Any, **kwargs: Any) -> None:
        raise DatabaseError("gone")

    monkeypatch.setattr(services, "record_check", fails)
    monkeypatch.setattr(leases, "release", fails)
    with pytest.raises(rounds.ChecksFailed):
        around("worker")
    token.refresh_from_db()
    assert token.leased_until is not None, "the lease runs out, and then it is tried again"


def test_slow_server_holds_up_nobody_elses_check_and_has_four_at_most(
    owner: User, make_token: TokenMaker, respx_mock: respx.MockRouter
) -> None:
    for number in range(6):
        make_token(owner, secret=f"{number:040}", label=f"slow {number}")
    make_token(owner, secret="b" * 40, label="quick", server=OTHER_SERVER)
    now, most, order, all_at_it = 0, 0, list[str](), asyncio.Event()

    async def slow(request: httpx.Request) -> httpx.Response:
        """Answer when four are waiting and the other server has answered: who waits for the slow one gets no answer."""
        nonlocal now, most
        now, most = now + 1, max(most, now + 1)
        if now == 4 and order:
            all_at_it.set()
        await asyncio.wait_for(all_at_it.wait(), 10)
        await asyncio.sleep(0.02)
        now -= 1
        order.append("slow")
        return httpx.Response(200, json=WORKSPACE)

    async def quick(request: httpx.Request) -> httpx.Response:
        order.append("quick")
        if now == 4:
            all_at_it.set()
        return httpx.Response(200, json=WORKSPACE)

    respx_mock.get(f"{SERVER}/api/v2/workspace.json").mock(side_effect=slow)
    respx_mock.get(f"{OTHER_SERVER}/api/v2/workspace.json").mock(side_effect=quick)
    assert around("worker").working == 7
    assert order[0] == "quick"
    assert most == 4


def test_patient_round_waits_for_what_somebody_else_holds(
    token: RapidProToken, rapidpro: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "_LOOK_AGAIN_S", 0.01)
    rapidpro("workspace.json", json=WORKSPACE)
    (held,) = leases.claim("other", 1)
    RapidProToken.objects.filter(pk=token.pk).update(leased_until=timezone.now() + timedelta(seconds=0.1))
    only = leases.checkable().filter(pk=token.pk)
    assert around("worker", only=only, trigger=Trigger.STAFF).checked == 0
    assert around("worker", only=only, trigger=Trigger.STAFF, patient=True).checked == 1
    assert TokenCheck.objects.get().trigger == Trigger.STAFF
    assert held.leased_by


def test_no_part_of_a_token_is_in_a_check(token: RapidProToken, rapidpro: Answer) -> None:
    rapidpro("workspace.json", status=403, json={"detail": f"Invalid token {SECRET}"})
    around("worker")
    row = str(TokenCheck.objects.values().get())
    assert SECRET not in row
    assert SECRET[-4:] not in row
