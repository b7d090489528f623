"""Durations as counts in buckets: they can be added up over hours and processes, and still tell a percentile."""

from bisect import bisect_left
from collections.abc import Sequence

#: Upper bounds in milliseconds, each inclusive; one more bucket takes what is longer.
BOUNDS_MS = (50, 100, 200, 300, 500, 750, 1_000, 1_500, 2_000, 3_000, 5_000, 8_000, 15_000)


def bucket_of(duration_ms: int) -> int:
    """Return the place of the bucket that counts a duration."""
    return bisect_left(BOUNDS_MS, duration_ms)


def percentile_ms(counts: Sequence[int], share: float) -> int | None:
    """Return the duration that `share` (0 to 1) of those counted stay within, in ms; None if there are none.

    As if durations were spread evenly inside a bucket. What lies beyond the last bound is told as that bound.
    """
    total = sum(counts)
    if not total:
        return None
    wanted, seen, lower = share * total, 0, 0
    for count, upper in zip(counts, BOUNDS_MS, strict=False):
        if count and seen + count >= wanted:
            return round(lower + (upper - lower) * max(wanted - seen, 0) / count)
        seen, lower = seen + count, upper
    return BOUNDS_MS[-1]
