"""RapidProInterface: what one person can do in one RapidPro workspace, in plain calls and in coroutines.

Works without Django: only `for_token`, which opens a saved token, needs the vault and so the settings.
"""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Protocol, Self
from uuid import UUID

from asgiref.sync import async_to_sync

from rapidpro_integration.client import dates, errors, statuses
from rapidpro_integration.client.api import DEFAULT_SERVER, Connection, RapidProAPI, flow_params
from rapidpro_integration.client.dates import DateLike
from rapidpro_integration.client.parsing import page_of, read_json
from rapidpro_integration.client.transport import OPERATION_DEADLINE_S, Budget
from rapidpro_integration.client.types import Flow, FlowList, FlowPage, StoppedBecause, Workspace

if TYPE_CHECKING:
    from rapidpro_integration.vault import SealedRow

    class TokenRow(SealedRow, Protocol):
        """What the interface reads of a saved token."""

        state: str
        access: str


# Pages of 250: 25,000 flows. The largest workspace that we know of has a tenth of that.
MAX_PAGES = 100
_OLDEST = datetime.min.replace(tzinfo=UTC)


class _Exceptions:
    """The exceptions, reachable from the interface: `except interface.RateLimitedException as error`."""

    AbstractRequestException = errors.AbstractRequestException
    RequestFailureException = errors.RequestFailureException
    ResponseParsingException = errors.ResponseParsingException
    TokenValidationException = errors.TokenValidationException
    TokenRejectedException = errors.TokenRejectedException
    NotAllowedException = errors.NotAllowedException
    RateLimitedException = errors.RateLimitedException
    BadRequestException = errors.BadRequestException
    NotFoundException = errors.NotFoundException
    ServerErrorException = errors.ServerErrorException
    RedirectedException = errors.RedirectedException
    UnreachableException = errors.UnreachableException
    TimedOutException = errors.TimedOutException
    TlsFailedException = errors.TlsFailedException
    TokenLockedException = errors.TokenLockedException
    TokenDisabledException = errors.TokenDisabledException
    NotRapidProException = errors.NotRapidProException
    MalformedException = errors.MalformedException
    TooLargeException = errors.TooLargeException


