"""Who a user name or an address and a password belong to."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from allauth.account.auth_backends import AuthenticationBackend
from django.http import HttpRequest

from accounts.models import User

_person_at_hand: ContextVar[User | None] = ContextVar("person_at_hand", default=None)


@contextmanager
def at_hand(person: User | None) -> Iterator[None]:
    """Let what asks for this very person inside get this row, just read, instead of reading it once more."""
    before = _person_at_hand.set(person)
    try:
        yield
    finally:
        _person_at_hand.reset(before)


class SignInBackend(AuthenticationBackend):  # type: ignore[misc]  # allauth has no types
    """allauth's own, which would digest a wrong password twice for an address that has an account, and once for others.

    That costs twice the time, and the difference tells a stranger which addresses have an account.
    """

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> User | None:
        """Return the person, or None."""
        self._checked: set[int] = set()
        user: User | None = super().authenticate(request, **credentials)
        return user

    def _check_password(self, user: User | None, password: str) -> User | None:
        if user is None or user.pk in self._checked:
            return None
        self._checked.add(user.pk)
        found: User | None = super()._check_password(user, password)
        return found

    def get_user(self, user_id: int) -> User | None:
        """Return the person of that id, or None if there is none who may sign in."""
        person = _person_at_hand.get()
        if person is None or person.pk != user_id:
            found: User | None = super().get_user(user_id)
            return found
        return person if self.user_can_authenticate(person) else None
