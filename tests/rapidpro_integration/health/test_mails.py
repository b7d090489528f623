"""The mails about tokens' health: each when it should be, once, in the person's words, and never with a token in it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.core import mail
from django.utils import timezone
from pytest_django import Settings

from accounts.audit.actions import Action, Outcome
from accounts.audit.models import AuditEntry
from accounts.models import User
from rapidpro_integration import notices, services
from rapidpro_integration.checking import CheckOutcome, outcome_of
from rapidpro_integration.client.errors import TokenRejectedException, UnreachableException
from rapidpro_integration.client.types import Workspace
from rapidpro_integration.health import mails, rotating, wording
from rapidpro_integration.models import DigestWish, RapidProToken, TokenState
from rapidpro_integration.vault import Secret
from tests.conftest import SECRET, SERVER, TokenMaker
from tests.rapidpro_integration.health.test_work import queue, work_through  # noqa: F401  # a fixture
from tests.rapidpro_integration.test_services import WORKING
from tests.rapidpro_integration.test_token_views import NEW_SECRET

UUID_ = UUID("882f1c30-45b7-4fe2-bff8-12c78de3807e")


@pytest.fixture
def committed(django_capture_on_commit_callbacks: Callable[..., Any]) -> Callable[..., Any]:
    """Return a context in which what waits for a commit is done at its end."""
    return lambda: django_capture_on_commit_callbacks(execute=True)


def subjects() -> list[str]:
    return [message.subject for message in mail.outbox]


def moved(name: str = "Nutrition", zone: str = "") -> CheckOutcome:
    return CheckOutcome(TokenState.WORKING, 5, "0A1B2C3D", workspace=Workspace(UUID_, name=name, timezone=zone))


# --- News of a check ----------------------------------------------------------------------------


def test_server_that_is_down_is_told_after_a_day_and_its_end_once(token: RapidProToken, committed: Any) -> None:
    down = outcome_of(UnreachableException())
    with committed():
        services.record_check(token, down)
    assert subjects() == []
    RapidProToken.objects.update(broken_since=timezone.now() - timedelta(hours=25))
    for outcome in (down, down, WORKING, WORKING):
        with committed():
            services.record_check(token, outcome)
    assert subjects() == ["Token does not work for now: Clinics", "Token works again: Clinics"]
    assert "The server cannot be reached." in mail.outbox[0].body
    assert "As far as we know your token is in order" in mail.outbox[0].body
    token.refresh_from_db()
    assert token.broken_told_on is None


def test_change_behind_a_token_is_told_with_what_changed(token: RapidProToken, committed: Any) -> None:
    with committed():
        services.record_check(token, moved("Health", "Africa/Kampala"))
        services.record_check(token, moved("Health", "Africa/Kampala"))
    assert subjects() == ["Something changed behind the token: Clinics"]
    body = mail.outbox[0].body
    assert "Workspace's name: “Nutrition” → “Health”" in body
    assert "Time zone: “–” → “Africa/Kampala”" in body
    assert "What to do" in body
    assert token.checks.get(drift__isnull=False).drift == {
        "name": ["Nutrition", "Health"],
        "time_zone": ["", "Africa/Kampala"],
    }


def test_name_of_a_workspace_cannot_write_a_mail_of_its_own(token: RapidProToken, committed: Any) -> None:
    with committed():
        services.record_check(token, moved("Health\n\nWhat to do\nOpen https://evil.example " + "x" * 200))
    changed = next(line for line in mail.outbox[0].body.splitlines() if "→" in line)
    assert "Health What to do Open" in changed
    assert len(changed) < 250


def test_what_changed_is_told_on_one_line_each() -> None:
    drift = {"name": ["Nutrition", "Health\r\n\nWhat to do\u2028Open"], "role": ["working", "not_allowed"]}
    (_, before, now), (_, *rights) = wording.drift_lines(drift)
    assert (before, now) == ("Nutrition", "Health What to do Open")
    assert "not_allowed" not in rights


def test_owner_who_replaces_a_refused_token_is_told_of_the_replacement_alone(
    token: RapidProToken, committed: Any
) -> None:
    with committed():
        services.record_check(token, outcome_of(TokenRejectedException()))
        services.replace_token(token, SERVER, Secret(NEW_SECRET), moved("Another"))
    assert sorted(subjects()) == ["Token refused by its server: Clinics", "Token replaced: Clinics"]
    token.refresh_from_db()
    assert (token.broken_since, token.broken_told_on, token.failures_in_a_row) == (None, None, 0)
    assert not token.checks.filter(drift__isnull=False).exists()


def test_owner_who_saved_a_refused_token_all_the_same_is_not_told_what_they_saw(owner: User, committed: Any) -> None:
    with committed():
        token = services.add_token(owner.pk, "Clinics", SERVER, Secret(SECRET), outcome_of(TokenRejectedException()))
        services.record_check(token, outcome_of(TokenRejectedException()))
    assert subjects() == ["Token added: Clinics"]
    with committed():
        services.record_check(token, WORKING)
    assert subjects()[1:] == ["Token works again: Clinics"]


def test_task_that_runs_twice_mails_once(token: RapidProToken, committed: Any) -> None:
    with committed():
        services.record_check(token, outcome_of(TokenRejectedException()))
    entry = AuditEntry.objects.get(action=Action.TOKEN_CHECKED)
    mails.tell.func(entry.number, SERVER)
    assert len(mail.outbox) == 1
    assert AuditEntry.objects.filter(action=Action.MAIL_SENT).count() == 1


def test_mail_that_cannot_be_sent_is_a_failed_task_that_can_be_tried_again(
    queue: Any,  # noqa: F811
    token: RapidProToken,
    settings: Settings,
) -> None:
    from rapidpro_integration.health import work

    working = settings.MAILERS
    settings.MAILERS = {"default": {"BACKEND": "tests.rapidpro_integration.health.test_mails.NoMailServer"}}
    services.record_check(token, outcome_of(TokenRejectedException()))
    work_through()
    row = queue.get(task_path=mails.tell.module_path)
    assert row.status == "FAILED"
    assert AuditEntry.objects.get(action=Action.MAIL_SENT).outcome == Outcome.FAILED
    settings.MAILERS = working
    assert work.retry(row.pk)
    work_through()
    assert subjects() == ["Token refused by its server: Clinics"]


class NoMailServer:
    """A mail server that is down."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        pass

    def send_messages(self, messages: object) -> int:
        raise ConnectionRefusedError


