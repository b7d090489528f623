"""A place for somebody who counts what requests meet: the site puts its recorder there, a script puts nothing.

Called once for each request that went out, in the event loop: it may neither raise nor take long.
"""

from collections.abc import Callable
from typing import Protocol

from rapidpro_integration.client.errors import Kind, error_for_response

#: Who takes note of a certificate: the server (its origin), and when it ends, in seconds since 1970. Called once a
#: connection, in the event loop.
type CertificateObserver = Callable[[str, int], None]

#: How a request ended that was answered well, and one whose caller left or had hardly any time.
OK = "ok"
ABANDONED = "abandoned"


class Observer(Protocol):
    """Takes note of one request: server (its origin), workspace and caller (empty where unknown), and how it ended.

    `outcome` is OK, ABANDONED or a Kind; `status` is None where no answer came.
    """

    def __call__(
        self, server: str, workspace: str, caller: str, outcome: str, status: int | None, duration_ms: int, /
    ) -> None:
        """Take note."""


def unobserved(server: str, workspace: str, caller: str, outcome: str, status: int | None, duration_ms: int, /) -> None:
    """Take no note: nobody counts."""


def no_certificate(server: str, ends_at: int, /) -> None:
    """Take no note."""


def outcome_of(status: int, body: bytes) -> str:
    """Return how a request ended that was answered. A success without JSON in it is not RapidPro's."""
    if 200 <= status < 300:
        return OK if body.lstrip()[:1] in (b"{", b"[") else Kind.NOT_RAPIDPRO
    error = error_for_response(status, {}, body)
    return OK if error is None else error.kind
