"""What one operation may still spend: seconds of waiting for the server, and bytes of decoded answers."""

import time

OPERATION_DEADLINE_S = 30.0
MAX_OPERATION_BYTES = 64 * 1024 * 1024


class Budget:
    """A clock that runs only while at least one request is under way, and a count of bytes.

    So that the time a caller spends between two pages does not count, and requests side by side count once.
    """

    __slots__ = ("_left_s", "_since", "_under_way", "bytes_left")

    def __init__(self, seconds: float = OPERATION_DEADLINE_S, max_bytes: int = MAX_OPERATION_BYTES) -> None:
        self._left_s = seconds
        self._since = 0.0
        self._under_way = 0
        self.bytes_left = max_bytes

    @property
    def seconds_left(self) -> float:
        """The seconds that are left, at least 0."""
        left_s = self._left_s - (time.monotonic() - self._since if self._under_way else 0.0)
        return max(left_s, 0.0)

    def __enter__(self) -> None:
        if not self._under_way:
            self._since = time.monotonic()
        self._under_way += 1

    def __exit__(self, *_: object) -> None:
        self._under_way -= 1
        if not self._under_way:
            self._left_s -= time.monotonic() - self._since
