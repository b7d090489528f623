"""Who is asking: what RapidPro reads out of an Authorization header."""

import base64
from collections.abc import Mapping

from rapidpro_integration.sandbox.errors import NotAuthenticated
from rapidpro_integration.sandbox.tokens import SandboxToken, find_token


def authenticate(headers: Mapping[str, bytes]) -> SandboxToken | None:
    """Return the token that was sent; None is anonymous, which a header of any unknown scheme is too.

    Raises: NotAuthenticated if a token is malformed or unknown.
    """
    words = headers.get("authorization", b"").split()
    scheme = words[0].lower() if words else b""
    if scheme == b"token":
        return _by_token(words[1:])
    if scheme == b"basic":
        return _by_address(words[1:])
    return None


def _by_token(words: list[bytes]) -> SandboxToken:
    if not words:
        raise NotAuthenticated("Invalid token header. No credentials provided.")
    if len(words) > 1:
        raise NotAuthenticated("Invalid token header. Token string should not contain spaces.")
    try:
        secret = words[0].decode()
    except UnicodeDecodeError:
        raise NotAuthenticated("Invalid token header. Token string should not contain invalid characters.") from None
    token = find_token(secret)
    if token is None:
        raise NotAuthenticated("Invalid token")
    return token


def _by_address(words: list[bytes]) -> SandboxToken:
    try:
        email, _, secret = base64.b64decode(b"".join(words), validate=True).decode().partition(":")
    except ValueError:
        raise NotAuthenticated("Invalid basic header. Credentials not correctly base64 encoded.") from None
    token = find_token(secret)
    if token is None or token.email != email.lower():
        raise NotAuthenticated("Invalid token or email")
    return token
