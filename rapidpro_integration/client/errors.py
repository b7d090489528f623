# The names are a contract with scripts (issue 2, section 5): exceptions end in the fact.
"""What can go wrong on the way to RapidPro and back, and what an answer means.

    AbstractRequestException
    ├── RequestFailureException         the request did not get what it asked for
    │   ├── TokenRejectedException      rejected      the server does not know the token
    │   ├── NotAllowedException         not_allowed   the token is known, its user may not do this
    │   ├── RateLimitedException        rate_limited  the workspace has used up its requests
    │   ├── BadRequestException         bad_request   the server did not understand the request
    │   ├── NotFoundException           not_found     RapidPro is there, the thing is not
    │   ├── ServerErrorException        server_error  the server, or a proxy before it, broke
    │   ├── RedirectedException         redirected    the server points elsewhere; the token does not follow
    │   ├── UnreachableException        unreachable   no connection, or it closed without an answer
    │   ├── TimedOutException           timed_out     no answer, or no whole one, in time
    │   ├── TlsFailedException          tls           the server could not prove who it is
    │   ├── PausedException             paused        the server has failed in a row; it is left alone for a moment
    │   ├── BusyException               busy          too many requests are under way here; nothing was sent
    │   ├── TokenLockedException        locked        the vault cannot open the saved token
    │   └── TokenDisabledException      disabled      staff have disabled the saved token
    ├── ResponseParsingException        an answer came and cannot be used
    │   ├── NotRapidProException        not_rapidpro  a web page, or JSON of some other service
    │   ├── MalformedException          malformed     undecodable, broken off, or not as RapidPro's API says
    │   └── TooLargeException           too_large     more bytes than any page of RapidPro's should have
    └── TokenValidationException        a token could not be validated; `kind` and the rest say why

Each is made of plain facts and of text of our own; a server's words are shortened, stripped of control characters,
and left out if they quote the token.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Self

from rapidpro_integration.client.credentials import Credential
from rapidpro_integration.client.retry_after import seconds_to_wait

MAX_QUOTED = 200
_MAX_ERROR_BODY = 64 * 1024
_REDIRECTS = {301, 302, 303, 307, 308}
_REFUSALS = ("invalid token", "authentication credentials were not provided")


class Kind(StrEnum):
    """The fact behind an exception, as other code decides by it."""

    REJECTED = "rejected"
    NOT_ALLOWED = "not_allowed"
    RATE_LIMITED = "rate_limited"
    BAD_REQUEST = "bad_request"
    NOT_FOUND = "not_found"
    SERVER_ERROR = "server_error"
    REDIRECTED = "redirected"
    UNREACHABLE = "unreachable"
    TIMED_OUT = "timed_out"
    TLS = "tls"
    PAUSED = "paused"
    BUSY = "busy"
    LOCKED = "locked"
    DISABLED = "disabled"
    NOT_RAPIDPRO = "not_rapidpro"
    MALFORMED = "malformed"
    TOO_LARGE = "too_large"


class AbstractRequestException(Exception):
    """Something went wrong between us and RapidPro. Raised only as one of its leaves.

    `message` is for a log or a script, `status_code` the HTTP status (None if there was no answer), `retry_after_s` the
    seconds that the server asks to wait (None if it names none), `kind` the fact.
    """

    kind: Kind
    default_message: ClassVar[str] = ""

    def __init__(
        self,
        message: str = "",
        *,
        status_code: int | None = None,
        retry_after_s: int | None = None,
        kind: Kind | None = None,
    ) -> None:
        self.message = message or self.default_message
        self.status_code = status_code
        self.retry_after_s = retry_after_s
        if kind is not None:
            self.kind = kind
        elif not hasattr(self, "kind"):
            raise TypeError(f"{type(self).__name__} has no kind of its own: raise one of its leaves, or name one.")
        super().__init__(self.message)

    def anew(self) -> Self:
        """Return an exception with the same facts, and no traceback."""
        return type(self)(self.message, status_code=self.status_code, retry_after_s=self.retry_after_s, kind=self.kind)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuilt, (type(self), self.message, self.status_code, self.retry_after_s, self.kind)


def _rebuilt(
    cls: type[AbstractRequestException], message: str, status_code: int | None, retry_after_s: int | None, kind: Kind
) -> AbstractRequestException:
    return cls(message, status_code=status_code, retry_after_s=retry_after_s, kind=kind)


class RequestFailureException(AbstractRequestException):
    """The request did not get what it asked for."""


class TokenRejectedException(RequestFailureException):
    """The server does not know the token, or there was none to send."""

    kind = Kind.REJECTED
    default_message = "The server does not know this token."


class NotAllowedException(RequestFailureException):
    """The token is known, but its user may not do this; a server that wants https answers the same to plain http."""

    kind = Kind.NOT_ALLOWED
    default_message = "The token is known, but its user may not do this (or the server wants https)."


class RateLimitedException(RequestFailureException):
    """The workspace has used up its requests; `retry_after_s` says how long."""

    kind = Kind.RATE_LIMITED
    default_message = "The workspace has used up its requests for now."


class BadRequestException(RequestFailureException):
    """The server did not understand the request."""

    kind = Kind.BAD_REQUEST
    default_message = "The server did not understand the request."


class NotFoundException(RequestFailureException):
    """RapidPro answered, and does not have what was asked for."""

    kind = Kind.NOT_FOUND
    default_message = "The server does not have what was asked for."


class ServerErrorException(RequestFailureException):
    """The server, or a proxy before it, failed."""

    kind = Kind.SERVER_ERROR
    default_message = "The server failed on this request."


class RedirectedException(RequestFailureException):
    """The server points to another address; a token is never sent on."""

    kind = Kind.REDIRECTED
    default_message = "The server points to another address, and a token is never sent on."


class UnreachableException(RequestFailureException):
    """No connection to the server, or it closed without an answer."""

    kind = Kind.UNREACHABLE
    default_message = "The server cannot be reached."


class TimedOutException(RequestFailureException):
    """No answer, or no whole one, within the time limits."""

    kind = Kind.TIMED_OUT
    default_message = "The server took too long to answer."


class TlsFailedException(RequestFailureException):
    """The server could not prove who it is; the token was not sent."""

    kind = Kind.TLS
    default_message = "The server could not prove who it is, so the token was not sent."


class PausedException(RequestFailureException):
    """The server has just failed several times in a row, so nothing was sent; `retry_after_s` says for how long."""

    kind = Kind.PAUSED
    default_message = "The server has just failed several times in a row, so it is left alone for a moment."


class BusyException(RequestFailureException):
    """Too many requests of this tenant, to this server or of this process are under way; nothing was sent."""

    kind = Kind.BUSY
    default_message = "Too many requests are under way."


class TokenLockedException(RequestFailureException):
    """The vault cannot open the saved token; nothing was sent."""

    kind = Kind.LOCKED
    default_message = "The saved token cannot be opened, so nothing was sent."


class TokenDisabledException(RequestFailureException):
    """Staff have disabled the saved token; nothing was sent."""

    kind = Kind.DISABLED
    default_message = "The saved token is disabled, so nothing was sent."


class ResponseParsingException(AbstractRequestException):
    """An answer came and cannot be used."""


class NotRapidProException(ResponseParsingException):
    """What answered is no RapidPro API: a web page, or JSON of another service."""

    kind = Kind.NOT_RAPIDPRO
    default_message = "The answer is not one of a RapidPro API."


class MalformedException(ResponseParsingException):
    """The answer is undecodable, broken off, or not as RapidPro's API says."""

    kind = Kind.MALFORMED
    default_message = "The server's answer cannot be read."


