"""The few numbers of a kept list that a card shows, so that nobody decodes 25,000 flows to see how many they are."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Self

import msgspec

from rapidpro_integration.client.types import Flow

# Days begin at a quarter of an hour of UTC in every zone, so these are fine enough to count from any midnight.
_QUARTER_S = 15 * 60
# "Yesterday" begins up to two days, and an hour in a night of changing clocks, before the list was fetched.
_RECENT = timedelta(hours=50)


class Summary(msgspec.Struct, frozen=True):
    """How many flows and runs a list has, and when it was fetched.

    `created` and `modified` count the flows of the last fifty hours by the quarter of an hour, in quarters since 1970.
    """

    flows: int
    archived: int
    runs: int
    is_whole: bool
    fetched_at: datetime
    created: dict[int, int]
    modified: dict[int, int]

    @classmethod
    def of(cls, rows: Iterable[Flow], fetched_at: datetime, *, is_whole: bool) -> Self:
        """Return the numbers of a list."""
        flows = archived = runs = 0
        created, modified = Counter[int](), Counter[int]()
        oldest = fetched_at - _RECENT
        # A server whose clock is wrong, or that says anything at all, does not make the summary long.
        last = _quarter(fetched_at)
        for flow in rows:
            flows += 1
            archived += flow.archived
            runs += flow.runs.total
            for moment, counted in ((flow.created_on, created), (flow.modified_on, modified)):
                if moment is not None and moment >= oldest:
                    counted[min(_quarter(moment), last)] += 1
        return cls(flows, archived, runs, is_whole, fetched_at, dict(created), dict(modified))

    def changed_since(self, day: datetime) -> int:
        """Return how many flows were modified since that midnight of yesterday or today; new ones are among them."""
        return _since(self.modified, day)

    def new_since(self, day: datetime) -> int:
        """Return how many flows were created since that midnight of yesterday or today."""
        return _since(self.created, day)


def _quarter(moment: datetime) -> int:
    return int(moment.timestamp() // _QUARTER_S)


def _since(counted: dict[int, int], day: datetime) -> int:
    first = _quarter(day)
    return sum(count for quarter, count in counted.items() if quarter >= first)
