"""Reads about people."""

from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from django.utils import timezone

from accounts.models import SignedInSession, User


def person(request: HttpRequest) -> User:
    """Return the signed-in person. LoginRequiredMiddleware has let nobody else in; raises TypeError if it has not."""
    if not isinstance(request.user, User):
        raise TypeError("This view is guarded, but nobody is signed in.")
    return request.user


def sessions_of(user_id: int) -> QuerySet[SignedInSession]:
    """Return the sessions in which the person is signed in, the last seen first."""
    return SignedInSession.objects.filter(user_id=user_id, session__expire_date__gt=timezone.now())


async def aget_session_or_404(user_id: int, session_id: UUID) -> SignedInSession:
    """Return one of the person's sessions. Raises Http404 for an unknown one and for another person's alike."""
    row = await sessions_of(user_id).filter(pk=session_id).afirst()
    if row is None:
        raise Http404
    return row
