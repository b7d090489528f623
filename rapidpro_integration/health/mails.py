"""The mails about tokens' health, sent by the worker: news of a check, reminders to replace, the weekly digest.

A mail is handed out in the transaction that writes down that it is due, so that it is neither lost nor sent for
nothing; before it goes, the audit log is asked whether it has gone already, so that a task may run twice. A mail that
could not be sent is a failed task, which can be tried again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import Q
from django.tasks import task
from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.utils.translation import gettext

from accounts.audit.actions import Action, Outcome
from accounts.audit.models import AuditEntry
from accounts.models import User
from config.request_ids import reference
from rapidpro_integration import notices, selectors
from rapidpro_integration.health import history, work
from rapidpro_integration.models import DigestWish, RapidProToken, TokenState

REMIND_EVERY = DIGEST_EVERY = timedelta(days=7)
ROTATE_BY, DIGEST = "rotate_by", "digest"


class MailNotSent(Exception):
    """The mail server did not take a mail; the log and the audit log have the reference, which is the message."""


def _has_gone(**facts: Any) -> bool:
    return AuditEntry.objects.filter(action=Action.MAIL_SENT, outcome=Outcome.DONE, **facts).exists()


# --- News of a check ----------------------------------------------------------------------------


def tell_later(entry: AuditEntry, server: str) -> None:
    """Have the owner mailed about an entry of a check, once, if this transaction comes about."""
    if not notices.are_silenced():
        work.hand_out(tell, entry.number, server)


@task(priority=work.priority(10))
def tell(number: int, server: str) -> None:
    """Mail the owner about the audit entry `number`, unless that was done. Raises MailNotSent."""
    entry = AuditEntry.objects.filter(number=number).first()
    if entry is None or _has_gone(token_id=entry.token_id, details__entry=number):
        return
    if not notices.send(entry, server):
        raise MailNotSent(entry.reference)


# --- Reminders to replace -----------------------------------------------------------------------


def remind_all(now: datetime | None = None) -> int:
    """Hand out the reminders that are due: when a token has reached its age, then weekly; return how many."""
    now = now or timezone.now()
    not_lately = Q(rotate_told_on__isnull=True) | Q(rotate_told_on__lte=now - REMIND_EVERY)
    tokens = RapidProToken.objects.filter(not_lately, rotate_on__lte=now, owner__is_active=True)
    count = 0
    for token_id in tokens.exclude(state=TokenState.DISABLED).values_list("pk", flat=True):
        with transaction.atomic():
            if RapidProToken.objects.filter(not_lately, pk=token_id, rotate_on__lte=now).update(rotate_told_on=now):
                work.hand_out(remind, str(token_id), reference())
                count += 1
    return count


@task(priority=work.priority(10))
def remind(token_id: str, reference: str) -> None:
    """Ask the owner for a new token in the place of this one, unless it is gone or replaced. Raises MailNotSent."""
    tokens = RapidProToken.objects.select_related("owner").filter(pk=UUID(token_id), rotate_on__lte=timezone.now())
    # Looked at again: a task that had failed may be tried again weeks later.
    token = tokens.filter(owner__is_active=True).exclude(state=TokenState.DISABLED).first()
    if token is None or _has_gone(token_id=token.pk, reference=reference):
        return
    make = partial(_reminder, token, reference)
    if not notices.post(make, token.owner, label=token, reference=reference, details={"about": ROTATE_BY}):
        raise MailNotSent(reference)


def _reminder(token: RapidProToken, reference: str) -> EmailMessage:
    with _words_of(token.owner):
        subject = gettext("Time to replace a token: %(label)s") % {"label": token.label}
        context = {"token": token, "reference": reference}
        return _message(token.owner, subject, "rotate_by.txt", context)


# --- The weekly digest --------------------------------------------------------------------------


def digest_all(now: datetime | None = None) -> int:
    """Hand out the weekly mails that are due, to those who wish for one; return how many."""
    now = now or timezone.now()
    not_lately = Q(sent_on__isnull=True) | Q(sent_on__lte=now - DIGEST_EVERY)
    wishes = DigestWish.objects.filter(not_lately, wanted=True, person__is_active=True)
    count = 0
    for wish_id, person_id in wishes.values_list("pk", "person_id"):
        with transaction.atomic():
            if DigestWish.objects.filter(not_lately, pk=wish_id, wanted=True).update(sent_on=now):
                work.hand_out(digest, person_id, reference())
                count += 1
    return count


@task(priority=work.priority(5))
def digest(person_id: int, reference: str) -> None:
    """Mail a person how their tokens did in the last week, unless they have none. Raises MailNotSent."""
    person = User.objects.filter(pk=person_id, is_active=True, digest_wish__wanted=True).first()
    if person is None or _has_gone(owner_id=person_id, reference=reference):
        return
    tokens = list(selectors.tokens_of(person_id))
    if not tokens:
        return
    now = timezone.now()
    past = history.of_tokens([token.pk for token in tokens], now - DIGEST_EVERY, now)
    make = partial(_digest, person, [(token, past[token.pk]) for token in tokens], reference)
    if not notices.post(make, person, reference=reference, details={"about": DIGEST}):
        raise MailNotSent(reference)


def _digest(person: User, rows: list[tuple[RapidProToken, history.History]], reference: str) -> EmailMessage:
    with _words_of(person):
        subject = gettext("Your RapidPro tokens this week")
        return _message(person, subject, "digest.txt", {"rows": rows, "reference": reference})


# --- All of them --------------------------------------------------------------------------------


@contextmanager
def _words_of(person: User) -> Iterator[None]:
    """Use the person's language and time zone inside the block."""
    with translation.override(person.language or settings.LANGUAGE_CODE), timezone.override(person.zone):
        yield


def _message(person: User, subject: str, template: str, context: dict[str, Any]) -> EmailMessage:
    context = {"name": str(person), "site": settings.SITE_NAME, "zone": person.zone.key, **context}
    body = render_to_string(f"rapidpro_integration/mail/{template}", context)
    return EmailMessage(subject, body, to=[person.email])