# --- Reminders to replace -----------------------------------------------------------------------


def test_owner_is_reminded_when_a_token_is_old_and_then_weekly(
    owner: User, token: RapidProToken, committed: Any
) -> None:
    now = timezone.now()
    RapidProToken.objects.update(secret_saved_on=now - timedelta(days=100))
    rotating.set_age(token, 90)
    for later in (0, 1, 6, 7, 8, 14):
        with committed():
            mails.remind_all(now + timedelta(days=later))
    assert subjects() == ["Time to replace a token: Clinics"] * 3
    body = mail.outbox[0].body
    saved = timezone.localtime(now - timedelta(days=100), owner.zone)
    for words in (f"Saved: {saved:%-d %b %Y}", "choose “Replace”", SERVER, "once a week"):
        assert words in body
    assert SECRET[-4:] not in body


def test_nobody_is_reminded_of_what_is_young_replaced_disabled_or_not_theirs_to_use(
    token: RapidProToken, committed: Any
) -> None:
    rotating.set_age(token, 30)
    with committed():
        assert mails.remind_all() == 0
    RapidProToken.objects.update(rotate_on=timezone.now() - timedelta(days=1))
    services.disable_token(token)
    User.objects.update(is_active=True)
    assert mails.remind_all() == 0
    services.enable_token(token)
    User.objects.update(is_active=False)
    assert mails.remind_all() == 0
    User.objects.update(is_active=True)
    token.refresh_from_db()
    services.replace_token(token, SERVER, Secret(NEW_SECRET), WORKING)
    assert mails.remind_all() == 0
    token.refresh_from_db()
    assert token.rotate_on is not None
    assert timedelta(days=29) < token.rotate_on - timezone.now() <= timedelta(days=30)


