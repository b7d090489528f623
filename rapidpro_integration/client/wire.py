"""The wire: GETs over aiohttp's connections. Chosen by measurement: docs/adr/0005-wire.md.

Nothing comes from the environment (proxies, netrc), no cookie is kept, no redirect followed, no body decoded.
Exceptions are aiohttp's own, which tell apart what httpx-aiohttp 0.2.0 reports as one.
"""

import asyncio
import secrets
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import lru_cache, partial
from hashlib import blake2b
from typing import Protocol

import aiohttp
import httpx
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from yarl import URL

from rapidpro_integration.client import observing
from rapidpro_integration.client.origins import parse_origin
from rapidpro_integration.client.resolving import Resolver, require_allowed

KEEP_ALIVE_S = 15.0
# How long a server has to answer a goodbye.
GOODBYE_S = 0.5
# Two pages: a smaller buffer pauses the connection, and wakes the reader, more often.
_READ_BUFFER_BYTES = 256 * 1024
# A server that speaks first on every new connection is taken as it is.
_MAX_UNCLEAN = 3
_SALT = secrets.token_bytes(16)
_WHOSE = ConnectionKey._fields.index("proxy_headers_hash")


type RawHeaders = Sequence[tuple[bytes, bytes]]


class Opened(Protocol):
    """An answer whose head is there, and whose body is still to come."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def raw_headers(self) -> RawHeaders:
        """The lines of the head, as they came."""

    def header(self, name: str) -> str:
        """Return what all lines of that name say, as one list; "" where there is none."""

    async def chunk(self) -> bytes:
        """Return the next bytes of the body, as they were sent; none at its end."""

    async def aclose(self) -> None:
        """Give the connection back, or close it where the body was not read to its end."""


class Wire(Protocol):
    """What carries GETs to one origin."""

    async def open(self, address: str, headers: Mapping[str, str], connect_s: float, read_s: float) -> Opened:
        """Return the answer as soon as its head is there.

        Raises aiohttp.ClientError, httpx.HTTPError, OSError, TimeoutError.
        """

    async def aclose(self) -> None:
        """Close all connections."""


@lru_cache(maxsize=1)
def tls_context() -> ssl.SSLContext:
    """Return the one TLS context of this process: making one costs 15 ms, and it may be shared between threads."""
    return httpx.create_ssl_context(trust_env=False)


class _Request(aiohttp.ClientRequest):
    """Shares a kept connection with requests of the same token alone.

    An answer that comes unasked while the next request is on its way is taken for that one's: nobody can tell. So it
    must never be another token's. When tried with one pool for all
    tokens, one answer in eleven came to the wrong tenant (tests/security/tenants.py).
    """

    _key: ConnectionKey | None = None

    @property
    def connection_key(self) -> ConnectionKey:
        """What the connections are pooled by: aiohttp's own facts, and whose they are."""
        if self._key is None:  # it is asked for several times a request
            whose = _whose(self.headers.get("Authorization", ""))
            facts = super().connection_key
            self._key = ConnectionKey._make((*facts[:_WHOSE], whose, *facts[_WHOSE + 1 :]))
        return self._key


def _whose(authorization: str) -> int:
    """Return a number that stands for a token in this process, and tells nothing of it."""
    return int.from_bytes(blake2b(authorization.encode(), digest_size=16, key=_SALT).digest())


class _Handler(ResponseHandler):
    """Watches over the time between two reads with one timer a connection, where aiohttp makes one a read."""

    _read_at: float | None = None

    def _reschedule_timeout(self) -> None:
        if self._read_timeout:
            self._read_at = self._loop.time()
            if self._read_timeout_handle is None:
                self._read_timeout_handle = self._loop.call_later(self._read_timeout, self._on_read_timeout)
        else:
            self._drop_timeout()

    def _drop_timeout(self) -> None:
        # The timer stays: the next request on this connection needs it, and nothing comes of it before.
        self._read_at = None

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        if self._read_timeout_handle is not None:
            self._read_timeout_handle.cancel()
            self._read_timeout_handle = None

    def _on_read_timeout(self) -> None:
        self._read_timeout_handle = None
        if self._read_at is None or not self._read_timeout:
            return
        left_s = self._read_at + self._read_timeout - self._loop.time()
        if left_s > 0:
            self._read_timeout_handle = self._loop.call_later(left_s, self._on_read_timeout)
        else:
            super()._on_read_timeout()


#: The site puts its recorder here.
certificate_observer: observing.CertificateObserver = observing.no_certificate


class _Connector(aiohttp.TCPConnector):
    """Puts no request on a kept connection on which something has come unasked, and tells of new ones' certificates.

    aiohttp would take what came for the answer, and it may be meant for whoever comes next.
    """

    origin = ""

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  # the signature is aiohttp's
    ) -> ResponseHandler:
        protocol = await super()._create_connection(req, traces, timeout)
        layer = protocol.transport.get_extra_info("ssl_object") if protocol.transport else None
        if layer is not None and "notAfter" in (certificate := layer.getpeercert()):
            certificate_observer(self.origin, ssl.cert_time_to_seconds(certificate["notAfter"]))
        return protocol

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  # the signature is aiohttp's
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)
        for _ in range(_MAX_UNCLEAN):
            if connection.protocol is None or not connection.protocol.should_close:
                break
            connection.close()
            connection = await super().connect(req, traces, timeout)
        return connection


