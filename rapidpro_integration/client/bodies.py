"""An answer's body, decoded, with a cap that acts while it is decoded."""

import zlib
from collections.abc import Iterator

from rapidpro_integration.client.wire import Opened

_READABLE = {"", "identity", "gzip", "x-gzip"}
_STEP_BYTES = 64 * 1024


class BodyError(Exception):
    """The body cannot be taken."""


class BodyTooLarge(BodyError):
    """It has more bytes than the cap."""


class BodyUndecodable(BodyError):
    """It is in another encoding than gzip, in several, or damaged."""


async def read(answer: Opened, max_bytes: int) -> bytes:
    """Return the decoded body, at most `max_bytes`: a small body that unpacks to gigabytes never does.

    Raises BodyError. Source: an 824-byte doubly gzipped body made httpx 0.28.1 hand over 419 MB at once.
    """
    encoding = answer.header("content-encoding").strip().lower()
    if encoding not in _READABLE:
        raise BodyUndecodable
    gzip = zlib.decompressobj(16 + zlib.MAX_WBITS) if encoding.endswith("gzip") else None
    pieces, size, received = list[bytes](), 0, 0
    while chunk := await answer.chunk():
        received += len(chunk)
        for piece in (chunk,) if gzip is None else _unpacked(gzip, chunk):
            pieces.append(piece)
            size += len(piece)
            if size > max_bytes:
                raise BodyTooLarge
        if received > max_bytes:
            raise BodyTooLarge
    if gzip is not None and received and not gzip.eof:
        raise BodyUndecodable
    # A body that came in one piece is not copied.
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _unpacked(gzip: "zlib._Decompress", chunk: bytes) -> Iterator[bytes]:
    """Iterate over what `chunk` unpacks to, _STEP_BYTES at most a time. Anything behind the end is not taken."""
    left = chunk
    while left and not gzip.eof:
        try:
            unpacked = gzip.decompress(left, _STEP_BYTES)
        except zlib.error:
            unpacked = None
        if unpacked is None:
            raise BodyUndecodable
        yield unpacked
        left = gzip.unconsumed_tail
    if left or gzip.unused_data:
        raise BodyUndecodable