class RapidProInterface(_Exceptions):
    """One workspace of one RapidPro server, as its token opens it.

    Every call but the iterator comes twice: plain (scripts, the shell, sync views) and with `a` in front (coroutine).
    Naive dates are in `timezone`. `deadline_s` bounds the waiting of one call over all its pages; a single request
    has limits of its own (client/transport.py). Raises ValueError for a server that is no https origin, a token that no
    header can carry, an unknown zone, or a deadline or page cap that is not positive.
    """

    def __init__(
        self,
        token: str = "",
        server: str = DEFAULT_SERVER,
        *,
        timezone: str | tzinfo = "UTC",
        deadline_s: float = OPERATION_DEADLINE_S,
        max_pages: int = MAX_PAGES,
    ) -> None:
        if not deadline_s > 0 or max_pages < 1:
            raise ValueError("deadline_s and max_pages must be positive.")
        self._api = RapidProAPI(token, server)
        self._timezone = dates.zone(timezone)
        self._deadline_s = deadline_s
        self._max_pages = max_pages

    @classmethod
    def for_token(
        cls,
        row: "TokenRow",
        *,
        timezone: str | tzinfo = "UTC",
        deadline_s: float = OPERATION_DEADLINE_S,
        max_pages: int = MAX_PAGES,
    ) -> Self:
        """Return the interface of a saved token. The plaintext is born here, and dies with the interface.

        Raises TokenDisabledException, TokenLockedException: then nothing is opened or sent.
        """
        from rapidpro_integration import vault  # here, so that scripts without Django can import us

        if row.state == "disabled":
            raise errors.TokenDisabledException
        if row.access == "closed":
            raise errors.TokenLockedException("The token's server is not open to its owner, so nothing was sent.")
        try:
            secret = vault.open_token(row)
        except vault.LockedError as locked:
            reason = str(locked)
        else:
            return cls(secret.reveal(), row.server, timezone=timezone, deadline_s=deadline_s, max_pages=max_pages)
        raise errors.TokenLockedException(f"The saved token cannot be opened ({reason}), so nothing was sent.")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(server={self._api.server!r})"

    def set_api_token(self, token: str) -> None:
        """Use `token` from the next call on. Raises ValueError for a token that no header can carry."""
        self._api.set_api_token(token)

    # --- What the token is worth ----------------------------------------------------------------

    async def avalidate_token(self) -> bool:
        """Return True if the token opens a workspace, False if the server refuses the credential itself.

        Raises TokenValidationException for everything else, with the facts of what stood in the way: a role without
        permission, a used-up budget, a broken or unreachable server, something that is no RapidPro.
        """
        try:
            await self.aget_workspace()
        except errors.TokenRejectedException:
            return False
        except errors.AbstractRequestException as caught:
            error = errors.TokenValidationException.of(caught)
        else:
            return True
        raise error

    async def aget_workspace(self) -> Workspace:
        """Return the workspace that the token opens. Raises AbstractRequestException."""
        async with self._connect() as connection:
            payload = read_json(await connection.get_connection_status(), connection.credential)
        workspace = Workspace.from_json(payload)
        if workspace is None:
            raise errors.NotRapidProException("The answer is JSON, but no RapidPro workspace.", status_code=200)
        return workspace

    # --- Flows ----------------------------------------------------------------------------------

    async def aget_flow(self, uuid: str | UUID) -> Flow | None:
        """Return the flow of that uuid with its raw JSON, archived or not; None if the workspace has none.

        Raises ValueError for a malformed or empty uuid, before any request; AbstractRequestException.
        """
        wanted = dates.require_uuid(uuid)
        async with self._connect() as connection:
            payload = read_json(await connection.get_flows(flow_params(wanted)), connection.credential)
        rows, _ = page_of(payload)
        flows = [Flow.from_json(row, keep_raw=True) for row in rows]
        found = next((flow for flow in flows if flow is not None and flow.uuid == wanted), None)
        if found is None and None in flows:
            raise errors.MalformedException("The server's row for this flow cannot be read.", status_code=200)
        return found

    async def aget_flows(self, before_date: DateLike = "", after_date: DateLike = "") -> FlowList:
        """Return all flows, archived ones too, newest first by creation, each once; all pages.

        The dates are inclusive bounds on the time of *modification*. The list also says how many rows could not be
        read, and whether it stopped early (`FlowList`). Raises ValueError for a malformed date or a window that ends
        before it begins, before any request; AbstractRequestException.
        """
        flows = FlowList()
        async for page in self.aiter_flow_pages(before_date, after_date):
            flows.extend(page.flows)
            flows.unreadable_count += page.unreadable_count
            flows.stopped_because = page.stopped_because
            flows.fetched_at = page.fetched_at
        flows.sort(key=lambda flow: flow.created_on or _OLDEST, reverse=True)
        return flows

    def aiter_flow_pages(self, before_date: DateLike = "", after_date: DateLike = "") -> AsyncGenerator[FlowPage]:
        """Iterate over the pages of flows as they come, of 250 rows at most, in the server's order: newest first.

        Time that the caller spends between two pages does not count for the deadline. A loop that is left early should
        be inside `contextlib.aclosing`. Raises ValueError at once, AbstractRequestException while iterating.
        """
        params = flow_params("", *dates.window(before_date, after_date, self._timezone))
        return self._aiter_flow_pages(params)

    async def _aiter_flow_pages(self, params: dict[str, str]) -> AsyncGenerator[FlowPage]:
        known: set[UUID] = set()
        cursor, cursors = "", {""}
        async with self._connect() as connection:
            for number in range(1, self._max_pages + 1):
                payload = read_json(await connection.get_flows(params, cursor), connection.credential)
                rows, cursor = page_of(payload)
                flows, unreadable_count = _new_flows(rows, known)
                stopped = self._stopped_because(number, cursor, cursors)
                yield FlowPage(number, flows, unreadable_count, stopped, datetime.now(UTC))
                if not cursor or stopped:
                    return
                cursors.add(cursor)

    def _stopped_because(self, number: int, cursor: str, cursors: set[str]) -> StoppedBecause:
        if not cursor:
            return ""
        if cursor in cursors:
            return "repeated_cursor"
        return "page_cap" if number == self._max_pages else ""

    def _connect(self) -> AbstractAsyncContextManager[Connection]:
        return self._api.connect(Budget(seconds_left=self._deadline_s))

    # --- The same, plain ------------------------------------------------------------------------

    def validate_token(self) -> bool:
        """Return what `avalidate_token` returns."""
        return async_to_sync(self.avalidate_token)()

    def get_workspace(self) -> Workspace:
        """Return what `aget_workspace` returns."""
        return async_to_sync(self.aget_workspace)()

    def get_flow(self, uuid: str | UUID) -> Flow | None:
        """Return what `aget_flow` returns."""
        return async_to_sync(self.aget_flow)(uuid)

    def get_flows(self, before_date: DateLike = "", after_date: DateLike = "") -> FlowList:
        """Return what `aget_flows` returns."""
        return async_to_sync(self.aget_flows)(before_date, after_date)

    @staticmethod
    def get_status_code_interpretation(status_code: int) -> str:
        """Return what an HTTP status means when RapidPro sends it: "429: …"; unknown ones too."""
        return statuses.interpretation(status_code)


def _new_flows(rows: list[object], known: set[UUID]) -> tuple[tuple[Flow, ...], int]:
    """Return the flows of `rows` that are not in `known` yet, which they then are, and how many could not be read."""
    flows, unreadable_count = [], 0
    for row in rows:
        flow = Flow.from_json(row)
        if flow is None:
            unreadable_count += 1
        elif flow.uuid not in known:
            known.add(flow.uuid)
            flows.append(flow)
    return tuple(flows), unreadable_count
