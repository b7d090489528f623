"""The token on its way to the server."""

import secrets
from hashlib import blake2b
from typing import NoReturn

_MASK = "••••••••"
# A token is 40 characters; a piece this long of one is already too much to show to anybody.
_TELLTALE = 8
# Of this process, so that a mark means nothing anywhere else.
_SALT = secrets.token_bytes(16)


class Credential:
    """An API token that does not show itself: only `authorization()` gives it away, to the transport.

    The token's ends are stripped; an empty one is a credential too, that no server accepts. Raises ValueError, without
    the text, for control characters, blanks inside, or anything outside ASCII: no header can carry those.
    """

    __slots__ = ("__mark", "__value")

    def __init__(self, token: str) -> None:
        if not isinstance(token, str):
            raise ValueError("A RapidPro token is a text.")  # noqa: TRY004  # callers are promised a ValueError
        stripped = token.strip(" \t\r\n")
        if not stripped.isascii() or not stripped.isprintable() or " " in stripped:
            raise ValueError("A RapidPro token has no blanks, control characters or letters outside ASCII.")
        self.__value = stripped
        self.__mark = blake2b(stripped.encode(), digest_size=12, key=_SALT).hexdigest()

    def __bool__(self) -> bool:
        return bool(self.__value)

    def authorization(self) -> str:
        """Return the value of the Authorization header. Every call of this is a place to review."""
        return f"Token {self.__value}"

    def mark(self) -> str:
        """Return what tells this token from others in this process, and nothing of it to anybody."""
        return self.__mark

    def shows_in(self, text: str) -> bool:
        """Say whether `text` holds the token or a telling piece of it, in either case and whatever stands between."""
        if not self.__value:
            return False
        token, haystack = _squeezed(self.__value), _squeezed(text)
        pieces = range(max(1, len(token) - _TELLTALE + 1)) if token else ()
        return self.__value in text or any(token[start : start + _TELLTALE] in haystack for start in pieces)

    def _refuse(self) -> NoReturn:
        raise TypeError("A Credential is never copied, pickled or serialised.")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        self._refuse()

    def __copy__(self) -> NoReturn:
        self._refuse()

    def __deepcopy__(self, memo: object) -> NoReturn:
        self._refuse()

    def __repr__(self) -> str:
        return f"Credential({_MASK})"

    def __format__(self, format_spec: str) -> str:
        return _MASK


def _squeezed(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())
