"""One GET to one origin: time limits, a cap on what is decoded, and every failure turned into an error of ours.

Built on httpx's transport, below its client: so there are no cookies, redirects, proxies, netrc or request log to
switch off, and the token is on the request only. The place where httpx's exceptions end is `_error_of`.
"""

import asyncio
import logging
import ssl
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from types import TracebackType
from typing import Self

import httpx

from rapidpro_integration.client import errors
from rapidpro_integration.client.credentials import Credential

logger = logging.getLogger("rapidpro_integration.client")
# A script that configures no logging gets the exception, and not a line on stderr besides.
logger.addHandler(logging.NullHandler())

CONNECT_S = 3.0
READ_S = 8.0
REQUEST_DEADLINE_S = 15.0
OPERATION_DEADLINE_S = 30.0
MAX_BODY_BYTES = 8 * 1024 * 1024
MAX_OPERATION_BYTES = 64 * 1024 * 1024
USER_AGENT = "rapidpro-console/0.1"

_TIMEOUTS = httpx.Timeout(READ_S, connect=CONNECT_S, pool=CONNECT_S)
# Of the compressed stream, so no longer true of the response that is handed out.
_TRANSFER_HEADERS = {b"content-encoding", b"content-length", b"transfer-encoding"}


@dataclass(slots=True)
class Budget:
    """What one operation may still spend: seconds of waiting for the server, and bytes of decoded answers."""

    seconds_left: float = OPERATION_DEADLINE_S
    bytes_left: int = MAX_OPERATION_BYTES


@lru_cache(maxsize=1)
def tls_context() -> ssl.SSLContext:
    """Return the one TLS context of this process: making one costs 15 ms, and it may be shared between threads."""
    return httpx.create_ssl_context(trust_env=False)


class Transport:
    """Connections to one origin, kept open between the requests of one operation.

    An async context manager, of one event loop: `async with Transport(origin) as transport: await transport.get(…)`.
    """

    def __init__(self, origin: str, budget: Budget) -> None:
        self._origin = origin
        self._budget = budget
        self._http = httpx.AsyncHTTPTransport(verify=tls_context(), trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def get(self, path: str, params: Mapping[str, str], credential: Credential) -> httpx.Response:
        """Return the answer to a GET of `path`, whatever its status, with its body decoded and the token left out.

        The body of an error answer is empty where it cannot be decoded or is too large: its status says enough.
        Raises a RequestFailureException without an answer, a ResponseParsingException for a success that cannot be
        read.
        """
        started = time.monotonic()
        seen = _Seen()
        try:
            async with asyncio.timeout(min(REQUEST_DEADLINE_S, self._budget.seconds_left)):
                response = await self._exchange(path, params, credential, seen)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, UnicodeError, _BodyError) as failure:
            error = _error_of(failure, seen.status)
        else:
            response.elapsed = timedelta(seconds=self._spent(started))
            logger.info(
                "GET %s status=%s duration_ms=%d",
                path,
                response.status_code,
                response.elapsed / timedelta(milliseconds=1),
            )
            return response
        duration_ms = self._spent(started) * 1000
        logger.warning(
            "GET %s error=%s kind=%s status=%s duration_ms=%d",
            path,
            type(error).__name__,
            error.kind,
            error.status_code,
            duration_ms,
        )
        raise error

    def _spent(self, started: float) -> float:
        """Return the seconds since `started`, and take them from the budget."""
        spent_s = time.monotonic() - started
        self._budget.seconds_left -= spent_s
        return spent_s

    async def _exchange(
        self, path: str, params: Mapping[str, str], credential: Credential, seen: "_Seen"
    ) -> httpx.Response:
        bare = httpx.Request("GET", self._origin + path, params=params or None)
        answer = await self._http.handle_async_request(_signed(bare, credential))
        seen.status = answer.status_code
        try:
            body = await self._body(answer)
        finally:
            await answer.aclose()
        self._budget.bytes_left -= len(body)
        kept = [(name, value) for name, value in answer.headers.raw if name.lower() not in _TRANSFER_HEADERS]
        return httpx.Response(answer.status_code, headers=kept, content=body, request=bare)

    async def _body(self, answer: httpx.Response) -> bytes:
        """Return the decoded body; of an answer that is no success, nothing if it cannot be read whole."""
        try:
            return await _read(answer, min(MAX_BODY_BYTES, self._budget.bytes_left))
        except _BodyError:
            if answer.is_success:
                raise
            return b""


class _Seen:
    """How far an exchange came: the status, once there is one."""

    status: int | None = None


class _BodyError(Exception):
    """The body cannot be taken."""


class _TooLarge(_BodyError):  # private, and named as errors.py names the fact
    pass


class _Undecodable(_BodyError):
    pass


def _signed(bare: httpx.Request, credential: Credential) -> httpx.Request:
    headers = {
        "Authorization": credential.authorization(),
        "Accept": "application/json",
        "Accept-Encoding": "gzip",
        "User-Agent": USER_AGENT,
    }
    return httpx.Request("GET", bare.url, headers=headers, extensions={"timeout": _TIMEOUTS.as_dict()})


async def _read(answer: httpx.Response, max_bytes: int) -> bytes:
    """Return the decoded body. The cap acts while decoding: a small body that unpacks to gigabytes never does."""
    encoding = answer.headers.get("content-encoding", "").strip().lower()
    if encoding not in {"", "identity", "gzip", "x-gzip"}:
        raise _Undecodable
    gzip = zlib.decompressobj(16 + zlib.MAX_WBITS) if encoding.endswith("gzip") else None
    body, received = bytearray(), 0
    async for chunk in answer.aiter_raw():
        received += len(chunk)
        left = max_bytes - len(body)
        body += chunk if gzip is None else _unpacked(gzip, chunk, left + 1)
        if len(body) > max_bytes or received > max_bytes:
            raise _TooLarge
    if gzip is not None and received and not gzip.eof:
        raise _Undecodable
    return bytes(body)


def _unpacked(gzip: "zlib._Decompress", chunk: bytes, max_length: int) -> bytes:
    """Return at most `max_length` bytes of what `chunk` unpacks to. Anything behind the end is not taken."""
    try:
        unpacked = gzip.decompress(chunk, max_length)
    except zlib.error:
        unpacked = None
    if unpacked is None or gzip.unused_data:
        raise _Undecodable
    return unpacked


def _error_of(failure: Exception, status: int | None) -> errors.AbstractRequestException:
    """Return what a failure on the wire means. `status` is that of the answer, where its head had come already."""
    if isinstance(failure, _TooLarge):
        return errors.TooLargeException(status_code=status)
    if isinstance(failure, _Undecodable):
        return errors.MalformedException(status_code=status)
    if isinstance(failure, (httpx.TimeoutException, TimeoutError)):
        return errors.TimedOutException(status_code=status)
    if isinstance(failure, (httpx.ConnectError, ssl.SSLError)) and any(
        isinstance(cause, ssl.SSLError) for cause in _chain(failure)
    ):
        return errors.TlsFailedException(status_code=status)
    if status is not None:
        return errors.MalformedException("The server's answer broke off.", status_code=status)
    return errors.UnreachableException()


def _chain(failure: BaseException | None) -> Iterator[BaseException]:
    while failure is not None:
        yield failure
        failure = failure.__cause__ or failure.__context__
