"""Headers that belong on every answer, whoever gives it."""

from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction

from asgiref.sync import async_to_sync
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponseBase
from django.utils.csp import build_policy
from django.utils.decorators import sync_and_async_middleware

from config import metrics, request_ids, views
from config import probes as probes_of

type Handler = Callable[[HttpRequest], HttpResponseBase]
type AsyncHandler = Callable[[HttpRequest], Awaitable[HttpResponseBase]]

_HEADERS = {
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=()",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def stamp[Answer: HttpResponseBase](response: Answer, *, is_secure: bool) -> Answer:
    """Return the answer with every security header that it lacks; none that a view has set is replaced.

    Django's own middleware sets some of them, but not on what is answered before it has its turn: the redirect to
    https, a refused host, a request that cannot be read.
    """
    headers = _HEADERS | {
        "X-Frame-Options": settings.X_FRAME_OPTIONS,
        "Referrer-Policy": settings.SECURE_REFERRER_POLICY,
        "Cross-Origin-Opener-Policy": settings.SECURE_CROSS_ORIGIN_OPENER_POLICY,
        # Pages hold a tenant's facts: neither a proxy nor the back button of a shared computer may keep them.
        # A static file says for itself how long it may be kept.
        "Cache-Control": "no-store, private",
    }
    # Only Django's debugging pages ask for no policy; they have styles of their own and exist with DEBUG alone.
    if not (settings.DEBUG and getattr(response, "_csp_config", None) == {}):
        headers["Content-Security-Policy"] = build_policy(settings.SECURE_CSP)
    if is_secure and settings.SECURE_HSTS_SECONDS:
        headers["Strict-Transport-Security"] = _hsts()
    if request_id := request_ids.current():
        headers[request_ids.HEADER] = request_id
    for name, value in headers.items():
        response.headers.setdefault(name, value)
    return response


def _hsts() -> str:
    words = [f"max-age={settings.SECURE_HSTS_SECONDS}"]
    words += ["includeSubDomains"] * settings.SECURE_HSTS_INCLUDE_SUBDOMAINS
    words += ["preload"] * settings.SECURE_HSTS_PRELOAD
    return "; ".join(words)


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
def request_id(get_response: Handler | AsyncHandler) -> Handler | AsyncHandler:
    """Return a middleware that gives a request its id, if config.handler has not; it is the outermost."""
    if iscoroutinefunction(get_response):

        async def amiddleware(request: HttpRequest) -> HttpResponseBase:
            with request_ids.begun(request.headers.get(request_ids.HEADER)):
                response: HttpResponseBase = await get_response(request)
            return response

        return amiddleware

    def middleware(request: HttpRequest) -> HttpResponseBase:
        with request_ids.begun(request.headers.get(request_ids.HEADER)):
            response = get_response(request)
        assert isinstance(response, HttpResponseBase)  # noqa: S101  # narrows the type of the sync branch
        return response

    return middleware


@sync_and_async_middleware
def security_headers(get_response: Handler | AsyncHandler) -> Handler | AsyncHandler:
    """Return a middleware that adds the missing security headers, and the request's id, to every answer."""
    if iscoroutinefunction(get_response):

        async def amiddleware(request: HttpRequest) -> HttpResponseBase:
            response: HttpResponseBase = await get_response(request)
            return stamp(response, is_secure=request.is_secure())

        return amiddleware

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        assert isinstance(response, HttpResponseBase)  # noqa: S101  # narrows the type of the sync branch
        return stamp(response, is_secure=request.is_secure())

    return middleware


@sync_and_async_middleware
def probes(get_response: Handler | AsyncHandler) -> Handler | AsyncHandler:
    """Return a middleware that answers what machines ask of this process, ahead of all that people need."""
    if iscoroutinefunction(get_response):

        async def amiddleware(request: HttpRequest) -> HttpResponseBase:
            view = probes_of.view_of(request)
            response: HttpResponseBase = await (get_response if view is None else view)(request)
            return response

        return amiddleware

    def middleware(request: HttpRequest) -> HttpResponseBase:
        view = probes_of.view_of(request)
        response = get_response(request) if view is None else async_to_sync(view)(request)
        assert isinstance(response, HttpResponseBase)  # noqa: S101  # narrows the type of the sync branch
        return response

    return middleware


def _view_name(request: HttpRequest) -> str:
    # Not the address: it holds ids, and a stranger can think of any number of them.
    return request.resolver_match.view_name if request.resolver_match else "none"


@sync_and_async_middleware
def measured(get_response: Handler | AsyncHandler) -> Handler | AsyncHandler:
    """Return a middleware that counts each answer by view and status, and how long it took, for /metrics."""
    if iscoroutinefunction(get_response):

        async def amiddleware(request: HttpRequest) -> HttpResponseBase:
            with metrics.measured() as done:
                response: HttpResponseBase = await get_response(request)
                done(_view_name(request), response.status_code)
            return response

        return amiddleware

    def middleware(request: HttpRequest) -> HttpResponseBase:
        with metrics.measured() as done:
            response = get_response(request)
            assert isinstance(response, HttpResponseBase)  # noqa: S101  # narrows the type of the sync branch
            done(_view_name(request), response.status_code)
        return response

    return middleware


@sync_and_async_middleware
def plain_not_found(get_response: Handler | AsyncHandler) -> Handler | AsyncHandler:
    """Return a middleware that shows the site's own 404 page for a view's Http404, with DEBUG on too.

    Django's debugging page would name the address, so that another tenant's row and an unknown one would differ.
    """

    def process_exception(request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        return views.not_found(request, exception) if isinstance(exception, Http404) else None

    return passing(get_response, process_exception=process_exception)
