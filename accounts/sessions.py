"""Sessions in the database, as Django keeps them, read together with the person whose session it is."""

from typing import Any

from django.contrib.auth import SESSION_KEY, get_user
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore as DatabaseSessions
from django.contrib.sessions.models import Session
from django.http import HttpRequest
from django.utils import timezone

from accounts import backends
from accounts.models import User


# Of Django's name: the signature of what is stored depends on it, and sessions of before must go on.
class SessionStore(DatabaseSessions):
    """Django's own. The row of the session's list of places (SignedInSession) leads to the person in the same query."""

    person: User | None = None

    def load(self) -> dict[str, Any]:
        """Return what is in the session, {} if it has ended; `person` is who was last seen in it."""
        rows = Session.objects.select_related("signed_in__user")
        row = rows.filter(session_key=self.session_key, expire_date__gt=timezone.now()).first()
        if row is None:
            self._session_key = None
            return {}
        signed_in = getattr(row, "signed_in", None)  # a new session has no such row yet
        self.person = signed_in.user if signed_in else None
        content: dict[str, Any] = self.decode(row.session_data)
        return content


def person_of(request: HttpRequest) -> User | AnonymousUser:
    """Return who is signed in, by Django's own rules, with one query as a rule; for a thread.

    What the session's content says counts, not the row beside it: that one only spares the second query where both
    name the same person.
    """
    if not has_session(request) or SESSION_KEY not in request.session:
        return AnonymousUser()
    with backends.at_hand(getattr(request.session, "person", None)):
        person: User | AnonymousUser = get_user(request)
    return person


def has_session(request: HttpRequest) -> bool:
    """Return whether the browser named a session, without asking for it."""
    return request.session.session_key is not None
