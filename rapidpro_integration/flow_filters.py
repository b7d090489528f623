"""Search, filters, counts and order over a kept list: everything that is dear is worked out once for each list.

A filter is a set of row numbers; the count beside an option is what one would see after choosing it, with all other
filters as they are. 25,000 flows take about 20 ms.
"""

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from itertools import chain, compress, filterfalse
from typing import Any

from rapidpro_integration.client.types import Flow
from rapidpro_integration.kept import KeptFlows

NO_TYPE = "-"
type Window = tuple[datetime | None, datetime | None]
_OPEN: Window = (None, None)
# Beginning with the newest is how RapidPro itself orders.
DEFAULT_SORT = "-created"
COLUMNS = ("name", "type", "labels", "runs", "rate", "modified", "created")
SORTS = (*COLUMNS, *(f"-{column}" for column in COLUMNS))


@dataclass(frozen=True, slots=True)
class FlowQuery:
    """What is wanted: "" and None are no wish. `sort` is a column, with a minus from the largest to the smallest.

    `rate` is in whole per cent, cut as the page shows it; windows are inclusive; `idle_since` wants flows that were
    not modified after it and have no run under way. With `labels_too` the words of `name` are looked for in the names
    of a flow's labels as well.
    """

    name: str = ""
    labels_too: bool = False
    label: str = ""
    type: str = ""
    archived: bool | None = None
    no_runs: bool = False
    modified: Window = _OPEN
    created: Window = _OPEN
    idle_since: datetime | None = None
    rate: tuple[int | None, int | None] = (None, None)
    sort: str = DEFAULT_SORT

    @property
    def is_filtered(self) -> bool:
        """Whether it wants less than everything."""
        return replace(self, sort=DEFAULT_SORT, labels_too=False) != FlowQuery()


@dataclass(frozen=True, slots=True)
class Counts:
    """How many flows each option would show."""

    labels: Counter[str] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)
    archived: Counter[bool] = field(default_factory=Counter)
    no_runs: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """The flows that were wanted, in order."""

    flows: Sequence[Flow]
    counts: Counts


def fold(text: str) -> str:
    """Return the text without case and accents, to be compared."""
    if text.isascii():
        return text.casefold()
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(filterfalse(unicodedata.combining, parts)).casefold()


def per_cent(flow: Flow) -> int | None:
    """Return the completion rate in whole per cent, cut; None without runs."""
    rate = flow.runs.completion_rate
    return None if rate is None else int(rate * 100)


def _texts(kept: KeptFlows) -> list[str]:
    """Return what each row is found by where labels count too: its name and its labels, folded, a line each."""
    texts: list[str] | None = kept.memo.get("texts")
    if texts is None:
        folded = cache(fold)  # the same labels stand in many rows
        texts = kept.memo["texts"] = [
            "\n".join((fold(flow.name), *(folded(label.name) for label in flow.labels))) for flow in kept.rows
        ]
    return texts


def _have(texts: Iterable[str], words: Sequence[str]) -> Iterable[bool]:
    return (all(word in text for word in words) for text in texts)


def by_words(kept: KeptFlows, typed: str) -> list[Flow]:
    """Return the flows that have every word in their name or labels, archived ones last, those found by name first.

    Nothing else is worked out of the list, so that many lists can be asked at once.
    """
    words = fold(typed).split()
    found = list(compress(kept.rows, _have(_texts(kept), words))) if words else []

    def place(flow: Flow) -> tuple[bool, bool, str]:
        name = fold(flow.name)
        return flow.archived, not all(word in name for word in words), name

    return sorted(found, key=place)


