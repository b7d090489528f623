"""The sandbox over loopback HTTP, and what it was asked."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs

from rapidpro_integration.client import transport
from rapidpro_integration.interface import RapidProInterface
from rapidpro_integration.sandbox.app import Receive, Scope, Send, create_app
from rapidpro_integration.sandbox.serve import serving
from rapidpro_integration.sandbox.throttle import SCOPES
from rapidpro_integration.sandbox.tokens import TOKENS

NO_LIMIT = dict.fromkeys(SCOPES, "none")


class Served:
    """A sandbox that keeps the method, the path and the parameters of each request."""

    def __init__(self) -> None:
        self.app = create_app(rates=NO_LIMIT)
        self.origin = ""
        self.requests: list[tuple[str, str, dict[str, list[str]]]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Note the request and let the sandbox answer."""
        query = parse_qs(scope["query_string"].decode(), keep_blank_values=True)
        self.requests.append((scope["method"], scope["path"], query))
        await self.app(scope, receive, send)

    def interface(self, token: str = "national", **more: object) -> RapidProInterface:
        """Return the interface of one of the sandbox's tokens."""
        transport.forget()
        return RapidProInterface(TOKENS[token].secret, self.origin, **more)  # type: ignore[arg-type]


@contextmanager
def served() -> Iterator[Served]:
    """Serve a sandbox without throttle while the block lasts."""
    sandbox = Served()
    with serving(sandbox) as sandbox.origin:
        yield sandbox
