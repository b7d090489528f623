"""Where the vault's keys come from: a setting, a file, or a provider that asks a key service.

Each is read once a process: a server learns of a new key when it is restarted (docs/operations.md, Keys).
"""

import base64
import binascii
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from django.utils.module_loading import import_string

KEY_BYTES = 32
_KEY_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}", re.ASCII)


class VaultError(Exception):
    """The vault cannot do what it was asked."""


class KeyRingError(VaultError):
    """The keys in the settings cannot be used. The message names the setting, never a key."""


class KeyProvider(Protocol):
    """What TOKEN_KEYS_PROVIDER names by its dotted path: a function, or a class made without arguments.

    Called once when a process starts. Whatever it raises stops the start; the class of the exception is told, its
    text is not.
    """

    def __call__(self) -> Mapping[str, bytes]:
        """Return the keys, each of 32 random bytes, by key id: the first seals, all open."""
        ...


def load(*, text: str, file: str, provider: str, forbidden: str) -> dict[str, bytes]:
    """Return the keys of the site: the provider's, else those of the file, else those in the text.

    `forbidden` is a text that no key may equal (SECRET_KEY). Raises KeyRingError.
    """
    if provider:
        return _from_provider(provider, forbidden)
    if file:
        return parse(_read(file), setting="TOKEN_KEYS_FILE", forbidden=forbidden)
    return parse(text, setting="TOKEN_KEYS", forbidden=forbidden)


def parse(text: str, *, setting: str, forbidden: str = "") -> dict[str, bytes]:
    """Return the keys that `text` ("k2:<base64>,k1:<base64>", or one a line) describes. Raises KeyRingError."""
    keys: dict[str, bytes] = {}
    for position, entry in enumerate(filter(None, (part.strip() for part in re.split(r"[,\n]", text))), start=1):
        key_id, colon, encoded = entry.partition(":")
        key_id, encoded = key_id.strip(), encoded.strip()
        if not colon or not _KEY_ID.fullmatch(key_id):
            raise KeyRingError(f"{setting}: entry {position} is not of the form <key id>:<base64 of 32 bytes>.")
        if key_id in keys:
            raise KeyRingError(f"{setting}: the key id {key_id!r} stands there twice.")
        key = _decode(encoded)
        if key is None:
            raise KeyRingError(f"{setting}: the key {key_id!r} is not valid base64.")
        _refuse_unfit(key_id, key, keys, setting, forbidden)
        keys[key_id] = key
    if not keys:
        raise KeyRingError(f"{setting} is missing: no token can be sealed without a key. See .env.example.")
    return keys


def _from_provider(path: str, forbidden: str) -> dict[str, bytes]:
    setting = "TOKEN_KEYS_PROVIDER"
    problem, given = "", {}
    try:
        provider = import_string(path)
        given = dict((provider() if isinstance(provider, type) else provider)())
    except Exception as error:  # noqa: BLE001  # told below, without its text and chain: a key could stand there
        problem = type(error).__name__
    if problem:
        raise KeyRingError(f"{setting}: {path!r} gave no keys ({problem}).")
    keys: dict[str, bytes] = {}
    for key_id, key in given.items():
        if not isinstance(key_id, str) or not _KEY_ID.fullmatch(key_id) or not isinstance(key, bytes):
            raise KeyRingError(f"{setting}: {path!r} must return key ids with 32 bytes each.")
        _refuse_unfit(key_id, key, keys, setting, forbidden)
        keys[key_id] = key
    if not keys:
        raise KeyRingError(f"{setting}: {path!r} returned no key.")
    return keys


def _refuse_unfit(key_id: str, key: bytes, others: Mapping[str, bytes], setting: str, forbidden: str) -> None:
    if len(key) != KEY_BYTES:
        raise KeyRingError(f"{setting}: the key {key_id!r} has {len(key)} bytes; it must have {KEY_BYTES}.")
    if forbidden and forbidden.encode() in {key, base64.b64encode(key), base64.urlsafe_b64encode(key)}:
        raise KeyRingError(f"{setting}: the key {key_id!r} equals SECRET_KEY; it must be a key of its own.")
    if len(set(key)) < 8 or key in others.values():
        raise KeyRingError(f"{setting}: the key {key_id!r} is not random or stands there under another id.")


def _read(file: str) -> str:
    try:
        return Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        reason = f"TOKEN_KEYS_FILE: the file {file!r} cannot be read."
    raise KeyRingError(reason)


def _decode(encoded: str) -> bytes | None:
    try:
        return base64.b64decode(encoded, altchars=b"-_" if set("-_") & set(encoded) else None, validate=True)
    except (binascii.Error, ValueError):
        return None
