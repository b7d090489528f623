"""AES-256-GCM for the tokens of the baselines: nonce, ciphertext and tag, bound to the id of the row."""

import os
import secrets
from functools import cache

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12


@cache
def _cipher() -> AESGCM:
    return AESGCM(bytes.fromhex(os.environ["BASELINE_KEY"]))


def seal(secret: str, row_id: str) -> bytes:
    """Return the token as it is stored."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + _cipher().encrypt(nonce, secret.encode(), row_id.encode())


def opened(sealed: bytes, row_id: str) -> str:
    """Return the token. Raises InvalidTag."""
    return _cipher().decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], row_id.encode()).decode()
