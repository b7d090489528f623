"""Writes on accounts: each is one sync transaction, wrapped once for the async views."""

import time
from contextlib import suppress
from datetime import UTC, datetime

from allauth.account.models import EmailAddress
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from accounts.addresses import client_address
from accounts.models import SignedInSession, User

# How fine "last seen" is kept: at most one write in so many seconds for each session.
SEEN_EVERY_S = 300
_SEEN = "accounts.seen"


class LastSuperuser(Exception):
    """Nobody would be left to administer the site."""


def save_profile(user: User) -> None:
    """Save name, language and time zone, and nothing else.

    The row may have changed since it was read: a new password or a deactivation must not be undone here.
    """
    user.save(update_fields=["name", "language", "time_zone"])


def change_address(user: User) -> None:
    """Let the address on the user's row, still to be confirmed, be the only one that can open the account."""
    with transaction.atomic():
        EmailAddress.objects.filter(user=user).delete()
        EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=False)


def close_account(user: User) -> None:
    """Destroy the account with everything that belongs to it, tokens included, and end all its sessions.

    Raises LastSuperuser for the only active superuser.
    """
    with transaction.atomic():
        if user.is_superuser:
            # All are locked, in one order: of the last two who leave at once, the second sees that the first is gone.
            superusers = User.objects.select_for_update().filter(is_superuser=True, is_active=True).order_by("pk")
            if {superuser.pk for superuser in superusers} <= {user.pk}:
                raise LastSuperuser
        end_sessions(user)
        user.delete()


def is_session_due(request: HttpRequest) -> bool:
    """Return whether the session's row is missing or older than five minutes; asks the session alone."""
    seen = request.session.get(_SEEN, {})
    is_same = bool(seen) and constant_time_compare(seen["mark"], _mark(request))
    return not is_same or not 0 <= time.time() - seen["at"] < SEEN_EVERY_S


def is_session_over(request: HttpRequest) -> bool:
    """Return whether the person signed in longer ago than a session may last, however much they have used it since.

    Django counts from the last change of a session alone, and noting when it was seen is one.
    """
    since = request.session.get(_SEEN, {}).get("since")
    return since is not None and time.time() - since > settings.SESSION_COOKIE_AGE


def note_session(request: HttpRequest, user: User) -> None:
    """Save from where and with what the person's session was seen just now."""
    if request.session.session_key is None:
        request.session.save()
    since = request.session.get(_SEEN, {}).get("since", time.time())
    facts = {
        "user": user,
        "address": client_address(request),
        "user_agent": request.META.get("HTTP_USER_AGENT", "")[:300],
        "last_seen_on": timezone.now(),
    }
    # Another request may have ended the session meanwhile: then there is nothing to note, and the next one finds out.
    with suppress(IntegrityError):
        SignedInSession.objects.update_or_create(
            session_id=request.session.session_key,
            defaults=facts,
            create_defaults=facts | {"first_seen_on": datetime.fromtimestamp(since, UTC)},
        )
        request.session[_SEEN] = {"mark": _mark(request), "at": time.time(), "since": since}


def _mark(request: HttpRequest) -> str:
    # A new password gives the session a new key and keeps its content: the row has gone with the old key.
    return salted_hmac(_SEEN, request.session.session_key or "", algorithm="sha256").hexdigest()


def end_sessions(user: User, *, but: str | None = None) -> int:
    """End the person's sessions at once, except the one whose key is `but`; return how many there were."""
    _total, counts = Session.objects.filter(signed_in__user=user).exclude(pk=but or "").delete()
    return counts.get(Session._meta.label, 0)


def end_session(row: SignedInSession) -> None:
    """End one session at once."""
    Session.objects.filter(pk=row.session_id).delete()


aclose_account = sync_to_async(close_account)
aend_sessions = sync_to_async(end_sessions)
aend_session = sync_to_async(end_session)
