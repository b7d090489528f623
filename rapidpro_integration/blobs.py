"""What the vault seals besides tokens: larger things of a token's that leave the process for a cache.

AES-256-GCM under a key that HKDF derives from the ring for this purpose alone, bound like the token itself to its row,
its owner and its server. A blob is `b1.<key id>.` and then the nonce, the ciphertext and the tag.
"""

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from rapidpro_integration import vault
from rapidpro_integration.vault import Binding, SealedRow

_VERSION = b"b1"
_NONCE_BYTES = 12
_INFO = b"rapidpro-console kept list v1"


def _binding(row: SealedRow, stamp: str) -> Binding:
    return Binding(row.pk, row.owner_id, row.server, purpose=f"kept-list {stamp}")


def seal(data: bytes, row: SealedRow, stamp: str) -> bytes:
    """Return `data` sealed for the token in `row` and for `stamp`, with the ring's first key."""
    ring = vault.ring()
    key_id, nonce = ring.sealing_key_id, secrets.token_bytes(_NONCE_BYTES)
    cipher = AESGCM(ring.derived(key_id, _INFO))
    sealed = cipher.encrypt(nonce, data, _binding(row, stamp).associated_data(key_id))
    return b".".join((_VERSION, key_id.encode(), nonce + sealed))


def opened(blob: bytes, row: SealedRow, stamp: str) -> bytes | None:
    """Return what was sealed for this very token and stamp; None for anything else, or without its key."""
    version, _, rest = blob.partition(b".")
    name, _, sealed = rest.partition(b".")
    key_id, ring = name.decode("ascii", "replace"), vault.ring()
    if version != _VERSION or key_id not in ring.key_ids or len(sealed) <= _NONCE_BYTES:
        return None
    cipher = AESGCM(ring.derived(key_id, _INFO))
    try:
        return cipher.decrypt(
            sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _binding(row, stamp).associated_data(key_id)
        )
    except InvalidTag:
        return None
