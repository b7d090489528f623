"""The mails about servers, each in its reader's language. A mail that cannot be sent is logged and stops nothing."""

import logging
from collections.abc import Callable

from django.conf import settings
from django.core.mail import send_mail
from django.utils import translation
from django.utils.translation import gettext as _

from accounts.models import User
from rapidpro_integration.models import RequestState, ServerRequest

logger = logging.getLogger(__name__)

# What a mail says, once its reader's language is active: the subject and the paragraphs.
type Words = Callable[[], tuple[str, list[str]]]


def tell_administrators(wish: ServerRequest, link: str) -> None:
    """Mail a wish to everyone who may decide it."""

    def words() -> tuple[str, list[str]]:
        facts = {"person": wish.person, "host": wish.server_host, "name": wish.name, "site": settings.SITE_NAME}
        return _("%(site)s: a server is asked for") % facts, [
            _("%(person)s asks for the RapidPro server %(host)s (“%(name)s”) and gives this reason:") % facts,
            wish.reason,
            _("Approve or refuse it here: %(link)s") % {"link": link},
        ]

    deciders = User.objects.with_perm(
        "rapidpro_integration.change_serverrequest", backend="django.contrib.auth.backends.ModelBackend"
    )
    for reader in deciders.filter(is_staff=True).order_by("pk"):
        _send(reader, words)


def tell_person(wish: ServerRequest, link: str) -> None:
    """Mail the decision to the person who asked."""

    def words() -> tuple[str, list[str]]:
        facts = {"host": wish.server_host, "site": settings.SITE_NAME}
        if wish.state == RequestState.APPROVED:
            verdict = _("You can use the RapidPro server %(host)s from now on.") % facts
        else:
            verdict = _("The RapidPro server %(host)s was not approved.") % facts
        paragraphs = [verdict, wish.answer, _("Your servers: %(link)s") % {"link": link}]
        return _("%(site)s: your wish for a server") % facts, [text for text in paragraphs if text]

    if wish.person.is_active:
        _send(wish.person, words)


def _send(reader: User, words: Words) -> None:
    with translation.override(reader.language or settings.LANGUAGE_CODE):
        subject, paragraphs = words()
    if not reader.email:
        return
    try:
        send_mail(subject, "\n\n".join(paragraphs) + "\n", None, [reader.email])
    except OSError as error:
        # Every failure of smtplib is an OSError too. Its text may hold the address.
        logger.error("mail about a server not sent user=%s error=%s", reader.pk, type(error).__name__)  # noqa: TRY400
