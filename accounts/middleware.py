"""What the site does for each signed-in person around every view."""

from inspect import iscoroutinefunction
from zoneinfo import ZoneInfo

from allauth.core.exceptions import ReauthenticationRequired
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone, translation
from django.utils.decorators import sync_and_async_middleware

from accounts import reauthentication
from accounts.models import User
from config.middleware import AsyncHandler, Handler, passing


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


@sync_and_async_middleware
def fresh_proof(get_response: Handler | AsyncHandler) -> Handler | AsyncHandler:
    """Return a middleware that asks who it is where a view, ours or allauth's, needs a fresh proof of it.

    It stands after allauth's own middleware, so that it answers first.
    """

    def process_exception(request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        return reauthentication.ask_again(request) if isinstance(exception, ReauthenticationRequired) else None

    return passing(get_response, process_exception=process_exception)
