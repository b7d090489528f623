"""The ways to fetch one page of 250 flows. Each opens what it needs in `setup`, and fetches once in `one`.

`one(worker)` must raise if it did not get the whole page. A contender with `pooled` keeps connections between requests,
so that they are opened before the measurement. None has a shorter time-out than `TIMEOUT_S`, so that a slow one is
measured and not cut off.

What is ours stands in `trust`, `ours_api` and `ours_interface` only: adapt these when the client changes.
"""

import asyncio
import json
import ssl
from typing import Any, ClassVar

TOKEN = "b" * 40
PATH = "/api/v2/flows.json"
ROWS = 250
TIMEOUT_S = 60.0
# The usual limits would hold back what is measured: 200 requests to one server.
IN_FLIGHT_AT_MOST = 1000
_LEAST_BYTES = 130_000
_HEADERS = {"Authorization": f"Token {TOKEN}", "Accept": "application/json"}


def trust(ca_path: str) -> None:
    """Have our client trust the authority of this run; the others read SSL_CERT_FILE and REQUESTS_CA_BUNDLE."""
    from rapidpro_integration.client.wire import tls_context

    tls_context().load_verify_locations(ca_path)


def ours_token(worker: int) -> str:
    """Return the token of a worker: in a site each request is another person's, with permits of their own."""
    return f"{worker:040x}"


def ours_api(origin: str, worker: int) -> Any:
    """Return our raw API."""
    from rapidpro_integration.client import Limits, RapidProAPI

    return RapidProAPI(
        ours_token(worker), origin, private=True, limits=Limits(origin=IN_FLIGHT_AT_MOST, process=IN_FLIGHT_AT_MOST)
    )


def ours_interface(origin: str, worker: int = 0) -> Any:
    """Return our interface."""
    from rapidpro_integration.client import Limits
    from rapidpro_integration.interface import RapidProInterface

    limits = Limits(origin=IN_FLIGHT_AT_MOST, process=IN_FLIGHT_AT_MOST)
    return RapidProInterface(ours_token(worker), origin, private=True, limits=limits)


def _check_bytes(body: bytes) -> None:
    if len(body) < _LEAST_BYTES:
        raise ValueError("This is not a whole page.")


def _check_rows(rows: list[Any]) -> None:
    if len(rows) != ROWS:
        raise ValueError("These are not all rows.")


class Contender:
    """One way to fetch a page, in coroutines."""

    name: ClassVar[str] = ""
    label: ClassVar[str] = ""
    pooled: ClassVar[bool] = True
    threads: ClassVar[bool] = False

    def __init__(self, origin: str, ca: str) -> None:
        self.origin, self.ca = origin, ca
        self.url = origin + PATH

    def context(self) -> ssl.SSLContext | bool:
        """Return the TLS context for clients that take one; True where there is no TLS."""
        return ssl.create_default_context(cafile=self.ca) if self.ca else True

    async def setup(self) -> None:
        """Open what is kept between requests."""

    async def one(self, worker: int) -> None:
        """Fetch one page."""
        raise NotImplementedError

    async def teardown(self) -> None:
        """Close what `setup` opened."""


class ThreadContender(Contender):
    """One way to fetch a page, in plain calls: each worker is a thread."""

    threads = True
    pooled = False

    def call(self, worker: int) -> None:
        """Fetch one page."""
        raise NotImplementedError


class ClientPerCall(Contender):
    """What the tutorial shows: a client for each call."""

    name, label, pooled = "httpx-per-call", "httpx.AsyncClient a call, json()", False

    async def one(self, worker: int) -> None:  # noqa: D102
        import httpx

        async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
            response = await client.get(self.url, headers=_HEADERS)
            _check_rows(response.json()["results"])


class RunPerCall(ThreadContender):
    """The same from plain code: an event loop and a client for each call."""

    name, label = "asyncio-run", "asyncio.run a call, json(), in threads"

    def call(self, worker: int) -> None:  # noqa: D102
        asyncio.run(ClientPerCall(self.origin, self.ca).one(worker))


