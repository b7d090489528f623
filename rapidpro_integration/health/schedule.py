"""When a token is checked next: pure functions of what its last check found. Times are aware datetimes.

A working token comes again after the interval. After a failure it comes soon, then after twice as long each time, so
that a server that is down for days is asked once a day. A refusal is definite, and asked about less often.
The spread is made of the token's id and the time, so that tokens that were saved together do not stay together.
"""

import hashlib
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings

from rapidpro_integration.states import REFUSED, UNTOLD, TokenState

LONGEST = timedelta(hours=24)
_SPREAD = 0.1


def interval() -> timedelta:
    """Return how often a working token is checked: TOKEN_CHECK_EVERY_S."""
    return timedelta(seconds=settings.TOKEN_CHECK_EVERY_S)


def first_retry(state: TokenState) -> timedelta:
    """Return how soon a token is checked again after its first failure: TOKEN_CHECK_RETRY_S, longer for a refusal."""
    return timedelta(seconds=settings.TOKEN_CHECK_RETRY_S) * (12 if state in REFUSED else 1)


def spread(token_id: UUID, now: datetime) -> float:
    """Return a factor from 0.9 up to 1.1, the same for the same token and second."""
    digest = hashlib.blake2b(token_id.bytes + int(now.timestamp()).to_bytes(8), digest_size=4).digest()
    return 1 - _SPREAD + 2 * _SPREAD * int.from_bytes(digest) / 2**32


def wait(state: TokenState, failures: int) -> timedelta:
    """Return how long to wait after a check that found `state`, the failure number `failures` in a row."""
    if state == TokenState.WORKING or state in UNTOLD or failures < 1:
        return interval()
    doubled: int = 2 ** min(failures - 1, 16)
    return min(first_retry(state) * doubled, LONGEST)


def next_check(
    token_id: UUID, state: TokenState, failures: int, now: datetime, retry_on: datetime | None = None
) -> datetime:
    """Return when to check again, spread, and never before `retry_on`, until which its workspace must be left alone."""
    due = now + wait(state, failures) * spread(token_id, now)
    if retry_on is not None and state == TokenState.RATE_LIMITED:
        # As soon as the requests are back, but not all tokens of the workspace in that very second.
        return retry_on + timedelta(minutes=10) * (spread(token_id, now) - 1 + _SPREAD)
    return due if retry_on is None else max(due, retry_on)
