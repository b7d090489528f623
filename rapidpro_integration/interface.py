"""RapidProInterface: what one person can do in one RapidPro workspace, in plain calls and in coroutines.

Works without Django: only `for_token`, which opens a saved token, needs the vault and so the settings.
"""

from datetime import tzinfo
from typing import TYPE_CHECKING, Protocol, Self
from uuid import UUID

from rapidpro_integration.client import dates, errors, statuses
from rapidpro_integration.client.api import DEFAULT_SERVER, RapidProAPI
from rapidpro_integration.client.budgets import OPERATION_DEADLINE_S
from rapidpro_integration.client.listing import MAX_PAGES
from rapidpro_integration.client.origins import is_canonical
from rapidpro_integration.client.permits import Limits
from rapidpro_integration.reads import FlowReads, MessagingReads, PeopleReads, WorkspaceReads

if TYPE_CHECKING:
    from rapidpro_integration.vault import SealedRow

    class TokenRow(SealedRow, Protocol):
        """What the interface reads of a saved token."""

        state: str
        workspace_uuid: UUID | None
        access: str


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
    PausedException = errors.PausedException
    BusyException = errors.BusyException
    TokenLockedException = errors.TokenLockedException
    TokenDisabledException = errors.TokenDisabledException
    NotRapidProException = errors.NotRapidProException
    MalformedException = errors.MalformedException
    TooLargeException = errors.TooLargeException


class RapidProInterface(FlowReads, PeopleReads, MessagingReads, WorkspaceReads, _Exceptions):
    """One workspace of one RapidPro server, as its token opens it.

    Every list comes three ways: `get_flows` (plain: scripts, the shell, sync views), `aget_flows` (coroutine) and
    `aiter_flows` (its pages as they come). Lists are whole. Naive dates are in `timezone`. `deadline_s` bounds the
    waiting of one call over all its pages; a single request has limits of its own (client/transport.py). `private` lets
    the server's name lead to a private network. `tenant` and `limits` say with whom permits are shared, and how many
    there are (client/permits.py); `name` is what an observer knows the token by. Raises ValueError for a server that is
    no https origin, a token that no header can carry, an unknown zone, or a deadline or page cap that is not positive.
    Source: docs/client.md.
    """

    def __init__(
        self,
        token: str = "",
        server: str = DEFAULT_SERVER,
        *,
        timezone: str | tzinfo = "UTC",
        deadline_s: float = OPERATION_DEADLINE_S,
        max_pages: int = MAX_PAGES,
        private: bool = False,
        tenant: str = "",
        workspace: str = "",
        name: str = "",
        limits: Limits | None = None,
    ) -> None:
        if not deadline_s > 0 or max_pages < 1:
            raise ValueError("deadline_s and max_pages must be positive.")
        api = RapidProAPI(token, server, private=private, tenant=tenant, workspace=workspace, name=name, limits=limits)
        super().__init__(api, dates.zone(timezone), deadline_s, max_pages)

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
        if not is_canonical(row.server):
            # A hand in the database, or an old dump: nothing of ours would have saved it.
            raise errors.TokenLockedException("The token's server is no server's address, so nothing was sent.")
        try:
            secret = vault.open_token(row)
        except vault.LockedError as locked:
            reason = str(locked)
        else:
            return cls(
                secret.reveal(),
                row.server,
                timezone=timezone,
                deadline_s=deadline_s,
                max_pages=max_pages,
                private=row.access == "private",
                tenant=f"user {row.owner_id}",
                workspace=str(row.workspace_uuid or ""),
                name=str(row.pk),
            )
        raise errors.TokenLockedException(f"The saved token cannot be opened ({reason}), so nothing was sent.")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(server={self._api.server!r})"

    def set_api_token(self, token: str) -> None:
        """Use `token` from the next call on. Raises ValueError for a token that no header can carry."""
        self._api.set_api_token(token)

    @staticmethod
    def get_status_code_interpretation(status_code: int) -> str:
        """Return what an HTTP status means when RapidPro sends it: "429: …"; unknown ones too."""
        return statuses.interpretation(status_code)
