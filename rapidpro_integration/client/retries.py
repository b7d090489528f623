"""Which failures are worth another try, when, and how many tries this process may spend on it.

The tries themselves are stamina's. Source of the budget: a tenth of all requests may be tries again, so that a server
in trouble does not get three times the load.
"""

import threading

from rapidpro_integration.client.errors import AbstractRequestException, Kind

ATTEMPTS = 3
RATIO = 0.1
RESERVE = 10.0
# A person looks at an empty page meanwhile: a longer wait is told to them instead.
MAX_NAP_S = 5.0

_WORTH_IT = {Kind.UNREACHABLE, Kind.TIMED_OUT, Kind.SERVER_ERROR, Kind.RATE_LIMITED, Kind.MALFORMED}
# The server says that it will never be able to.
_HOPELESS = {501, 505}


class RetryBudget:
    """How many tries again are left: each first try adds `ratio`, each try again takes 1, and `reserve` is the most."""

    def __init__(self, ratio: float = RATIO, reserve: float = RESERVE) -> None:
        self._ratio, self._reserve = ratio, reserve
        self._lock = threading.Lock()
        self._left = reserve

    def add_request(self) -> None:
        """Count a first try."""
        if self._left < self._reserve:
            with self._lock:
                self._left = min(self._left + self._ratio, self._reserve)

    def take(self) -> bool:
        """Take one try again, if there is one."""
        with self._lock:
            if self._left < 1:
                return False
            self._left -= 1
            return True

    @property
    def left(self) -> float:
        """The tries again that are left."""
        return self._left

    def reset(self) -> None:
        """Fill it."""
        with self._lock:
            self._left = self._reserve


def nap_s(error: AbstractRequestException, seconds_left: float) -> float | None:
    """Return how long to wait before the next try: 0 for stamina's own jittered wait, None if there should be none.

    A server's Retry-After is honoured to the second, or, where it is longer than MAX_NAP_S or than what is left of the
    operation, not waited for at all. A 429 that names no time is not tried again: its budget is counted by the hour.
    """
    if error.kind not in _WORTH_IT or error.status_code in _HOPELESS:
        return None
    if error.kind is Kind.RATE_LIMITED and error.retry_after_s is None:
        return None
    wanted_s = float(error.retry_after_s or 0)
    return wanted_s if wanted_s <= MAX_NAP_S and wanted_s < seconds_left else None
