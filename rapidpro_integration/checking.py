"""Ask a server what a token is worth, and say it as a state."""

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils import timezone

from accounts.audit.actions import Outcome
from config.busy import alet_go
from config.request_ids import reference
from rapidpro_integration.client.errors import AbstractRequestException, Kind, UnreachableException
from rapidpro_integration.client.types import Workspace
from rapidpro_integration.interface import RapidProInterface
from rapidpro_integration.models import RapidProToken, TokenState
from rapidpro_integration.openings import Purpose, anote_opening
from rapidpro_integration.servers import Access
from rapidpro_integration.states import REFUSED
from rapidpro_integration.vault import Secret

STATES: dict[Kind, TokenState] = {
    Kind.REJECTED: TokenState.REJECTED,
    Kind.NOT_ALLOWED: TokenState.NOT_ALLOWED,
    Kind.RATE_LIMITED: TokenState.RATE_LIMITED,
    Kind.UNREACHABLE: TokenState.UNREACHABLE,
    Kind.TIMED_OUT: TokenState.UNREACHABLE,
    Kind.TLS: TokenState.UNREACHABLE,
    Kind.PAUSED: TokenState.UNREACHABLE,
    # Nothing was asked, so nothing is known; a check that ends so is not recorded (token_views).
    Kind.BUSY: TokenState.UNCHECKED,
    Kind.REDIRECTED: TokenState.NOT_RAPIDPRO,
    Kind.NOT_RAPIDPRO: TokenState.NOT_RAPIDPRO,
    Kind.NOT_FOUND: TokenState.NOT_RAPIDPRO,
    Kind.MALFORMED: TokenState.NOT_RAPIDPRO,
    Kind.TOO_LARGE: TokenState.NOT_RAPIDPRO,
    Kind.BAD_REQUEST: TokenState.SERVER_ERROR,
    Kind.SERVER_ERROR: TokenState.SERVER_ERROR,
    Kind.LOCKED: TokenState.LOCKED,
    Kind.DISABLED: TokenState.DISABLED,
}


_NO_CONNECTION = frozenset({Kind.UNREACHABLE, Kind.TIMED_OUT, Kind.TLS, Kind.PAUSED})


def as_told(error: AbstractRequestException, access: str) -> AbstractRequestException:
    """Return the error as the token's owner may see it.

    Of a server that is not on the list, refused, filtered and closed are all "cannot be reached": nobody can feel his
    way through a network with our help. The client's own line in the log tells them apart.
    """
    if access == Access.PUBLIC and error.kind in _NO_CONNECTION:
        return UnreachableException()
    return error


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """What one check of a token found: a workspace, or the error that stood in the way."""

    state: TokenState
    duration_ms: int
    reference: str
    workspace: Workspace | None = None
    error: AbstractRequestException | None = None

    def fields(self) -> dict[str, Any]:
        """Return the columns of RapidProToken that this outcome sets; a failure leaves the workspace's facts alone."""
        now = timezone.now()
        retry_after_s = self.error.retry_after_s if self.error else None
        fields: dict[str, Any] = {
            "state": self.state,
            "checked_on": now,
            "changed_on": now,
            "check_duration_ms": self.duration_ms,
            "check_reference": self.reference,
            "check_status": self.error.status_code if self.error else 200,
            "retry_on": now + timedelta(seconds=retry_after_s) if retry_after_s else None,
        }
        if self.workspace is not None:
            fields |= {
                "workspace_uuid": self.workspace.uuid,
                "workspace_name": self.workspace.name[:255],
                "workspace_country": self.workspace.country[:64],
                "workspace_languages": list(self.workspace.languages),
                "workspace_time_zone": self.workspace.timezone[:64],
            }
        return fields

    def facts(self) -> dict[str, Any]:
        """Return what the audit log keeps of this outcome, as arguments of `record`."""
        return {
            "outcome": Outcome.REFUSED if self.state in REFUSED else Outcome.FAILED if self.error else Outcome.DONE,
            "reference": self.reference,
            "details": {"state": self.state.value, "status": self.error.status_code if self.error else 200},
        }


def outcome_of(error: AbstractRequestException, *, duration_ms: int = 0) -> CheckOutcome:
    """Return what an error tells about the token that met it."""
    return CheckOutcome(STATES[error.kind], duration_ms, reference(), error=error)


async def acheck_secret(secret: Secret, server: str, access: str = Access.LISTED) -> CheckOutcome:
    """Return what `server`, to which the person has that access, says of a token that is not saved yet."""
    await alet_go()
    return await acheck(RapidProInterface(secret.reveal(), server, private=access == Access.PRIVATE), access)


async def acheck_token(token: RapidProToken) -> CheckOutcome:
    """Return what its server says of a saved token; a locked or disabled one is never sent."""
    try:
        interface = RapidProInterface.for_token(token)
    except AbstractRequestException as caught:
        error = caught
    else:
        await anote_opening(token, Purpose.CHECK)
        return await acheck(interface, token.access)
    return outcome_of(error)


async def acheck(interface: RapidProInterface, access: str = Access.LISTED) -> CheckOutcome:
    """Return what the server says of the interface's token; never raises for what a server does."""
    started = time.monotonic()
    try:
        workspace = await interface.aget_workspace()
    except AbstractRequestException as caught:
        error = as_told(caught, access)
    else:
        return CheckOutcome(TokenState.WORKING, _since(started), reference(), workspace=workspace)
    return outcome_of(error, duration_ms=_since(started))


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
