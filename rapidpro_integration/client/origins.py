"""The address of a server: a canonical origin, or nothing."""

import re
from functools import lru_cache
from urllib.parse import urlsplit

_LOOPBACK = {"127.0.0.1", "localhost"}
_HOST = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*", re.ASCII)


class OriginError(ValueError):
    """A text is not the origin of a server that a token may be sent to."""


@lru_cache(maxsize=1024)
def canonical_origin(text: str) -> str:
    """Return `text` as an origin ("https://textit.com"): lower case, no default port, nothing behind the host.

    http is allowed for loopback only (the sandbox). Raises OriginError.
    """
    refusal = OriginError(f"{text[:100]!r} is not the address of a server: use https://host or https://host:port.")
    if not text.isascii() or not text.isprintable() or any(character in text for character in "\\%@?# "):
        raise refusal
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        parts, port = None, None
    if parts is None or parts.path not in {"", "/"} or not _HOST.fullmatch(parts.hostname or ""):
        raise refusal
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise refusal
    default = {"https": 443, "http": 80}[parts.scheme]
    return f"{parts.scheme}://{parts.hostname}" + (f":{port}" if port not in {None, default} else "")
