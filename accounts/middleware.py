"""What the site does for each signed-in person around every view."""

from inspect import iscoroutinefunction
from typing import Any, TypeGuard
from zoneinfo import ZoneInfo

from allauth.core.exceptions import ReauthenticationRequired
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.utils import timezone, translation
from django.utils.decorators import sync_and_async_middleware

from accounts import mfa, reauthentication, services, sessions
from accounts.hashers import HashingBusy
from accounts.models import User
from config import views
from config.busy import if_writable
from config.middleware import AsyncHandler, Handler, passing


def _load(request: HttpRequest) -> User | AnonymousUser:
    """Return who is signed in; for those who need a second factor note whether they have one. For a thread."""
    user = sessions.person_of(request)
    if _needs_second_factor(user):
        vars(request)["has_second_factor"] = mfa.has_second_factor(user)
    return user


def _activate(request: HttpRequest, user: User | AnonymousUser) -> None:
    async def auser() -> User | AnonymousUser:
        return user

    # A plain object instead of the lazy one: async views can read request.user without a query in the event loop.
    request.user, request.auser = user, auser
    timezone.activate(user.zone if isinstance(user, User) else ZoneInfo("UTC"))
    if isinstance(user, User) and user.language:
        translation.activate(user.language)
        request.LANGUAGE_CODE = translation.get_language()


@sync_and_async_middleware
def preferences(get_response: Handler | AsyncHandler) -> Handler | AsyncHandler:
    """Return a middleware that loads session and user at once, then activates the user's language and time zone."""
    if iscoroutinefunction(get_response):

        async def amiddleware(request: HttpRequest) -> HttpResponseBase:
            # The one hop of the frame, for those who have a session.
            user = await sync_to_async(_load)(request) if sessions.has_session(request) else AnonymousUser()
            _activate(request, user)
            response: HttpResponseBase = await get_response(request)
            return response

        return amiddleware

    def middleware(request: HttpRequest) -> HttpResponseBase:
        _activate(request, _load(request))
        response = get_response(request)
        assert isinstance(response, HttpResponseBase)  # noqa: S101  # narrows the type of the sync branch
        return response

    return middleware


@sync_and_async_middleware
def sessions_seen(get_response: Handler | AsyncHandler) -> Handler | AsyncHandler:
    """Return a middleware that ends a session that has lasted too long, and keeps the person's list of sessions true.

    It writes once in five minutes at most.
    """

    def before(request: HttpRequest) -> None:
        if not isinstance(request.user, User):
            return
        if services.is_session_over(request):
            logout(request)
        elif services.is_session_due(request):
            with if_writable():
                services.note_session(request, request.user)

    if iscoroutinefunction(get_response):

        async def amiddleware(request: HttpRequest) -> HttpResponseBase:
            # A thread for the few requests that need one; the session is loaded, so asking it costs nothing.
            if isinstance(request.user, User) and (
                services.is_session_over(request) or services.is_session_due(request)
            ):
                await sync_to_async(before)(request)
            response: HttpResponseBase = await get_response(request)
            return response

        return amiddleware

    def middleware(request: HttpRequest) -> HttpResponseBase:
        before(request)
        response = get_response(request)
        assert isinstance(response, HttpResponseBase)  # noqa: S101  # narrows the type of the sync branch
        return response

    return middleware


@sync_and_async_middleware
def exceptions_answered(get_response: Handler | AsyncHandler) -> Handler | AsyncHandler:
    """Return a middleware that answers what any view, ours or allauth's, may raise about the person before it.

    It stands after allauth's own middleware, so that it answers first.
    """

    def process_exception(request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        if isinstance(exception, ReauthenticationRequired):
            return reauthentication.ask_again(request)
        if isinstance(exception, HashingBusy):
            return views.too_busy(request, exception.retry_after_s)
        return None

    return passing(get_response, process_exception=process_exception)


# What staff without a second factor may open: what sets one up, the proof and the confirmed address that this needs,
# the way out, and what says nothing to anybody.
_OPEN_TO_STAFF = frozenset(
    {
        "mfa_index",
        "mfa_activate_totp",
        "mfa_add_webauthn",
        "account_reauthenticate",
        "account_email",
        "account_email_verification_sent",
        "account_confirm_email",
        "account_logout",
        "favicon",
        "healthz",
        "livez",
        "readyz",
        "metrics",
    }
)


def _needs_second_factor(user: User | AnonymousUser) -> TypeGuard[User]:
    return settings.STAFF_MFA_REQUIRED and isinstance(user, User) and (user.is_staff or user.is_superuser)


@sync_and_async_middleware
def second_factor_of_staff(get_response: Handler | AsyncHandler) -> Handler | AsyncHandler:
    """Return a middleware that sends staff and superusers without a second factor to the page that sets one up.

    It costs staff a query (see `_load`) and nobody else anything.
    """

    def process_view(request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponseBase | None:
        match = request.resolver_match
        if not _needs_second_factor(request.user) or vars(request).get("has_second_factor"):
            return None
        vars(request)["second_factor_missing"] = True
        if match is not None and match.view_name in _OPEN_TO_STAFF:
            return None
        return HttpResponseRedirect(resolve_url("mfa_index"))

    async def aprocess_view(request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponseBase | None:
        return process_view(request, view, args, kwargs)

    return passing(get_response, process_view=aprocess_view if iscoroutinefunction(get_response) else process_view)
