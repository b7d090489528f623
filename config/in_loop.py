"""Django's own middleware without its hops: what only looks at the request or at headers runs in the event loop.

Django calls `process_request`, `process_response` and `process_view` of each in a thread, as it cannot know what they
do. These do nothing there that could wait, except in the cases that each class here names: those still go to a thread.
settings.MIDDLEWARE names Django's, for which Django's checks look; `config.handler` puts these in their places (TWINS).
Source: docs/adr/0019-frame.md.
"""

from collections.abc import Callable
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.common import CommonMiddleware
from django.middleware.csp import ContentSecurityPolicyMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.middleware.locale import LocaleMiddleware
from django.middleware.security import SecurityMiddleware
from django.utils.deprecation import MiddlewareMixin

from config.signing_in import SignInRequired

type Before = Callable[[HttpRequest], HttpResponseBase | None]
type After = Callable[[HttpRequest, HttpResponseBase], HttpResponseBase]

# What CSRF protection lets through without a look at the body.
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


class InLoop(MiddlewareMixin):
    """Calls both halves of a middleware where the request is; `must_wait` says when the second one needs a thread."""

    sync_capable = False

    def must_wait(self, request: HttpRequest) -> bool:
        """Return whether what follows the answer may ask the database."""
        return False

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        """Return the answer."""
        before: Before | None = getattr(self, "process_request", None)
        response = before(request) if before else None
        if response is None:
            response = await self.get_response(request)  # type: ignore[misc]  # in this mode it is a coroutine function
        after: After | None = getattr(self, "process_response", None)
        if after is None:
            return response
        return await sync_to_async(after)(request, response) if self.must_wait(request) else after(request, response)


class Security(InLoop, SecurityMiddleware):
    """The redirect to https, and headers."""


class ContentSecurityPolicy(InLoop, ContentSecurityPolicyMiddleware):
    """The policy of each answer."""


class Locale(InLoop, LocaleMiddleware):
    """The language that the browser asks for."""


class Common(InLoop, CommonMiddleware):
    """The host that is asked for, slashes, and the length of the answer."""


class XFrameOptions(InLoop, XFrameOptionsMiddleware):
    """That no other site may frame a page."""


class Sessions(InLoop, SessionMiddleware):
    """The session of each request; a changed one is saved in a thread."""

    def must_wait(self, request: HttpRequest) -> bool:
        """Return whether there is something to save. An unchanged session is not even looked at."""
        session = getattr(request, "session", None)
        return session is None or session.modified or settings.SESSION_SAVE_EVERY_REQUEST


class Messages(InLoop, MessageMiddleware):
    """Messages between two pages; where there are any, they may go into the session, and so to a thread."""

    def must_wait(self, request: HttpRequest) -> bool:
        """Return whether messages were shown or left."""
        storage: Any = getattr(request, "_messages", None)
        return storage is not None and (storage.used or storage.added_new)


class Csrf(InLoop, CsrfViewMiddleware):
    """Forms come from our own pages. To judge one reads its body and may write a page, so that is done in a thread."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        super().__init__(get_response)
        vars(self)["process_view"] = self._ajudge

    async def _ajudge(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponseBase | None:
        judge = super().process_view
        if request.method in _SAFE_METHODS:
            return judge(request, view, args, kwargs)
        return await sync_to_async(judge)(request, view, args, kwargs)


class Authentication(InLoop, AuthenticationMiddleware):
    """The person, not asked for yet: `accounts.middleware` does that."""


class LoginRequired(InLoop, SignInRequired):
    """Every view is for those who have signed in, unless it says otherwise; `accounts.middleware` has loaded them."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        super().__init__(get_response)
        vars(self)["process_view"] = self._alet_in

    async def _alet_in(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponseBase | None:
        return super().process_view(request, view, args, kwargs)


TWINS = {
    f"{stock.__module__}.{stock.__qualname__}": f"{ours.__module__}.{ours.__qualname__}"
    for ours in (
        Security,
        ContentSecurityPolicy,
        Sessions,
        Locale,
        Common,
        Csrf,
        Authentication,
        LoginRequired,
        Messages,
        XFrameOptions,
    )
    for stock in ours.__bases__[1:]
}
