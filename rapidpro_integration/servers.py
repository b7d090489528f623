"""The RapidPro servers that a token may be sent to, as the settings name them, and what one person may reach.

Rows of `Server` decide; an origin that a setting names and no row knows is open to all, so that a new one works after
a restart. Nothing here asks the database: `selectors` does. Source: docs/adr/0009-exit.md.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from django.conf import settings

from rapidpro_integration.client.origins import OriginError, canonical_origin, parse_origin


class Access(StrEnum):
    """How far one person's tokens may go to one server."""

    CLOSED = "closed"
    # Not on the list, but RAPIDPRO_ANY_PUBLIC_SERVER is on: the person learns nothing of why it cannot be reached.
    PUBLIC = "public"
    LISTED = "listed"
    # On the list, and its name may lead to a private network.
    PRIVATE = "private"


@dataclass(frozen=True, slots=True)
class OpenServer:
    """A server that one person's tokens may be sent to."""

    origin: str
    name: str
    access: Access

    @property
    def title(self) -> str:
        """What a person chooses by: the host, after its name where it has another one."""
        return host(self.origin) if self.name == host(self.origin) else f"{self.name} ({host(self.origin)})"


@dataclass(frozen=True, slots=True)
class Reach:
    """The servers on one person's list. `closed` never leaves the process: other people's servers are among them."""

    servers: tuple[OpenServer, ...]
    closed: frozenset[str]
    any_public: bool

    def find(self, origin: str) -> OpenServer | None:
        """Return the server if the person's tokens may be sent to it; `origin` is canonical."""
        listed = next((server for server in self.servers if server.origin == origin), None)
        if listed is None and self.any_public and origin not in self.closed and parse_origin(origin).is_ordinary:
            return OpenServer(origin, host(origin), Access.PUBLIC)
        return listed


@lru_cache(maxsize=16)
def _canonical(setting: str, origins: tuple[str, ...], sandbox: str) -> tuple[str, ...]:
    found, problem = [], ""
    for number, text in enumerate(origins, 1):
        try:
            origin = canonical_origin(text, named=True)
        except OriginError as error:
            problem = f"{setting}, entry {number}: {error}"
            break
        if origin.startswith("http://") and origin != sandbox:
            problem = f"{setting}, entry {number}: http is for the sandbox of the local demo alone."
            break
        found.append(origin)
    if problem:
        raise OriginError(problem)
    return tuple(dict.fromkeys(found))


def named() -> tuple[str, ...]:
    """Return the canonical origins of RAPIDPRO_SERVERS, in their order. Raises OriginError."""
    return _canonical("RAPIDPRO_SERVERS", tuple(settings.RAPIDPRO_SERVERS), settings.SANDBOX_ORIGIN)


def private_origins() -> tuple[str, ...]:
    """Return the origins whose names may lead to private networks, the sandbox among them. Raises OriginError."""
    origins: Iterable[str] = [*settings.RAPIDPRO_PRIVATE_ORIGINS, *filter(None, [settings.SANDBOX_ORIGIN])]
    return _canonical("RAPIDPRO_PRIVATE_ORIGINS", tuple(origins), settings.SANDBOX_ORIGIN)


def acceptable(text: str) -> str:
    """Return the canonical origin of a server that somebody asks for or approves.

    An IP literal, a name without a dot and http need a setting that names them. Raises OriginError.
    """
    origin = parse_origin(text)
    if str(origin) in {*named(), *private_origins()}:
        return str(origin)
    if origin.scheme != "https" or origin.address is not None or "." not in origin.host:
        raise OriginError("This is not the address of a server that can be asked for: use https://host.")
    return str(origin)


def host(origin: str) -> str:
    """Return what a person calls the server: the origin without its scheme."""
    return origin.partition("://")[2]
