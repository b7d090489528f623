"""Mails that tell an owner what was done to one of their tokens: after the commit, beside the request.

A mail server that is down breaks nothing: the failure is logged, and the audit log tells how each mail ended.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import connections, transaction
from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.audit.actions import Action, Outcome
from accounts.audit.chain import Fact
from accounts.audit.context import Source
from accounts.audit.models import AuditEntry
from accounts.audit.services import TokenFacts, record
from accounts.models import User
from rapidpro_integration.health import wording
from rapidpro_integration.health.judging import DRIFT_PREFIX, Drift, News
from rapidpro_integration.states import TokenState

logger = logging.getLogger(__name__)

type Text = str | Promise

_NOT_YOU = _(
    "If it was you, there is nothing to do. If it was not: sign in, change your password, look at the log, delete the "
    "token in RapidPro itself, and tell your administrator the reference."
)


@dataclass(frozen=True, slots=True)
class Notice:
    """What a mail says: its subject, with the token's label in it, what happened, and what to do."""

    subject: Text
    fact: Text
    advice: Text


NOTICES: Mapping[Action, Notice] = {
    Action.TOKEN_ADDED: Notice(
        _("Token added: %(label)s"), _("A RapidPro API token was saved to your account."), _NOT_YOU
    ),
    Action.TOKEN_REPLACED: Notice(
        _("Token replaced: %(label)s"), _("One of your RapidPro API tokens was replaced by another one."), _NOT_YOU
    ),
    Action.TOKEN_DELETED: Notice(
        _("Token deleted: %(label)s"),
        _("One of your RapidPro API tokens was destroyed here. In RapidPro it works until you delete it there."),
        _NOT_YOU,
    ),
    Action.TOKEN_DISABLED: Notice(
        _("Token disabled: %(label)s"),
        _("Staff have disabled one of your RapidPro API tokens. It is not used until they enable it again."),
        _("Ask your administrator why, with the reference. If somebody else may know it, delete it in RapidPro."),
    ),
}


def notice_of(entry: AuditEntry) -> Notice:
    """Return the words for an entry; a check has those of its news. Raises KeyError for one that nobody is told of."""
    if entry.action == Action.TOKEN_CHECKED:
        words = wording.words_of(News(entry.details["news"]), TokenState(entry.details["state"]))
        return Notice(words.subject, words.fact, words.advice)
    return NOTICES[Action(entry.action)]


def _drift_of(entry: AuditEntry) -> Drift:
    return {
        name.removeprefix(DRIFT_PREFIX): value
        for name, value in entry.details.items()
        if name.startswith(DRIFT_PREFIX) and entry.details.get("news") == News.DRIFT
    }


_silent: ContextVar[bool] = ContextVar("notices_silent", default=False)


@contextmanager
def silence() -> Iterator[None]:
    """Send no mail about what is done inside: for people who are invented."""
    before = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(before)


def are_silenced() -> bool:
    """Return whether `silence` is in force here."""
    return _silent.get()


def tell_owner(entry: AuditEntry, server: str) -> None:
    """Mail the owner about an entry once the transaction is committed; nothing is sent if it is not."""
    if are_silenced():
        return
    # Robust: what is committed must not look as if it had failed.
    transaction.on_commit(partial(_later, partial(send, entry, server)), robust=True)


_executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="notices")


def _in_background(call: Callable[[], object]) -> None:
    def run() -> None:
        try:
            call()
        except Exception:
            logger.exception("A mail to an owner was not dealt with to its end")
        finally:
            connections.close_all()  # this thread's own

    _executor.submit(run)


# A request does not wait for a mail server, and a process that ends lets the mails that wait go out first.
_later: Callable[[Callable[[], object]], None] = _in_background


def send(entry: AuditEntry, server: str) -> bool:
    """Send the mail and write down how that ended; return whether nothing went wrong."""
    owner = User.objects.filter(pk=entry.owner_id).first() if entry.owner_id else None
    if owner is None or not owner.email:
        return True  # the account was closed, and the token went with it
    message = partial(message_to, owner, entry, server)
    details: dict[str, Fact] = {"about": entry.action, "entry": entry.number}
    return post(message, owner, label=_Label(entry), reference=entry.reference, details=details)


def post(
    make: Callable[[], EmailMessage],
    owner: User,
    *,
    reference: str,
    details: dict[str, Fact],
    label: TokenFacts | None = None,
) -> bool:
    """Make a mail, send it, and write into the audit log how that ended; return whether it was sent."""
    outcome = Outcome.DONE
    try:
        make().send()
    except Exception as error:
        logger.exception("mail not sent reference=%s owner=%s", reference, owner.pk)
        outcome, details = Outcome.FAILED, details | {"error": type(error).__name__}
    by = Source(None, settings.SITE_NAME)
    record(Action.MAIL_SENT, owner=owner, token=label, by=by, reference=reference, outcome=outcome, details=details)
    return outcome is Outcome.DONE


class _Label:
    """The token of an entry, as `record` takes it: the row may be gone."""

    def __init__(self, entry: AuditEntry) -> None:
        assert entry.token_id is not None and entry.owner_id is not None  # noqa: S101, PT018  # narrows the types
        self.pk, self.owner_id, self.label = entry.token_id, entry.owner_id, entry.token_label


def message_to(owner: User, entry: AuditEntry, server: str) -> EmailMessage:
    """Return the mail, in the owner's language and time zone. Nothing in it comes from the token."""
    zone: ZoneInfo = owner.zone
    with translation.override(owner.language or settings.LANGUAGE_CODE), timezone.override(zone):
        notice = notice_of(entry)
        context = {
            "name": str(owner),
            "fact": f"{str(notice.fact).rstrip('.')}.",
            "advice": notice.advice,
            "label": entry.token_label,
            "server": server,
            "when": entry.when,
            "zone": zone.key,
            "by_owner": entry.actor_id == owner.pk,
            "actor": entry.actor_name,
            "changes": wording.drift_lines(_drift_of(entry)),
            "reference": entry.reference,
            "site": settings.SITE_NAME,
        }
        body = render_to_string("rapidpro_integration/mail/token_event.txt", context)
        return EmailMessage(str(notice.subject) % {"label": entry.token_label}, body, to=[owner.email])