class _Index:
    """The columns of one list."""

    def __init__(self, rows: Sequence[Flow]) -> None:
        self.rows = rows
        self.names = [fold(flow.name) for flow in rows]
        self.labels = [tuple(dict.fromkeys(label.name for label in flow.labels)) for flow in rows]
        self.types = [flow.type or NO_TYPE for flow in rows]
        self.archived = [flow.archived for flow in rows]
        self.totals = [flow.runs.total for flow in rows]
        self.rates = [flow.runs.completion_rate for flow in rows]
        self.per_cents = [per_cent(flow) for flow in rows]
        self.modified = [flow.modified_on for flow in rows]
        self.created = [flow.created_on for flow in rows]
        self.under_way = [flow.runs.active + flow.runs.waiting for flow in rows]
        self._orders: dict[str, list[int]] = {}

    def order(self, sort: str) -> list[int]:
        """Return the numbers of all rows in that order; rows without a value come last either way."""
        if sort not in self._orders:
            values = self._values(sort.removeprefix("-"))
            given = [number for number, value in enumerate(values) if value not in (None, "", ())]
            given.sort(key=values.__getitem__, reverse=sort.startswith("-"))
            missing = set(range(len(self.rows))).difference(given)
            self._orders[sort] = given + sorted(missing)
        return self._orders[sort]

    def _values(self, column: str) -> Sequence[Any]:
        if column == "labels":
            return [tuple(map(fold, labels)) for labels in self.labels]
        values: dict[str, Sequence[Any]] = {
            "name": self.names,
            "type": self.types,
            "runs": self.totals,
            "rate": self.rates,
            "modified": self.modified,
            "created": self.created,
        }
        return values[column]

    def passing(self, query: FlowQuery, texts: Sequence[str]) -> dict[str, set[int]]:
        """Return the numbers of the rows that pass each filter which wants something; `texts` stand for the names."""
        wanted: dict[str, Iterable[bool]] = {}
        if words := fold(query.name).split():
            wanted["name"] = _have(texts, words)
        if query.label:
            wanted["label"] = (query.label in labels for labels in self.labels)
        if query.type:
            wanted["type"] = (query.type == type_ for type_ in self.types)
        if query.archived is not None:
            wanted["archived"] = (query.archived == archived for archived in self.archived)
        if query.no_runs:
            wanted["no_runs"] = (not total for total in self.totals)
        if query.modified != _OPEN:
            wanted["modified"] = map(_within(*query.modified), self.modified)
        if query.created != _OPEN:
            wanted["created"] = map(_within(*query.created), self.created)
        if query.idle_since is not None:
            since = query.idle_since
            pairs = zip(self.modified, self.under_way, strict=True)
            wanted["idle"] = (not runs and on is not None and on <= since for on, runs in pairs)
        if query.rate != (None, None):
            wanted["rate"] = map(_within(*query.rate), self.per_cents)
        everything = range(len(self.rows))
        return {name: set(compress(everything, flags)) for name, flags in wanted.items()}


def _within(first: Any, last: Any) -> Callable[[Any], bool]:
    """Return a test of values; one that is missing is in no window."""
    return lambda value: value is not None and (first is None or value >= first) and (last is None or value <= last)


def search(kept: KeptFlows, query: FlowQuery) -> Found:
    """Return the flows that the query wants, in its order, with the counts beside each option."""
    index = kept.memo.get("index")
    if index is None:
        index = kept.memo["index"] = _Index(kept.rows)
    passing = index.passing(query, _texts(kept) if query.labels_too else index.names)

    def left(without: str = "") -> Iterable[int]:
        sets = sorted((numbers for name, numbers in passing.items() if name != without), key=len)
        return sets[0].intersection(*sets[1:]) if sets else range(len(kept.rows))

    def counted(values: Sequence[Any], without: str) -> Counter[Any]:
        return Counter(map(values.__getitem__, left(without)))

    wanted, order = left(), index.order(query.sort)
    numbers = order if isinstance(wanted, range) else [number for number in order if number in wanted]
    counts = Counts(
        labels=Counter(chain.from_iterable(map(index.labels.__getitem__, left("label")))),
        types=counted(index.types, "type"),
        archived=counted(index.archived, "archived"),
        no_runs=sum(1 for number in left("no_runs") if not index.totals[number]),
    )
    return Found([kept.rows[number] for number in numbers], counts)
