"""Show each signed-in person the site in their own language and time zone."""

from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from zoneinfo import ZoneInfo

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone, translation
from django.utils.decorators import sync_and_async_middleware

from accounts.models import User

type Handler = Callable[[HttpRequest], HttpResponseBase]
type AsyncHandler = Callable[[HttpRequest], Awaitable[HttpResponseBase]]


def _activate(request: HttpRequest, user: User | AnonymousUser) -> None:
    # A plain object instead of the lazy one: async views can read request.user without a query in the event loop.
    request.user = user
    timezone.activate(user.zone if isinstance(user, User) else ZoneInfo("UTC"))
    if isinstance(user, User) and user.language:
        translation.activate(user.language)
        request.LANGUAGE_CODE = translation.get_language()


@sync_and_async_middleware
def preferences(get_response: Handler | AsyncHandler) -> Handler | AsyncHandler:
    """Return a middleware that loads the user once, then activates their language and time zone."""
    if iscoroutinefunction(get_response):

        async def amiddleware(request: HttpRequest) -> HttpResponseBase:
            _activate(request, await request.auser())
            response: HttpResponseBase = await get_response(request)
            return response

        return amiddleware

    def middleware(request: HttpRequest) -> HttpResponseBase:
        _activate(request, request.user)
        response = get_response(request)
        assert isinstance(response, HttpResponseBase)  # noqa: S101  # narrows the type of the sync branch
        return response

    return middleware
