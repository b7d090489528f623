"""Who a user name or an address and a password belong to."""

from typing import Any

from allauth.account.auth_backends import AuthenticationBackend
from django.http import HttpRequest

from accounts.models import User


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
