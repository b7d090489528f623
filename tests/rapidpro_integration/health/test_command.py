"""`manage.py tokens check`, `watch` and `thin`."""

import io
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import User
from rapidpro_integration.health import rounds
from rapidpro_integration.models import RapidProToken, TokenCheck, TokenState, WorkerBeat
from tests.conftest import OTHER_SERVER, TokenMaker
from tests.rapidpro_integration.health.test_history import check
from tests.rapidpro_integration.health.test_rounds import WORKSPACE
from tests.rapidpro_integration.test_token_views import Answer

LATER = timezone.now() + timedelta(hours=3)


def run(*arguments: str, **options: Any) -> tuple[int, str]:
    """Return the exit code and what was printed."""
    out = io.StringIO()
    try:
        call_command("tokens", *arguments, stdout=out, stderr=out, **options)
    except CommandError as error:
        return error.returncode, f"{out.getvalue()}{error}"
    return 0, out.getvalue()


def test_due_tokens_are_checked_by_default(
    owner: User, token: RapidProToken, make_token: TokenMaker, rapidpro: Answer
) -> None:
    make_token(owner, secret="b" * 40, server=OTHER_SERVER, next_check_on=LATER)
    rapidpro("workspace.json", json=WORKSPACE)
    code, text = run("check")
    assert (code, TokenCheck.objects.get().trigger) == (0, "due")
    assert text == "1 of 1\n1 tokens were checked, 1 work; 0 put off.\n  working: 1\n"
    assert run("check", "--due") == (0, "0 tokens were checked, 0 work; 0 put off.\n")


def test_exit_code_says_that_a_token_does_not_work(
    owner: User, token: RapidProToken, make_token: TokenMaker, rapidpro: Answer
) -> None:
    make_token(owner, secret="b" * 40, server=OTHER_SERVER, next_check_on=LATER)
    make_token(owner, secret="c" * 40, state=TokenState.DISABLED)
    elsewhere = {"workspace_uuid": uuid4(), "state": TokenState.RATE_LIMITED}
    make_token(owner, secret="d" * 40, retry_on=LATER, **elsewhere)
    rapidpro("workspace.json", json=WORKSPACE)
    rapidpro("workspace.json", "workspace_bad_token", server=OTHER_SERVER)
    code, text = run("check", "--all")
    assert code == 1
    assert "2 tokens were checked, 1 work; 0 put off.\n  rejected: 1\n  working: 1\n1 tokens do not work." in text
    assert set(TokenCheck.objects.values_list("trigger", flat=True)) == {"hand"}


def test_one_token_is_checked_by_its_id(token: RapidProToken, rapidpro: Answer) -> None:
    RapidProToken.objects.update(next_check_on=LATER)
    rapidpro("workspace.json", json=WORKSPACE)
    assert run("check", "--id", str(token.pk))[0] == 0
    assert TokenCheck.objects.count() == 1
    unknown = str(uuid4())
    code, text = run("check", "--id", unknown)
    assert (code, unknown in text) == (2, True)


def test_error_of_our_own_has_an_exit_code_of_its_own(
    token: RapidProToken, rapidpro: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(rounds, "log_problem", fail)
    rapidpro("workspace.json", status=500)
    code, text = run("check")
    assert (code, str(token.pk) in text) == (3, True)


def test_scheduler_looks_once_for_cron(db: None) -> None:
    assert run("watch", "--once") == (0, "Handed out: housekeeping.\n")
    assert run("watch", "--once") == (0, "Handed out: nothing.\n")
    assert WorkerBeat.objects.get().role == "watch"


def test_history_is_thinned_by_hand(token: RapidProToken) -> None:
    for _ in range(3):
        check(token, timezone.now() - timedelta(days=500))
    assert run("thin") == (0, "3 checks were deleted.\n")


def test_staff_set_an_age_for_all_tokens_and_take_it_away_of_one(
    owner: User, token: RapidProToken, make_token: TokenMaker
) -> None:
    other = make_token(owner, secret="b" * 40)
    assert run("age", "90", "--all")[1].endswith("The age of 2 tokens was changed.\n")
    assert run("age", "90", "--all")[1].endswith("The age of 0 tokens was changed.\n")
    assert run("age", "0", "--id", str(other.pk))[0] == 0
    assert dict(RapidProToken.objects.values_list("pk", "staff_rotate_by_days")) == {token.pk: 90, other.pk: None}
    for wrong in (("4000", "--all"), ("1", "--id", str(uuid4()))):
        assert run("age", *wrong)[0] == 2
