"""Headers that belong on every answer and that Django has no setting for."""

from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction

from django.http import Http404, HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from config import views

type Handler = Callable[[HttpRequest], HttpResponseBase]
type AsyncHandler = Callable[[HttpRequest], Awaitable[HttpResponseBase]]

_HEADERS = {
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=()",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def _stamp(response: HttpResponseBase) -> HttpResponseBase:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    # Pages hold a tenant's facts: neither a proxy nor the back button of a shared computer may keep them.
    # A static file says for itself how long it may be kept.
    response.headers.setdefault("Cache-Control", "no-store, private")
    return response


def passing(get_response: Handler | AsyncHandler, **hooks: object) -> Handler | AsyncHandler:
    """Return a middleware, sync or async as `get_response` is, that changes nothing and has Django call its hooks."""
    if iscoroutinefunction(get_response):

        async def amiddleware(request: HttpRequest) -> HttpResponseBase:
            response: HttpResponseBase = await get_response(request)
            return response

        vars(amiddleware).update(hooks)
        return amiddleware

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        assert isinstance(response, HttpResponseBase)  # noqa: S101  # narrows the type of the sync branch
        return response

    vars(middleware).update(hooks)
    return middleware


@sync_and_async_middleware
def security_headers(get_response: Handler | AsyncHandler) -> Handler | AsyncHandler:
    """Return a middleware that adds the missing security headers, never replacing one a view has set."""
    if iscoroutinefunction(get_response):

        async def amiddleware(request: HttpRequest) -> HttpResponseBase:
            return _stamp(await get_response(request))

        return amiddleware

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        assert isinstance(response, HttpResponseBase)  # noqa: S101  # narrows the type of the sync branch
        return _stamp(response)

    return middleware


@sync_and_async_middleware
def plain_not_found(get_response: Handler | AsyncHandler) -> Handler | AsyncHandler:
    """Return a middleware that shows the site's own 404 page for a view's Http404, with DEBUG on too.

    Django's debugging page would name the address, so that another tenant's row and an unknown one would differ.
    """

    def process_exception(request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        return views.not_found(request, exception) if isinstance(exception, Http404) else None

    return passing(get_response, process_exception=process_exception)