class AiohttpWire:
    """Connections of one event loop to one origin, kept open for KEEP_ALIVE_S, each for one token.

    How many there are is for permits to say. Its name is resolved once a connection, and every address must be one that
    a token may be sent to (addresses.py).
    """

    def __init__(self, origin: str, *, private: bool) -> None:
        parsed = parse_origin(origin)
        self._literal = "" if parsed.address is None else parsed.host
        self._private = private
        self._connector = _Connector(
            ssl=tls_context(), limit=0, keepalive_timeout=KEEP_ALIVE_S, resolver=Resolver(private=private)
        )
        self._connector.origin = origin
        self._loop = asyncio.get_running_loop()
        self._connector._factory = partial(_Handler, loop=self._loop)  # type: ignore[assignment]  # mypy: of a subclass

    async def open(self, address: str, headers: Mapping[str, str], connect_s: float, read_s: float) -> Opened:
        """Return the answer as soon as its head is there. Raises aiohttp.ClientError, OSError, TimeoutError."""
        if self._literal:
            # aiohttp asks no resolver about these.
            require_allowed(self._literal, private=self._private)
        try:
            return await self._ask(address, headers, connect_s, read_s)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            raise
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
            # A kept connection that the server has closed meanwhile: nobody knows before the request is on its way.
            return await self._ask(address, headers, connect_s, read_s)

    async def _ask(self, address: str, headers: Mapping[str, str], connect_s: float, read_s: float) -> Opened:
        # What aiohttp's session does for a GET without cookies, proxies, redirects and traces. It asks for each of them
        # anew at every request, and that is a tenth of what a request costs.
        request = _Request("GET", _url(address), headers=headers, loop=self._loop)
        connection = await self._connector.connect(request, [], _timeout(connect_s, read_s))
        try:
            assert connection.protocol is not None  # noqa: S101  # narrows the type: it has just been connected
            connection.protocol.set_response_params(
                read_until_eof=True, auto_decompress=False, read_timeout=read_s, read_bufsize=_READ_BUFFER_BYTES
            )
            answer = await request.send(connection)
            try:
                await answer.start(connection)
            except BaseException:
                answer.close()
                raise
        except BaseException:
            connection.close()
            raise
        return _Opened(answer)

    async def aclose(self) -> None:
        """Close all connections: kept ones with a goodbye, which aiohttp leaves out of TLS, within GOODBYE_S."""
        kept = [protocol for held in self._connector._conns.values() for protocol, _ in held]
        for protocol in kept:
            if protocol.transport is not None:
                protocol.transport.close()
        if partings := [parting for protocol in kept if (parting := protocol.closed) is not None]:
            await asyncio.wait(partings, timeout=GOODBYE_S)
        await self._connector.close()


class _Opened:
    __slots__ = ("_answer", "chunk", "raw_headers", "status")

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer
        self.status = answer.status
        self.raw_headers = answer.raw_headers
        self.chunk = answer.content.readany

    def header(self, name: str) -> str:
        return ", ".join(self._answer.headers.getall(name, ()))

    async def aclose(self) -> None:
        if self._answer.content.at_eof():
            self._answer.release()
        else:
            self._answer.close()


class HttpxWire:
    """A wire over any httpx transport: for tests that answer in a server's place."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    async def open(self, address: str, headers: Mapping[str, str], connect_s: float, read_s: float) -> Opened:
        """Return the answer. Raises httpx.HTTPError, and whatever else a test has the transport raise."""
        limits = {"timeout": {"connect": connect_s, "read": read_s}}
        request = httpx.Request("GET", address, headers=headers, extensions=limits)
        return _OpenedHttpx(await self._transport.handle_async_request(request))

    async def aclose(self) -> None:
        """Close the transport."""
        await self._transport.aclose()


class _OpenedHttpx:
    def __init__(self, answer: httpx.Response) -> None:
        assert isinstance(answer.stream, httpx.AsyncByteStream)  # noqa: S101  # narrows the type: none is sync
        self._answer = answer
        self._chunks: AsyncIterator[bytes] = aiter(answer.stream)
        self.status = answer.status_code
        self.raw_headers = answer.headers.raw

    def header(self, name: str) -> str:
        return str(self._answer.headers.get(name, ""))

    async def chunk(self) -> bytes:
        # A chunk without bytes is not the end.
        while (found := await anext(self._chunks, None)) == b"":
            pass
        return found or b""

    async def aclose(self) -> None:
        await self._answer.aclose()


@lru_cache(maxsize=1024)
def _url(text: str) -> URL:
    return URL(text, encoded=True)


@lru_cache(maxsize=16)
def _timeout(connect_s: float, read_s: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, sock_connect=connect_s, sock_read=read_s)