class TooLargeException(ResponseParsingException):
    """The answer, decoded, has more bytes than the cap; reading stopped there."""

    kind = Kind.TOO_LARGE
    default_message = "The server's answer is too large; reading stopped."


class TokenValidationException(AbstractRequestException):
    """A token could be found neither valid nor invalid; the facts are those of what stood in the way."""

    default_message = "The token could not be validated."

    @classmethod
    def of(cls, error: AbstractRequestException) -> Self:
        """Return the exception that carries the facts of `error`, and nothing else of it."""
        return cls(error.message, status_code=error.status_code, retry_after_s=error.retry_after_s, kind=error.kind)


def error_for_response(
    status: int,
    headers: Mapping[str, str],
    body: bytes = b"",
    *,
    credential: Credential | None = None,
    now: datetime | None = None,
) -> AbstractRequestException | None:
    """Return the error that an answer means, or None for a success (any 2xx). Pure: no network, no clock if `now`.

    A 403 is the credential's where its `detail` says so, the role's where there is another `detail`, and without any
    it is not RapidPro's. A 404 is RapidPro's only with a `detail`: an unknown path gets a page of HTML.
    Source: ../shared/rapidpro-api.md, sections 1, 2, 5 and 7.
    """
    if 200 <= status < 300:
        return None
    lower = {name.lower(): value for name, value in headers.items()}
    detail = _detail(body)
    error = _error_class(status, detail)
    return error(
        _message(error.default_message, status, _quoted(detail, credential)),
        status_code=status,
        retry_after_s=seconds_to_wait(lower.get("retry-after"), now=now),
    )


def _error_class(status: int, detail: str | None) -> type[AbstractRequestException]:
    if status in _REDIRECTS:
        return RedirectedException
    if status == 401:
        return TokenRejectedException
    if status == 403 and detail is not None:
        return TokenRejectedException if detail.strip().lower().startswith(_REFUSALS) else NotAllowedException
    if status == 404 and detail is not None:
        return NotFoundException
    if status in {403, 404}:
        return NotRapidProException
    if status == 408:
        return TimedOutException
    if status == 429:
        return RateLimitedException
    if 400 <= status < 500:
        return BadRequestException
    return ServerErrorException if 500 <= status < 600 else NotRapidProException


def _detail(body: bytes) -> str | None:
    """Return the `detail` of an error body in RapidPro's form, or None where there is none."""
    if len(body) > _MAX_ERROR_BODY:
        return None
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        return None
    detail = payload.get("detail") if isinstance(payload, dict) else None
    return detail if isinstance(detail, str) else None


def _quoted(detail: str | None, credential: Credential | None) -> str:
    """Return a server's words fit for a log: one line, short, and nothing at all if they quote the token."""
    printable = "".join(character if character.isprintable() else " " for character in detail or "")
    words = " ".join(printable.split())
    if credential is not None and credential.shows_in(detail or ""):
        return "(left out: it quotes the token)"
    return words if len(words) <= MAX_QUOTED else words[: MAX_QUOTED - 1] + "…"


def _message(own: str, status: int, quoted: str) -> str:
    return f"{own} HTTP status {status}." + (f" The server said: {quoted}" if quoted else "")
