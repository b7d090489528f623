"""Reads about people."""

from django.http import HttpRequest

from accounts.models import User


def person(request: HttpRequest) -> User:
    """Return the signed-in person. LoginRequiredMiddleware has let nobody else in; raises TypeError if it has not."""
    if not isinstance(request.user, User):
        raise TypeError("This view is guarded, but nobody is signed in.")
    return request.user
