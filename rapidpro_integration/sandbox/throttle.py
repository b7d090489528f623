"""Requests per workspace and scope within a sliding window, as RapidPro counts them."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rapidpro_integration.sandbox.errors import Throttled

STOCK_RATE = "3600/hour"
SCOPES = ("v2", "v2.contacts", "v2.messages", "v2.runs")

_PERIODS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests in so many seconds; `requests` None means no limit."""

    requests: int | None
    period_s: int

    @classmethod
    def parse(cls, text: str) -> "Rate":
        """Return the rate written like "3600/hour", "5/minute" or "none".

        Raises: ValueError if it is written otherwise.
        """
        if text == "none":
            return cls(None, 0)
        number, _, period = text.partition("/")
        if not number.isdecimal() or int(number) < 1 or period[:1] not in _PERIODS_S:
            raise ValueError(f"{text!r} is no rate: write it like 3600/hour, 5/minute or none.")
        return cls(int(number), _PERIODS_S[period[0]])


@dataclass
class Throttle:
    """Counts requests; `rates` replace the stock rates by scope, a workspace's own rates replace both."""

    clock: Callable[[], float]
    rates: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse unreadable rates at the start rather than at the first request."""
        self._rates = {scope: Rate.parse(self.rates.get(scope, STOCK_RATE)) for scope in SCOPES}
        self._seen: dict[tuple[str, str], deque[float]] = {}

    def count(self, who: str, scope: str, own_rates: Mapping[str, str] | None = None) -> None:
        """Count one request of a workspace, or of an address if anonymous.

        Raises: Throttled if the window is full; a throttled request does not lengthen the wait.
        """
        own_rate = (own_rates or {}).get(scope)
        rate = Rate.parse(own_rate) if own_rate else self._rates[scope]
        if rate.requests is None:
            return
        now = self.clock()
        seen = self._seen.setdefault((who, scope), deque())
        while seen and seen[0] <= now - rate.period_s:
            seen.popleft()
        if len(seen) >= rate.requests:
            raise Throttled(seen[0] + rate.period_s - now)
        seen.append(now)