@pytest.mark.parametrize(("rows", "change"), [(RapidProToken, {"state": "disabled"}), (User, {"is_active": False})])
def test_reminder_that_waited_is_not_sent_of_what_is_not_used_any_more(
    queue: Any,  # noqa: F811
    token: RapidProToken,
    rows: Any,
    change: dict[str, Any],
) -> None:
    RapidProToken.objects.update(rotate_on=timezone.now() - timedelta(days=1))
    assert mails.remind_all() == 1
    rows.objects.update(**change)
    work_through()
    assert queue.get(task_path=mails.remind.module_path).status == "SUCCESSFUL"
    assert subjects() == []


def test_shorter_of_two_ages_counts_and_each_is_taken_away_by_who_set_it(token: RapidProToken) -> None:
    def days_left() -> int | None:
        token.refresh_from_db()
        return token.rotate_on and round((token.rotate_on - token.secret_saved_on) / timedelta(days=1))

    rotating.set_age(token, 90)
    assert days_left() == 90
    rotating.set_age(token, 30, by_staff=True)
    assert days_left() == 30
    rotating.set_age(token, None)
    assert days_left() == 30
    rotating.set_age(token, None, by_staff=True)
    assert days_left() is None
    assert AuditEntry.objects.filter(action=Action.TOKEN_AGE_SET).count() == 4
    rotating.set_age(token, None)
    assert AuditEntry.objects.filter(action=Action.TOKEN_AGE_SET).count() == 4
    for days in (0, -1, 3651):
        with pytest.raises(ValueError, match="1 to 3650"):
            rotating.set_age(token, days)


# --- The weekly digest --------------------------------------------------------------------------


def test_digest_is_for_those_who_wish_for_one_once_a_week(
    owner: User, other: User, token: RapidProToken, make_token: TokenMaker, committed: Any
) -> None:
    make_token(other, label="Not theirs")
    DigestWish.objects.create(person=owner)
    DigestWish.objects.create(person=other, wanted=False)
    services.record_check(token, WORKING)
    now = timezone.now()
    for later in (0, 1, 6.9, 7):
        with committed():
            mails.digest_all(now + timedelta(days=later))
    assert [(message.subject, message.to) for message in mail.outbox] == [
        ("Your RapidPro tokens this week", [owner.email])
    ] * 2
    body = mail.outbox[0].body
    for words in ("Clinics (rapidpro.example)", "Now: Working", "Worked 100 % of the time.", "1 check, 0 failures."):
        assert words in body
    assert "Not theirs" not in body
    assert SECRET[-4:] not in body


def test_digest_is_not_for_who_has_no_token_or_no_account_in_use(owner: User, other: User, committed: Any) -> None:
    DigestWish.objects.create(person=owner)
    DigestWish.objects.create(person=other)
    User.objects.filter(pk=other.pk).update(is_active=False)
    with committed():
        assert mails.digest_all() == 1
    assert subjects() == []


def test_digest_that_waited_is_not_sent_to_who_wants_none_any_more(
    queue: Any,  # noqa: F811
    owner: User,
    token: RapidProToken,
) -> None:
    DigestWish.objects.create(person=owner)
    assert mails.digest_all() == 1
    DigestWish.objects.update(wanted=False)
    work_through()
    assert queue.get(task_path=mails.digest.module_path).status == "SUCCESSFUL"
    assert subjects() == []


def test_mails_are_in_the_owners_language(token: RapidProToken, owner: User, committed: Any) -> None:
    User.objects.update(language="ar")
    DigestWish.objects.create(person=owner)
    RapidProToken.objects.update(rotate_on=timezone.now() - timedelta(days=1))
    with committed():
        mails.remind_all()
        mails.digest_all()
    # Words that were translated before these mails were: the greeting and the state.
    assert all("Hello owner" not in message.body for message in mail.outbox)
    assert len(mail.outbox) == 2


def test_invented_people_get_no_mail(token: RapidProToken, committed: Any) -> None:
    with committed(), notices.silence():
        services.record_check(token, outcome_of(TokenRejectedException()))
    assert subjects() == []
