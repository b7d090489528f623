"""The sandbox as an ASGI app: a small RapidPro with invented data, for the demo, tests and benchmarks.

`create_app()` gives a plain ASGI callable. It answers requests that come over loopback, and refuses all others.
"""

import asyncio
import ipaddress
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from rapidpro_integration.sandbox.data import load
from rapidpro_integration.sandbox.faults import Faults
from rapidpro_integration.sandbox.messages import MAX_REQUEST_LINE, Request, Response, request_line_too_long
from rapidpro_integration.sandbox.throttle import Throttle
from rapidpro_integration.sandbox.views import Views, find_route

type Scope = MutableMapping[str, Any]
type Message = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]
type App = Callable[[Scope, Receive, Send], Awaitable[None]]

access_log = logging.getLogger("rapidpro_integration.sandbox.access")

#: Names that may be logged; any other name could itself be something private.
_LOGGED_PARAMS = frozenset({
    "after", "archive_type", "archived", "before", "broadcast", "campaign", "contact", "cursor", "deleted",
    "dependencies", "flow", "folder", "group", "id", "key", "label", "limit", "name", "offset",
    "paths", "period", "resthook", "responded", "reverse", "role", "since", "type", "until",
    "urn", "uuid",
})  # fmt: skip
_SLOW_CHUNK_BYTES = 512


def create_app(
    delay_s: float = 0,
    faults: Faults | None = None,
    rates: Mapping[str, str] | None = None,
    clock: Callable[[], float] = time.time,
) -> App:
    """Return the sandbox, waiting `delay_s` before each answer.

    `rates` replace the stock "3600/hour" by scope, {"v2": "none"} for no limit; `clock` is the throttle's, in seconds.
    Raises: ValueError if a rate is unreadable.
    """
    views = Views(load(), Throttle(clock, rates or {}))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError(f"The sandbox speaks HTTP only, not {scope['type']}.")
        began = time.perf_counter()
        client = scope["client"][0] if scope.get("client") else ""
        if not is_loopback(client):
            refusal = Response(403, "text/plain", b"The sandbox answers over loopback only.")
            await _send(refusal, send, with_body=True)
            return
        request = await _read(scope, receive, client)
        response = _answer(views, request, scope)
        if delay_s:
            await asyncio.sleep(delay_s)
        if faults and faults.strikes(request.path):
            await _fail(faults, faults.replace(response), receive, send)
        else:
            await _send(response, send, with_body=request.method != "HEAD")
        _log(request, response.status, time.perf_counter() - began)

    return app


def is_loopback(host: str) -> bool:
    """Return whether this is an address of this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _read(scope: Scope, receive: Receive, client: str) -> Request:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return Request(
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"].decode("latin-1"),
        headers={name.decode("latin-1").lower(): value for name, value in scope["headers"]},
        client=client,
        scheme=scope["scheme"],
        body=body,
    )


def _answer(views: Views, request: Request, scope: Scope) -> Response:
    target = scope.get("raw_path") or request.path.encode()
    query = f"?{request.query}" if request.query else ""
    line_length = len(request.method) + 1 + len(target) + len(query) + len(" HTTP/1.1")
    return request_line_too_long(line_length) if line_length > MAX_REQUEST_LINE else views.answer(request)


async def _send(response: Response, send: Send, *, with_body: bool) -> None:
    await send({"type": "http.response.start", "status": response.status, "headers": response.wire_headers()})
    await send({"type": "http.response.body", "body": response.body if with_body else b""})


async def _fail(faults: Faults, response: Response, receive: Receive, send: Send) -> None:
    if faults.kind == "hang":
        while (await receive())["type"] != "http.disconnect":
            pass
        return
    if faults.kind not in ("reset", "slow-body"):
        await _send(response, send, with_body=True)
        return
    await send({"type": "http.response.start", "status": response.status, "headers": response.wire_headers()})
    if faults.kind == "reset":
        # The promised length never comes: the server closes the connection in the middle of the body.
        await send({"type": "http.response.body", "body": response.body[:10], "more_body": True})
        return
    for begin in range(0, len(response.body), _SLOW_CHUNK_BYTES):
        await asyncio.sleep(faults.slow_pause_s)
        chunk = response.body[begin : begin + _SLOW_CHUNK_BYTES]
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _log(request: Request, status: int, seconds: float) -> None:
    """Write one line: never a header, a value, or an unknown name or path, since a token could stand in any."""
    known = find_route(request.path) is not None
    names = [name if name in _LOGGED_PARAMS else "…" for name in request.params.names()]
    path = request.path if known else "(unknown path)"
    query = f"?{'&'.join(names)}" if names else ""
    access_log.info("%s %s%s %d %.0f ms", request.method, path, query, status, seconds * 1000)
