"""The chain that makes a quiet change show: each entry is signed together with the signature of the one before it.

Cryptography only: no ORM, no HTTP. HMAC-SHA256 under keys that HKDF derives from AUDIT_KEY, which the database does
not hold. Source: docs/adr/0008-audit-log.md.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from uuid import UUID

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

# What the first entry of all has in place of an earlier signature.
GENESIS = "0" * 64

type Fact = str | int | bool | list[str] | list[int] | None
type Field = str | int | datetime | UUID | Mapping[str, Fact] | None


def _derive(key: str, purpose: str, length: int = 32) -> bytes:
    return HKDF(SHA256(), length, salt=None, info=f"rapidpro-console audit {purpose} v1".encode()).derive(key.encode())


@dataclass(frozen=True, slots=True)
class AuditKey:
    """One key: it signs entries, and the log's newest place, each with a key derived for nothing else."""

    id: str
    entries: bytes
    head: bytes

    @classmethod
    def of(cls, text: str) -> "AuditKey":
        """Return the key that a setting's text gives. Its id tells keys apart and nothing of the key."""
        return cls(_derive(text, "key id", 4).hex(), _derive(text, "entries"), _derive(text, "head"))

    def __repr__(self) -> str:
        return f"AuditKey({self.id})"

    def sign_entry(self, previous: str, fields: Iterable[Field]) -> str:
        """Return the signature of an entry, 64 hex digits, over the one before it and all its fields."""
        return hmac.new(self.entries, encode([previous, self.id, *fields]), hashlib.sha256).hexdigest()

    def sign_head(self, number: int, mac: str) -> str:
        """Return the signature of the log's newest place, so that cutting off its end shows too."""
        return hmac.new(self.head, encode([self.id, number, mac]), hashlib.sha256).hexdigest()


@lru_cache(maxsize=4)
def _keys(texts: tuple[str, ...]) -> dict[str, AuditKey]:
    return {key.id: key for key in map(AuditKey.of, texts)}


def keys() -> dict[str, AuditKey]:
    """Return the keys by id: the first signs, all verify.

    AUDIT_KEY, then its fallbacks, then SECRET_KEY and its own: a log begun without AUDIT_KEY stays whole when one is
    set later.
    """
    texts = [
        settings.AUDIT_KEY,
        *settings.AUDIT_KEY_FALLBACKS,
        settings.SECRET_KEY,
        *settings.SECRET_KEY_FALLBACKS,
    ]
    return _keys(tuple(filter(None, texts)))


def signing_key() -> AuditKey:
    """Return the key that signs new entries."""
    return next(iter(keys().values()))


def encode(fields: Iterable[Field]) -> bytes:
    """Return the one text of these fields: each after its kind and length, so that no two lists of fields agree."""
    return b"".join(_encode_one(field) for field in fields)


def _encode_one(field: Field) -> bytes:
    if field is None:
        return b"-"
    if isinstance(field, datetime):
        text = field.astimezone(UTC).isoformat(timespec="microseconds")
    elif isinstance(field, Mapping):
        text = json.dumps(field, sort_keys=True, separators=(",", ":"))
    else:
        text = str(field)
    encoded = text.encode()
    return b"+" + len(encoded).to_bytes(4) + encoded
