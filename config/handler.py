"""Django's ASGI handler with three habits more: bounded bodies, headers on what it answers by itself, a polite end."""

import asyncio
from typing import Any

from django.conf import settings
from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.http import HttpResponse, HttpResponseBase

from config import request_ids
from config.middleware import stamp

# How long a new process takes to answer, about.
_RESTART_S = "5"


class Handler(ASGIHandler):
    """Answers a body that is too long with a 413 before it is read, and no request without the security headers."""

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request, which has an id from here on."""
        with request_ids.begun(_header(scope, b"x-request-id"), anew=True):
            await self._handle(scope, receive, send)

    async def _handle(self, scope: Any, receive: Any, send: Any) -> None:
        # Django alone would write a body of any length to the disk before it looks at it.
        read, too_long = 0, _declared_length(scope) > settings.REQUEST_BODY_MAX_BYTES

        async def bounded() -> Any:
            nonlocal read, too_long
            message = await receive()
            read += len(message.get("body", b""))
            if read > settings.REQUEST_BODY_MAX_BYTES:
                too_long = True
                # Django closes what it has and answers nothing; then we do.
                return {"type": "http.disconnect"}
            return message

        has_begun = False

        async def noting(message: Any) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            if not too_long:
                await super().handle(scope, bounded, noting)
        except asyncio.CancelledError:
            # The server stops and has waited as long as it may; nothing else ends a request from outside.
            if has_begun:
                raise
            headers = {"Retry-After": _RESTART_S, "Connection": "close"}
            answer = _plain("The site is being restarted. Try again in a moment.\n", 503, headers)
            await self.send_response(stamp(answer, is_secure=_is_secure(scope)), send)
        if too_long:
            # The rest is not read: another request on this connection would begin in the middle of it.
            answer = _plain("The request is too long.\n", 413, {"Connection": "close"})
            await self.send_response(stamp(answer, is_secure=_is_secure(scope)), send)

    def create_request(self, scope: Any, body_file: Any) -> tuple[ASGIRequest, None] | tuple[None, HttpResponseBase]:
        """Return the request, or the answer to one that cannot be read."""
        request, answer = super().create_request(scope, body_file)
        if answer is not None:
            return None, stamp(answer, is_secure=_is_secure(scope))
        assert request is not None  # noqa: S101  # narrows the type: Django returns one of the two
        return request, None


def _plain(text: str, status: int, headers: dict[str, str]) -> HttpResponse:
    headers = headers | {"Content-Length": str(len(text))}
    return HttpResponse(text, status=status, content_type="text/plain; charset=utf-8", headers=headers)


def _header(scope: Any, name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)


def _declared_length(scope: Any) -> int:
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    return max((int(value) for value in lengths if value.isdigit()), default=0)


def _is_secure(scope: Any) -> bool:
    proxy = settings.SECURE_PROXY_SSL_HEADER
    if proxy is None:
        return bool(scope.get("scheme") == "https")
    name = proxy[0].removeprefix("HTTP_").replace("_", "-").lower().encode()
    return (name, proxy[1].encode()) in scope["headers"]
