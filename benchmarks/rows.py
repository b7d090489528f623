"""Invented flows for the upstream: the shape and weight of RapidPro's rows, and the same ones at every start."""

import json
import random
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

PAGE_ROWS = 250
MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Every flow was created before the two years in which the flows were last modified, so modified_on is always later.
_CREATED_FROM, _CREATED_TO = datetime(2021, 1, 1, tzinfo=UTC), datetime(2024, 10, 1, tzinfo=UTC)
_MODIFIED_FROM, _MODIFIED_TO = datetime(2024, 10, 2, tzinfo=UTC), datetime(2026, 10, 2, tzinfo=UTC)
_TOPICS = ("Water points", "Vacinação", "Enquête école", "Nutrición", "Ward stock", "質問票", "مسح", "Harvest prices")
_ACTS = ("survey", "reminder", "opt-in", "registration", "follow-up")
_TYPES = ("message", "message", "message", "voice", "survey", "background", None)
_KEYS = ("age", "district", "stock_level", "happy", "photo", "amount")


@dataclass(frozen=True, slots=True)
class Row:
    """One flow as it is sent, and the two times that paging and filters need, in microseconds since 1970."""

    body: bytes
    created_us: int
    modified_us: int


class Flows:
    """The flows of one workspace, newest first by creation."""

    def __init__(self, count: int, spread: str = "even") -> None:
        """Make `count` flows; `spread` says how modified_on lies in its two years: "even", or mostly "recent"."""
        chance = random.Random(20261124)
        step = (_CREATED_TO - _CREATED_FROM) / (count + 1)
        self.rows = [_row(chance, number, _CREATED_TO - step * (number + 1), spread) for number in range(count)]
        self._by_modified = sorted((row.modified_us, index) for index, row in enumerate(self.rows))

    def window(self, before_us: int | None, after_us: int | None) -> list[Row]:
        """Return the rows modified in a window, both ends included, newest first by creation."""
        if before_us is None and after_us is None:
            return self.rows
        start = 0 if after_us is None else bisect_left(self._by_modified, (after_us, -1))
        end = len(self.rows) if before_us is None else bisect_right(self._by_modified, (before_us, len(self.rows)))
        return [self.rows[index] for index in sorted(index for _, index in self._by_modified[start:end])]


def microseconds(text: str) -> int:
    """Return an ISO 8601 time as microseconds since 1970; a naive one is in UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // MICROSECOND


def text_of(moment: datetime) -> str:
    """Return a time as RapidPro writes it, with six decimals."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _row(chance: random.Random, number: int, created_on: datetime, spread: str) -> Row:
    share = chance.random()
    if spread == "recent":
        share = 1 - share**4
    modified_on = _MODIFIED_FROM + (_MODIFIED_TO - _MODIFIED_FROM) * share
    flow = {
        "uuid": _uuid(chance),
        "name": f"{chance.choice(_TOPICS)} {chance.choice(_ACTS)} #{number + 1}",
        "type": chance.choice(_TYPES),
        "archived": chance.random() < 0.1,
        "labels": [{"uuid": _uuid(chance), "name": "Pilot 2025"}] if chance.random() < 0.2 else [],
        "expires": chance.choice((0, 5, 720, 4320)),
        "runs": {
            state: chance.randrange(2000) for state in ("active", "waiting", "completed", "expired", "interrupted")
        }
        | {"failed": 0},
        "results": [_result(chance, key) for key in chance.sample(_KEYS, chance.choice((0, 1, 1, 2, 2, 3)))],
        "parent_refs": [],
        "created_on": text_of(created_on),
        "modified_on": text_of(modified_on),
    }
    body = json.dumps(flow, ensure_ascii=False, separators=(",", ":")).encode()
    return Row(body, (created_on - _EPOCH) // MICROSECOND, (modified_on - _EPOCH) // MICROSECOND)


def _result(chance: random.Random, key: str) -> dict[str, object]:
    categories = ["All Responses"] if chance.random() < 0.5 else ["1 - 100", "101 - 1000", "Other"]
    return {
        "key": key,
        "name": key.replace("_", " ").title(),
        "categories": categories,
        "node_uuids": [_uuid(chance)],
    }


def _uuid(chance: random.Random) -> str:
    return str(UUID(int=chance.getrandbits(128), version=4))
