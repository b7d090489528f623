"""The tokens that the sandbox knows, the same at each start.

They are computed, so that no secret-looking text lies in the source, and worth nothing: they open invented data only.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

type Role = Literal["administrator", "editor", "agent", "none"]
type State = Literal["working", "revoked"]


@dataclass(frozen=True, slots=True)
class SandboxToken:
    """One token: `workspace` is the slug of its workspace, `role` what its user may do there."""

    name: str
    secret: str
    workspace: str
    role: Role
    state: State
    note: str

    @property
    def email(self) -> str:
        """The address of the token's user, for Basic authentication."""
        return f"{self.name}@sandbox.example"


def _token(name: str, workspace: str, role: Role, state: State, note: str) -> SandboxToken:
    sentence = f"The sandbox of RapidPro Console opens invented data to the token called {name}."
    secret = hashlib.sha1(sentence.encode(), usedforsecurity=False).hexdigest()
    return SandboxToken(name, secret, workspace, role, state, note)


def _by_name(tokens: Iterable[SandboxToken]) -> Mapping[str, SandboxToken]:
    return MappingProxyType({token.name: token for token in tokens})


TOKENS: Mapping[str, SandboxToken] = _by_name(
    [
        _token("clinics", "clinics", "administrator", "working", "12 flows, Arabic and English"),
        _token(
            "districts", "districts", "administrator", "working", "251 flows, French and Wolof: a second page of one"
        ),
        _token("national", "national", "administrator", "working", "2,600 flows in many scripts"),
        _token("editor", "national", "editor", "working", "the 2,600 flows for an editor"),
        _token("spare", "clinics", "editor", "working", "a second working token of the 12 flows"),
        _token("gallery", "gallery", "administrator", "working", "17 flows with every kind of node, for pictures"),
        _token("empty", "empty", "administrator", "working", "a new workspace without flows"),
        _token("limited", "limited", "administrator", "working", "5 requests a minute, then 429"),
        _token("broken", "broken", "administrator", "working", "its list of flows is a 500"),
        _token("agent", "national", "agent", "working", "an agent: 403, no permission"),
        _token("removed", "national", "none", "working", "its user left the workspace: 403, no permission"),
        _token("revoked", "national", "administrator", "revoked", "unknown to the server: 403, Invalid token"),
    ]
)

_BY_SECRET = {token.secret: token for token in TOKENS.values() if token.state == "working"}


def find_token(secret: str) -> SandboxToken | None:
    """Return the working token with this secret; case matters, as in RapidPro."""
    return _BY_SECRET.get(secret)
