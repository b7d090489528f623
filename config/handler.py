"""Django's ASGI handler with habits of its own: bounded bodies, headers on all answers, a polite end, few hops."""

import asyncio
from collections.abc import Callable
from contextlib import closing
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, ASGIRequest, get_script_prefix
from django.core.signals import request_finished, request_started
from django.http import HttpResponse, HttpResponseBase
from django.urls import set_script_prefix

from config import request_ids, threads
from config.in_loop import TWINS
from config.middleware import stamp

# How long a new process takes to answer, about.
_RESTART_S = "5"


class Handler(ASGIHandler):
    """Answers a body that is too long with a 413 before it is read, and no request without the security headers."""

    def load_middleware(self, is_async: bool = False) -> None:
        """Load what settings.MIDDLEWARE names, Django's own as their twins of `config.in_loop`."""
        named = settings.MIDDLEWARE
        settings.MIDDLEWARE = [TWINS.get(path, path) for path in named]
        try:
            super().load_middleware(is_async)
        finally:
            settings.MIDDLEWARE = named

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
                await self._serve(scope, bounded, noting)
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

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        """Do what Django does for a request, but start no thread and wait for none unless the request needs one."""
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        response: HttpResponseBase | None = None

        def ending() -> Callable[[], None]:
            # The connections are the thread's: they go back to their pool where they were taken.
            return self._all_finished if response is None else response.close

        with closing(body), threads.lent(ending):
            set_script_prefix(get_script_prefix(scope))
            # Django's receivers look after connections. Here is none, and the thread's are gone since its last request.
            request_started.send(sender=self.__class__, scope=scope)
            request, response = self.create_request(scope, body)
            if response is not None:
                await self.send_response(response, send)
                return
            assert request is not None  # noqa: S101  # narrows the type: Django returns one of the two
            try:
                async with asyncio.TaskGroup() as group:
                    listener = group.create_task(self.listen_for_disconnect(receive))
                    response = await self.run_get_response(request)
                    await self.send_response(response, send)
                    listener.cancel()
            except BaseExceptionGroup as caught:
                # A client that has left is no fault; what was done for it has been cancelled.
                _, faults = caught.split(RequestAborted)
                if faults is not None:
                    raise faults.exceptions[0] from None

    def _all_finished(self) -> None:
        request_finished.send(sender=self.__class__)

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
