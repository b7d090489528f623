"""The owner is told by mail, in their words and hours, and never with a part of the token."""

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone, translation
from django.utils.formats import date_format
from pytest_django import Settings

from accounts.audit.actions import Action, Outcome
from accounts.audit.models import AuditEntry
from accounts.models import User
from rapidpro_integration import notices, services
from rapidpro_integration.checking import CheckOutcome, outcome_of
from rapidpro_integration.client.errors import NotAllowedException, TokenRejectedException, UnreachableException
from rapidpro_integration.health.judging import News
from rapidpro_integration.models import RapidProToken, TokenState
from rapidpro_integration.vault import Secret
from tests.conftest import OTHER_SERVER, PASSWORD, SECRET, SERVER, just_proved
from tests.rapidpro_integration.test_admin import act
from tests.rapidpro_integration.test_services import WORKING
from tests.rapidpro_integration.test_token_views import NEW_SECRET, Answer

type Committed = Callable[..., Any]


@pytest.fixture
def committed(django_capture_on_commit_callbacks: Committed) -> Committed:
    """Return a context in which what waits for a commit is done at its end."""
    return lambda: django_capture_on_commit_callbacks(execute=True)


def mails() -> list[tuple[str, list[str]]]:
    return [(message.subject, message.to) for message in mail.outbox]


def test_owner_is_told_of_what_is_done_to_a_token(owner: User, committed: Committed) -> None:
    with committed():
        token = services.add_token(owner.pk, "Clinics", SERVER, Secret(SECRET), WORKING)
    with committed():
        services.replace_token(token, OTHER_SERVER, Secret(NEW_SECRET), WORKING)
    with committed():
        services.disable_token(token)
        services.disable_token(token)
        services.enable_token(token)
    with committed():
        services.delete_token(token)
    to = [owner.email]
    assert mails() == [(f"Token {what}: Clinics", to) for what in ("added", "replaced", "disabled", "deleted")]
    body = mail.outbox[0].body
    entry = AuditEntry.objects.get(action=Action.TOKEN_ADDED)
    for words in (SERVER, "Clinics", "What to do", f"Reference: {entry.reference}", "Africa/Nairobi"):
        assert words in body
    assert f"{(entry.when.hour + 3) % 24:02}:{entry.when:%M}" in body
    assert OTHER_SERVER in mail.outbox[1].body


def test_mail_holds_no_part_of_the_token(owner: User, committed: Committed) -> None:
    with committed():
        token = services.add_token(owner.pk, "Clinics", SERVER, Secret(SECRET), WORKING)
        services.replace_token(token, SERVER, Secret(NEW_SECRET), WORKING)
    for message in mail.outbox:
        text = message.message().as_string()
        for part in (SECRET, SECRET[:8], SECRET[-4:], NEW_SECRET, NEW_SECRET[:8], NEW_SECRET[-4:]):
            assert part not in text


def test_refusal_is_told_once_and_so_is_its_end(token: RapidProToken, committed: Committed) -> None:
    refused, not_allowed = outcome_of(TokenRejectedException()), outcome_of(NotAllowedException())
    steps: list[tuple[CheckOutcome, int]] = [
        (refused, 1),
        (refused, 1),
        (not_allowed, 1),
        (outcome_of(UnreachableException()), 1),
        (WORKING, 2),
        (WORKING, 2),
        (not_allowed, 3),
    ]
    for outcome, expected in steps:
        with committed():
            services.record_check(token, outcome)
        assert len(mail.outbox) == expected
    first, again, second = mail.outbox
    assert again.subject == "Token works again: Clinics"
    assert first.subject == "Token refused by its server: Clinics"
    assert "does not know this token" in first.body
    assert "its user may not do this" in second.body
    assert refused.reference in first.body


def test_refusal_met_on_the_flow_list_is_told(
    owner_client: Client, token: RapidProToken, rapidpro: Answer, committed: Committed
) -> None:
    rapidpro("flows.json", "flows_bad_token")
    for _ in range(2):
        with committed():
            owner_client.get(f"/tokens/{token.pk}/flows/")
    assert len(mail.outbox) == 1


