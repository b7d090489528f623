"""The vault: seals a token for one row, one owner and one server, and opens it for that same row only.

Cryptography only: no ORM, no HTTP. AES-256-GCM with a random nonce of 96 bits, from `cryptography`.
Stored text: `v1.<key id>.<base64url(nonce + ciphertext + tag)>`, unpadded.

    VaultError
    ├── KeyRingError    the keys in the settings cannot be used: the site must not start
    └── LockedError     this one row cannot be opened: `reason` says why

The keys themselves come from `rapidpro_integration.keys`, which states the protocol of a key provider.
Source: docs/adr/0001-token-storage.md, docs/adr/0007-key-rotation.md.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import NoReturn, Protocol, Self
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from rapidpro_integration import keys
from rapidpro_integration.keys import KEY_BYTES
from rapidpro_integration.keys import KeyRingError as KeyRingError
from rapidpro_integration.keys import VaultError as VaultError

_VERSION = "v1"
_NONCE_BYTES = 12
_MASK = "••••••••"


class LockReason(StrEnum):
    """Why a sealed token does not open."""

    MISSING_KEY = "missing_key"
    TAMPERED = "tampered"
    UNKNOWN_FORMAT = "unknown_format"


class LockedError(VaultError):
    """A sealed token does not open. Holds the reason and nothing of the token."""

    def __init__(self, reason: LockReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class Secret:
    """A plaintext that does not show itself: only `reveal()` gives it away."""

    __slots__ = ("__value",)
    __hash__ = None  # type: ignore[assignment]  # a secret is no dictionary key

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """Return the plaintext. Every call of this is a place to review."""
        return self.__value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.__value.encode(), other.reveal().encode())

    def __repr__(self) -> str:
        return f"Secret({_MASK})"

    def __str__(self) -> str:
        return _MASK

    def __format__(self, format_spec: str) -> str:
        return _MASK

    def _refuse(self) -> NoReturn:
        raise TypeError("A Secret is never copied, pickled or serialised.")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        self._refuse()

    def __copy__(self) -> NoReturn:
        self._refuse()

    def __deepcopy__(self, memo: object) -> NoReturn:
        self._refuse()


class SealedRow(Protocol):
    """What the vault reads of a row."""

    pk: UUID
    owner_id: int
    server: str
    sealed: str
    key_id: str


@dataclass(frozen=True, slots=True)
class Binding:
    """What a sealed token belongs to: it opens for exactly this row, owner and server."""

    row_id: UUID
    owner_id: int
    origin: str
    purpose: str = "rapidpro-token"

    def associated_data(self, key_id: str) -> bytes:
        """Return the bytes that AES-GCM authenticates: each part after its length, so that no two bindings agree."""
        parts = (self.purpose, key_id, str(self.row_id), str(self.owner_id), self.origin)
        encoded = (part.encode() for part in parts)
        return b"".join(len(part).to_bytes(4) + part for part in encoded)


# allauth hands over the secret of a second factor without saying whose it is: only its purpose can be bound.
_FACTOR = Binding(UUID(int=0), 0, "", purpose="second-factor")


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed token as it is stored, with the id of the key that opens it."""

    text: str
    key_id: str


