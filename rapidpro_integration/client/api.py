"""RapidPro's API v2, one method a resource, each returning the raw response."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import httpx

from rapidpro_integration.client import dates
from rapidpro_integration.client.credentials import Credential
from rapidpro_integration.client.dates import DateLike
from rapidpro_integration.client.errors import TokenRejectedException
from rapidpro_integration.client.origins import canonical_origin
from rapidpro_integration.client.transport import Budget, Transport

DEFAULT_SERVER = "https://app.rapidpro.io"


class RapidProAPI:
    """RapidPro's API v2 on one server, with one token.

    `server` is an https origin (http for loopback only) that the caller answers for: a text that somebody else typed
    goes through `canonical_origin` first; `token` may be empty until `set_api_token` gives one, and a
    call without one raises TokenRejectedException. Raises ValueError for any other server, or a token that no header
    can carry.
    """

    def __init__(self, token: str = "", server: str = DEFAULT_SERVER) -> None:
        self.server = canonical_origin(server, named=True)
        self.credential = Credential(token)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(server={self.server!r})"

    def set_api_token(self, token: str) -> None:
        """Use `token` from the next call on. Raises ValueError for a token that no header can carry."""
        self.credential = Credential(token)

    async def get_connection_status(self) -> httpx.Response:
        """Return the answer of workspace.json, or of org.json, its old name, where the server answers 404.

        The API's root is not asked: it says 200 to anybody. Raises AbstractRequestException if there is no answer.
        Source: ../shared/rapidpro-api.md, section 1.
        """
        async with self.connect() as connection:
            return await connection.get_connection_status()

    async def get_flows(
        self, uuid: str | UUID = "", before_date: DateLike = "", after_date: DateLike = "", *, cursor: str = ""
    ) -> httpx.Response:
        """Return the answer of flows.json: one page, of 250 rows at most, newest first.

        `before_date` and `after_date` are bounds on the time of modification, both inclusive; naive ones are in UTC.
        Raises ValueError for a malformed uuid or date or a window that ends before it begins, before any request;
        AbstractRequestException if there is no answer.
        """
        params = flow_params(uuid, *dates.window(before_date, after_date, dates.zone("UTC")))
        async with self.connect() as connection:
            return await connection.get_flows(params, cursor)

    @asynccontextmanager
    async def connect(self, budget: Budget | None = None) -> AsyncIterator["Connection"]:
        """Open connections that several calls share, within one budget.

        Raises TokenRejectedException if there is no token: nothing is sent then.
        """
        if not self.credential:
            raise TokenRejectedException("There is no token to send.")
        async with Transport(self.server, budget or Budget()) as transport:
            yield Connection(transport, self.credential)


def flow_params(uuid: str | UUID = "", before: str = "", after: str = "") -> dict[str, str]:
    """Return the query of flows.json, without empty ones: a server refuses `uuid=`. Raises ValueError."""
    wanted = {"uuid": str(dates.require_uuid(uuid)) if uuid != "" else "", "before": before, "after": after}
    return {name: value for name, value in wanted.items() if value}


class Connection:
    """The calls of RapidProAPI over one set of open connections."""

    def __init__(self, transport: Transport, credential: Credential) -> None:
        self._transport = transport
        self.credential = credential

    async def get_connection_status(self) -> httpx.Response:
        """Return the answer of workspace.json, or of org.json where that is not found."""
        response = await self._transport.get("/api/v2/workspace.json", {}, self.credential)
        if response.status_code == httpx.codes.NOT_FOUND:
            response = await self._transport.get("/api/v2/org.json", {}, self.credential)
        return response

    async def get_flows(self, params: dict[str, str], cursor: str = "") -> httpx.Response:
        """Return the answer of flows.json to `params` (see flow_params) at `cursor`."""
        wanted = params | {"cursor": cursor} if cursor else params
        return await self._transport.get("/api/v2/flows.json", wanted, self.credential)
