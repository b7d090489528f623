"""How long a server asks to wait."""

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MAX_RETRY_AFTER_S = 24 * 3600
_DIGITS = re.compile(r"[0-9]+", re.ASCII)


def seconds_to_wait(value: str | None, *, now: datetime | None = None) -> int | None:
    """Return the whole seconds that a Retry-After header asks to wait, from 0 to MAX_RETRY_AFTER_S.

    Zero and a date that is past are 0; more than a day is a day. Absent, negative, fractional or senseless values
    are None: then nothing is known. Source: RFC 9110, section 10.2.3.
    """
    text = (value or "").strip()
    if _DIGITS.fullmatch(text):
        # Digits are counted first: int() refuses very long ones.
        return MAX_RETRY_AFTER_S if len(text.lstrip("0")) > 6 else min(int(text[-6:]), MAX_RETRY_AFTER_S)
    # A date begins with the name of a day, and what does not is no date; the parser would take "-5 Nov" for one.
    if not text[:3].isalpha():
        return None
    try:
        until = parsedate_to_datetime(text)
        until = until if until.tzinfo else until.replace(tzinfo=UTC)
        wait_s = (until - (now or datetime.now(UTC))).total_seconds()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return min(max(math.ceil(wait_s), 0), MAX_RETRY_AFTER_S)