class RapidProPython(ThreadContender):
    """The official client, made for each call."""

    name, label = "rapidpro-python", "rapidpro-python, a client a call, in threads"

    def call(self, worker: int) -> None:  # noqa: D102
        from temba_client.v2 import TembaClient

        _check_rows(next(TembaClient(self.origin, TOKEN).get_flows().iterfetches()))


class RapidProPythonShared(ThreadContender):
    """The official client, made once."""

    name, label = "rapidpro-python-shared", "rapidpro-python, one client, in threads"

    async def setup(self) -> None:  # noqa: D102
        from temba_client.v2 import TembaClient

        self.client = TembaClient(self.origin, TOKEN)

    def call(self, worker: int) -> None:  # noqa: D102
        _check_rows(next(self.client.get_flows().iterfetches()))


class SharedHttpx(Contender):
    """One httpx client for all."""

    name, label = "httpx-shared", "one httpx.AsyncClient, read only"

    async def setup(self) -> None:  # noqa: D102
        import httpx

        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        self.client = httpx.AsyncClient(verify=self.context(), limits=limits, timeout=TIMEOUT_S)

    async def one(self, worker: int) -> None:  # noqa: D102
        response = await self.client.get(self.url, headers=_HEADERS)
        _check_bytes(response.content)

    async def teardown(self) -> None:  # noqa: D102
        await self.client.aclose()


class SharedHttpxAiohttp(SharedHttpx):
    """One httpx client over aiohttp's connections."""

    name, label = "httpx-aiohttp", "one httpx client over httpx-aiohttp, read only"

    async def setup(self) -> None:  # noqa: D102
        import aiohttp
        import httpx
        from httpx_aiohttp import AiohttpTransport

        # Of the session's own making: under HttpxAiohttpClient no more than 100 connections were open at once.
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self.context()), cookie_jar=aiohttp.DummyCookieJar()
        )
        self.client = httpx.AsyncClient(transport=AiohttpTransport(client=session), timeout=TIMEOUT_S)


class RawAiohttp(Contender):
    """The least that a client in Python can do: read the bytes with aiohttp."""

    name, label = "aiohttp", "raw aiohttp, read only"

    async def setup(self) -> None:  # noqa: D102
        import aiohttp

        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self.context()),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
        )

    async def one(self, worker: int) -> None:  # noqa: D102
        _check_bytes(await self.read(self.url))

    async def read(self, url: str) -> bytes:
        """Return the body of an answer."""
        async with self.session.get(url, headers=_HEADERS) as response:
            response.raise_for_status()
            return await response.read()

    async def teardown(self) -> None:  # noqa: D102
        await self.session.close()


class RawAiohttpJson(RawAiohttp):
    """The same, with the standard library's JSON."""

    name, label = "aiohttp-json", "raw aiohttp, json.loads"

    async def one(self, worker: int) -> None:  # noqa: D102
        _check_rows(json.loads(await self.read(self.url))["results"])


class Ours(Contender):
    """What our two contenders share."""

    async def setup(self) -> None:  # noqa: D102
        if self.ca:
            trust(self.ca)


class OursRaw(Ours):
    """Our raw API: an httpx.Response, with the time limits, the size caps and the error mapping."""

    name, label = "ours-raw", "ours, RapidProAPI.get_flows(), raw response"

    async def one(self, worker: int) -> None:  # noqa: D102
        response = await ours_api(self.origin, worker).get_flows()
        _check_bytes(response.content)


class OursTyped(Ours):
    """Our interface: a list of typed flows."""

    name, label = "ours-typed", "ours, RapidProInterface.aget_flows(), typed rows"

    async def one(self, worker: int) -> None:  # noqa: D102
        _check_rows(await ours_interface(self.origin, worker).aget_flows())


ALL: tuple[type[Contender], ...] = (
    ClientPerCall,
    RunPerCall,
    RapidProPython,
    RapidProPythonShared,
    SharedHttpx,
    SharedHttpxAiohttp,
    RawAiohttp,
    RawAiohttpJson,
    OursRaw,
    OursTyped,
)
BY_NAME: dict[str, type[Contender]] = {contender.name: contender for contender in ALL}