def test_who_did_it_is_told(client: Client, staff: User, token: RapidProToken, committed: Committed) -> None:
    staff.name = "Sita Staff"
    staff.save()
    just_proved(client, staff)
    with committed():
        act(client, "disable", token)
    assert "Who: Sita Staff <staff@example.org>" in mail.outbox[0].body
    just_proved(client, User.objects.get(username="owner"))
    with committed():
        client.post(f"/tokens/{token.pk}/delete/")
    assert "Who: you, or somebody with your account" in mail.outbox[1].body


def test_mail_is_in_the_owners_language(owner: User, token: RapidProToken, committed: Committed) -> None:
    User.objects.update(language="ar")
    with committed():
        services.disable_token(token)
    moment = timezone.localtime(AuditEntry.objects.get(action=Action.TOKEN_DISABLED).when, owner.zone)
    with translation.override("ar"):
        # A word of Django's own: the month is there whatever our translations say.
        month = date_format(moment, "j M Y")
    assert not month.isascii()
    assert month in mail.outbox[0].body


def test_nothing_is_sent_for_what_was_rolled_back(token: RapidProToken, committed: Committed) -> None:
    with committed(), services.transaction.atomic():
        services.disable_token(token)
        services.transaction.set_rollback(True)
    token.refresh_from_db()
    assert token.state == TokenState.WORKING
    assert mails() == []


def test_closed_account_gets_no_mail_about_each_token(
    owner_client: Client, token: RapidProToken, committed: Committed
) -> None:
    with committed():
        owner_client.post("/accounts/close/", {"password": PASSWORD})
    assert not [subject for subject, _ in mails() if "Clinics" in subject]
    assert not AuditEntry.objects.filter(action=Action.MAIL_SENT).exists()


def test_name_from_a_server_cannot_write_headers_or_lines(owner: User, committed: Committed) -> None:
    with committed():
        services.add_token(owner.pk, "A\r\nBcc: evil@example.org\n\nPay here", SERVER, Secret(SECRET), WORKING)
    message = mail.outbox[0].message()
    assert message["Bcc"] is None
    assert "\nBcc" not in mail.outbox[0].body
    assert "\nPay here" not in mail.outbox[0].body


def test_mail_server_that_is_down_breaks_nothing_and_is_told(
    owner_client: Client,
    token: RapidProToken,
    settings: Settings,
    committed: Committed,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A real connection to a port that nobody listens on."""
    options = {"host": "127.0.0.1", "port": 9, "timeout": 2}
    settings.MAILERS = {"default": {"BACKEND": "django.core.mail.backends.smtp.EmailBackend", "OPTIONS": options}}
    with caplog.at_level(logging.ERROR), committed():
        assert owner_client.post(f"/tokens/{token.pk}/delete/").status_code == 302
    assert not RapidProToken.objects.exists()
    entry = AuditEntry.objects.get(action=Action.MAIL_SENT)
    deleted = AuditEntry.objects.get(action=Action.TOKEN_DELETED)
    assert (entry.outcome, entry.owner_id, entry.token_id) == (Outcome.FAILED, token.owner_id, token.pk)
    assert entry.details == {"about": "token_deleted", "entry": deleted.number, "error": "ConnectionRefusedError"}
    assert f"reference={deleted.reference}" in caplog.text


def test_silence_sends_nothing_and_still_writes(token: RapidProToken, committed: Committed) -> None:
    with committed(), notices.silence():
        services.disable_token(token)
    assert mails() == []
    assert AuditEntry.objects.filter(action=Action.TOKEN_DISABLED).exists()


def test_sent_mail_is_in_the_log(token: RapidProToken, committed: Committed) -> None:
    with committed():
        services.disable_token(token)
    assert AuditEntry.objects.get(action=Action.MAIL_SENT).outcome == Outcome.DONE


def test_request_does_not_wait_for_the_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, done = threading.Event(), threading.Event()

    def slow() -> None:
        go_on.wait(10)
        done.set()

    notices._in_background(slow)
    assert not done.is_set()
    go_on.set()
    assert done.wait(10)


def test_words_are_those_of_the_state_that_a_check_found() -> None:
    entry = AuditEntry(action=Action.TOKEN_CHECKED, details={"state": TokenState.REJECTED, "news": News.BROKEN})
    assert "refused" in str(notices.notice_of(entry).subject)
    with pytest.raises(KeyError):
        notices.notice_of(AuditEntry(action=Action.SIGNED_IN))