class KeyRing:
    """The keys by id: the first one seals, every one opens."""

    __slots__ = ("_keys", "sealing_key_id")

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = dict(keys)
        self.sealing_key_id = next(iter(self._keys))

    @classmethod
    def parse(cls, text: str, *, setting: str = "TOKEN_KEYS", forbidden: str = "") -> Self:
        """Return the ring that `text` ("k2:<base64>,k1:<base64>") describes.

        `forbidden` is a text that no key may equal (SECRET_KEY). Raises KeyRingError.
        """
        return cls(keys.parse(text, setting=setting, forbidden=forbidden))

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The ids of all keys, the sealing one first."""
        return tuple(self._keys)

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(self._keys)})"

    def seal(self, secret: Secret, binding: Binding) -> Sealed:
        """Return `secret` sealed for `binding` with the first key."""
        key_id = self.sealing_key_id
        nonce = secrets.token_bytes(_NONCE_BYTES)
        ciphertext = AESGCM(self._keys[key_id]).encrypt(
            nonce, secret.reveal().encode(), binding.associated_data(key_id)
        )
        return Sealed(f"{_VERSION}.{key_id}.{_encode(nonce + ciphertext)}", key_id)

    def open(self, sealed: Sealed, binding: Binding) -> Secret:
        """Return the secret that was sealed for `binding`. Raises LockedError for anything else."""
        key_id, encoded = _split(sealed.text)
        if not encoded:
            raise LockedError(LockReason.UNKNOWN_FORMAT)
        if key_id != sealed.key_id:
            raise LockedError(LockReason.TAMPERED)
        if key_id not in self._keys:
            raise LockedError(LockReason.MISSING_KEY)
        blob = _decode(encoded)
        plaintext = None
        if blob is not None and len(blob) > _NONCE_BYTES:
            plaintext = _decrypt(self._keys[key_id], blob, binding.associated_data(key_id))
        if plaintext is None:
            raise LockedError(LockReason.TAMPERED)
        return Secret(plaintext.decode())

    def fingerprint(self, secret: Secret, *, owner_id: int, origin: str, key_id: str | None = None) -> str:
        """Return 64 hex digits that are equal only for the same token of the same owner on the same server.

        HMAC-SHA256 under a key derived for nothing else (HKDF), so that no tenant can tell what another holds.
        """
        derived = self.derived(key_id or self.sealing_key_id, b"rapidpro-console fingerprint v1")
        parts = (str(owner_id).encode(), origin.encode(), secret.reveal().encode())
        message = b"".join(len(part).to_bytes(4) + part for part in parts)
        return hmac.new(derived, message, hashlib.sha256).hexdigest()

    def fingerprints(self, secret: Secret, *, owner_id: int, origin: str) -> list[str]:
        """Return the fingerprint under every key: a row may still hold one of an older key."""
        return [self.fingerprint(secret, owner_id=owner_id, origin=origin, key_id=key_id) for key_id in self._keys]

    def check_value(self, key_id: str) -> str:
        """Return 64 hex digits that only this key gives and that tell nothing of it: to know a key again by."""
        return self.derived(key_id, b"rapidpro-console key canary v1").hex()

    def derived(self, key_id: str, purpose: bytes) -> bytes:
        """Return 32 bytes that only this key gives for this purpose (HKDF-SHA256)."""
        return HKDF(SHA256(), KEY_BYTES, salt=None, info=purpose).derive(self._keys[key_id])


def _split(text: str) -> tuple[str, str]:
    """Return the key id and the encoded blob of a sealed text; both are empty if it is none."""
    version, _, rest = text.partition(".")
    key_id, _, encoded = rest.partition(".")
    return (key_id, encoded) if version == _VERSION and encoded else ("", "")


def _decrypt(key: bytes, blob: bytes, associated_data: bytes) -> bytes | None:
    try:
        return AESGCM(key).decrypt(blob[:_NONCE_BYTES], blob[_NONCE_BYTES:], associated_data)
    except InvalidTag:
        return None


def _encode(blob: bytes) -> str:
    return base64.urlsafe_b64encode(blob).rstrip(b"=").decode()


def _decode(encoded: str) -> bytes | None:
    """Return the bytes, or None if `encoded` is not exactly what `_encode` would have written."""
    try:
        blob = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return blob if _encode(blob) == encoded else None


@lru_cache(maxsize=4)
def _ring(text: str, file: str, provider: str, forbidden: str) -> KeyRing:
    return KeyRing(keys.load(text=text, file=file, provider=provider, forbidden=forbidden))


def ring() -> KeyRing:
    """Return the ring that the settings describe, read once a process. Raises KeyRingError."""
    return _ring(settings.TOKEN_KEYS, settings.TOKEN_KEYS_FILE, settings.TOKEN_KEYS_PROVIDER, settings.SECRET_KEY)


def key_id_of(text: str) -> str:
    """Return the id of the key that a sealed text names, or nothing if it is no sealed text."""
    return _split(text)[0]


def seal_token(secret: Secret, *, row_id: UUID, owner_id: int, origin: str) -> Sealed:
    """Return `secret` sealed for one row with the site's sealing key."""
    return ring().seal(secret, Binding(row_id, owner_id, origin))


def open_token(row: SealedRow) -> Secret:
    """Return the plaintext of the token in `row`. Raises LockedError."""
    return ring().open(Sealed(row.sealed, row.key_id), Binding(row.pk, row.owner_id, row.server))


def seal_factor(secret: Secret) -> str:
    """Return the secret of a second factor sealed with the site's sealing key, bound to that purpose alone."""
    return ring().seal(secret, _FACTOR).text


def open_factor(text: str) -> Secret:
    """Return what `seal_factor` was given. Raises LockedError."""
    return ring().open(Sealed(text, key_id_of(text)), _FACTOR)


def lock_reason(row: SealedRow) -> LockReason | None:
    """Return why the token in `row` does not open, or None when it does; the plaintext goes no further."""
    try:
        open_token(row)
    except LockedError as error:
        return error.reason
    return None


def holds_the_same(row: SealedRow, other: SealedRow) -> bool:
    """Return whether both rows open, for the same owner and server, to the same token."""
    if (row.owner_id, row.server) != (other.owner_id, other.server):
        return False
    return lock_reason(row) is None and lock_reason(other) is None and open_token(row) == open_token(other)


def last_four(secret: Secret) -> str:
    """Return the last four characters of a token that is long enough to spare them (20 or more), else nothing."""
    text = secret.reveal()
    return text[-4:] if len(text) >= 20 else ""
