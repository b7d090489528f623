"""RapidPro's API v2: a raw client, one method a resource, and a connection that gives typed rows."""

from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from uuid import UUID

import httpx
from msgspec import Struct

from rapidpro_integration.client import dates
from rapidpro_integration.client.budgets import Budget
from rapidpro_integration.client.credentials import Credential
from rapidpro_integration.client.dates import DateLike
from rapidpro_integration.client.decoding import Decoded, read_page
from rapidpro_integration.client.errors import TokenRejectedException
from rapidpro_integration.client.origins import canonical_origin
from rapidpro_integration.client.permits import Limits
from rapidpro_integration.client.pools import Server
from rapidpro_integration.client.resources import FLOWS, Resource
from rapidpro_integration.client.transport import Answer, Caller, Params, Transport

DEFAULT_SERVER = "https://app.rapidpro.io"
_WORKSPACE = "/api/v2/workspace.json"
_ORG = "/api/v2/org.json"
# Of the compressed stream, so no longer true of the response that is handed out.
_TRANSFER_HEADERS = {b"content-encoding", b"content-length", b"transfer-encoding"}


class RapidProAPI:
    """RapidPro's API v2 on one server, with one token.

    `server` is an https origin (http for loopback only) that the caller answers for: a text that somebody else typed
    goes through `canonical_origin` first. It may lead to a private network only with `private`. `token` may be empty
    until `set_api_token` gives one, and a call without one raises TokenRejectedException. `tenant` names who shares
    permits (the token, if nobody is named), `workspace` the one whose hourly requests are spent, where it is known
    before the first answer, `name` what an observer knows the token by. Raises ValueError for any other server, or a
    token that no header can carry.
    """

    def __init__(
        self,
        token: str = "",
        server: str = DEFAULT_SERVER,
        *,
        private: bool = False,
        tenant: str = "",
        workspace: str = "",
        name: str = "",
        limits: Limits | None = None,
    ) -> None:
        self.server = canonical_origin(server, named=True)
        self._private = private
        self.credential = Credential(token)
        self.limits = limits or Limits()
        self._tenant = tenant
        self._caller = Caller(tenant or self.credential.mark(), workspace, name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(server={self.server!r})"

    @property
    def private(self) -> bool:
        """Whether the server's name may lead to a private network: http is for loopback only, and loopback is one."""
        return self._private or self.server.startswith("http://")

    @property
    def tenant(self) -> str:
        """Who shares permits with this client."""
        return self._caller.tenant

    def set_api_token(self, token: str) -> None:
        """Use `token` from the next call on. Raises ValueError for a token that no header can carry."""
        self.credential = Credential(token)
        self._caller = Caller(self._tenant or self.credential.mark())

    async def get_connection_status(self) -> httpx.Response:
        """Return the answer of workspace.json, or of org.json, its old name, where the server answers 404.

        The API's root is not asked: it says 200 to anybody. Raises AbstractRequestException if there is no answer.
        Source: ../shared/rapidpro-api.md, section 1.
        """
        return _Response(await self.connect().workspace())

    async def get_flows(
        self, uuid: str | UUID = "", before_date: DateLike = "", after_date: DateLike = "", *, cursor: str = ""
    ) -> httpx.Response:
        """Return the answer of flows.json: one page, of 250 rows at most, newest first.

        `before_date` and `after_date` are bounds on the time of modification, both inclusive; naive ones are in UTC.
        Raises ValueError for a malformed uuid or date or a window that ends before it begins, before any request;
        AbstractRequestException if there is no answer.
        """
        before, after = dates.window(before_date, after_date, dates.zone("UTC"))
        wanted = str(dates.require_uuid(uuid)) if uuid != "" else ""
        params = given({"uuid": wanted, "before": before, "after": after, "cursor": cursor})
        return _Response(await self.connect().get(FLOWS.path, params))

    def connect(self, budget: Budget | None = None) -> "Connection":
        """Return a connection whose calls share one budget.

        Raises TokenRejectedException if there is no token: nothing is sent then.
        """
        if not self.credential:
            raise TokenRejectedException("There is no token to send.")
        budget = budget or Budget()
        server = Server(self.server, private=self.private)
        return Connection(Transport(server, self.credential, self._caller, budget, self.limits), self.credential)


def given(params: Mapping[str, str | list[str]]) -> dict[str, str | list[str]]:
    """Return the parameters that have a value: a server refuses `uuid=`."""
    return {name: value for name, value in params.items() if value}


class Connection:
    """GETs with one token within one budget. It has no other method: nothing here can write to a workspace."""

    def __init__(self, transport: Transport, credential: Credential) -> None:
        self._transport = transport
        self.credential = credential

    @property
    def bytes_left(self) -> int:
        """The bytes that the operation may still take."""
        return self._transport.budget.bytes_left

    async def get(self, path: str, params: Params) -> Answer:
        """Return the answer to a GET, whatever its status."""
        return await self._transport.get(path, params)

    def read[T: Struct](self, resource: Resource[T], answer: Answer) -> Decoded[T]:
        """Return the page of a list that an answer holds. Raises AbstractRequestException."""
        return read_page(answer, self.credential, resource.kind, resource.position)

    async def workspace(self) -> Answer:
        """Return the answer of workspace.json, or of org.json where that is not found."""
        answer = await self._transport.get(_WORKSPACE, {})
        if answer.status_code == httpx.codes.NOT_FOUND:
            answer = await self._transport.get(_ORG, {})
        return answer


class _Response(httpx.Response):
    """A response whose body is there, and whose headers and request are made when somebody looks at them.

    Most never do, and making the two costs as much as half the request.
    """

    def __init__(self, answer: Answer) -> None:
        # What httpx's own would come to; a test compares the two.
        self.status_code = answer.status_code
        self._raw_headers, self._address = answer.raw_headers, answer.address
        self._content = answer.content
        self.next_request = None
        self.extensions = {}
        self.history = []
        self.default_encoding = "utf-8"
        self.stream = httpx.ByteStream(answer.content)
        self.is_closed = self.is_stream_consumed = True
        self._num_bytes_downloaded = 0
        self.elapsed = timedelta(milliseconds=answer.duration_ms)

    @cached_property
    def headers(self) -> httpx.Headers:  # type: ignore[override]  # it can be set too
        """The lines of the head, but for those that were true of the compressed stream."""
        kept = [(name, value) for name, value in self._raw_headers if name.lower() not in _TRANSFER_HEADERS]
        length = [(b"Content-Length", str(len(self._content)).encode())] if self._content else []
        return httpx.Headers(kept + length)

    @cached_property
    def _request(self) -> httpx.Request:  # type: ignore[override]  # it can be set too
        # What `request` gives. Without the headers that went out: those hold the token.
        return httpx.Request("GET", self._address)
