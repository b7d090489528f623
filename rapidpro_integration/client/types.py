"""What RapidPro tells about flows and workspaces: frozen, typed, and patient with what is missing, null or unknown."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Self
from uuid import UUID

from rapidpro_integration.client.dates import parse_uuid
from rapidpro_integration.client.parsing import clean_json, clean_text

# Why a listing ended before the server's last page: "" if it did not.
type StoppedBecause = Literal["", "repeated_cursor", "page_cap"]

# The six counts of a flow together still fit a bigint, and a double.
_MAX_COUNT = 10**15


@dataclass(frozen=True, slots=True)
class Ref:
    """The name of something in the workspace, a label for one; `uuid` is None if the server sent no usable one."""

    uuid: UUID | None
    name: str


@dataclass(frozen=True, slots=True)
class RunCounts:
    """How many runs of a flow are in each state; 0 where the server does not say."""

    active: int = 0
    waiting: int = 0
    completed: int = 0
    expired: int = 0
    interrupted: int = 0
    failed: int = 0

    @property
    def total(self) -> int:
        """All runs, whatever their state."""
        return self.active + self.waiting + self.completed + self.expired + self.interrupted + self.failed

    @property
    def completion_rate(self) -> float | None:
        """The completed share of all runs, from 0 to 1; None if there are none."""
        return self.completed / self.total if self.total else None


@dataclass(frozen=True, slots=True)
class FlowResult:
    """A result that a flow saves, with the categories its answers fall into."""

    key: str
    name: str
    categories: tuple[str, ...] = ()
    node_uuids: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow, as the listing tells it.

    `type` is None for legacy kinds; `expires_minutes` is 0 for flows that never expire, None if unknown; times are in
    UTC. `raw` is the row's JSON as it came, kept only where one flow was asked for.
    """

    uuid: UUID
    name: str = ""
    type: str | None = None
    archived: bool = False
    labels: tuple[Ref, ...] = ()
    expires_minutes: int | None = None
    runs: RunCounts = RunCounts()
    results: tuple[FlowResult, ...] = ()
    parent_refs: tuple[str, ...] = ()
    created_on: datetime | None = None
    modified_on: datetime | None = None
    raw: dict[str, Any] | None = field(default=None, repr=False, compare=False)

    @classmethod
    def from_json(cls, row: object, *, keep_raw: bool = False) -> Self | None:
        """Return the flow that a row of flows.json tells, or None for a row without a usable uuid."""
        if not isinstance(row, dict) or (uuid := parse_uuid(row.get("uuid"))) is None:
            return None
        runs = row.get("runs")
        return cls(
            uuid=uuid,
            name=clean_text(row.get("name")),
            type=clean_text(row.get("type")) or None,
            archived=row.get("archived") is True,
            labels=tuple(
                Ref(parse_uuid(label.get("uuid")), clean_text(label.get("name"))) for label in _objects(row, "labels")
            ),
            expires_minutes=_count(row.get("expires")),
            runs=RunCounts(**{state: _count(runs.get(state)) or 0 for state in RunCounts.__slots__})
            if isinstance(runs, dict)
            else RunCounts(),
            results=tuple(
                FlowResult(
                    key=clean_text(result.get("key")),
                    name=clean_text(result.get("name")),
                    categories=_texts(result, "categories"),
                    node_uuids=tuple(filter(None, map(parse_uuid, _items(result, "node_uuids")))),
                )
                for result in _objects(row, "results")
            ),
            parent_refs=_texts(row, "parent_refs"),
            created_on=_moment(row.get("created_on")),
            modified_on=_moment(row.get("modified_on")),
            raw=clean_json(row) if keep_raw else None,
        )


@dataclass(frozen=True, slots=True)
class Workspace:
    """The workspace that a token belongs to; texts are "" where the server does not say."""

    uuid: UUID
    name: str = ""
    country: str = ""
    languages: tuple[str, ...] = ()
    primary_language: str = ""
    timezone: str = ""
    date_style: str = ""
    anon: bool = False

    @classmethod
    def from_json(cls, payload: object) -> Self | None:
        """Return the workspace that workspace.json tells, or None if it names no usable uuid."""
        if not isinstance(payload, dict) or (uuid := parse_uuid(payload.get("uuid"))) is None:
            return None
        return cls(
            uuid=uuid,
            name=clean_text(payload.get("name")),
            country=clean_text(payload.get("country")),
            languages=_texts(payload, "languages"),
            primary_language=clean_text(payload.get("primary_language")),
            timezone=clean_text(payload.get("timezone")),
            date_style=clean_text(payload.get("date_style")),
            anon=payload.get("anon") is True,
        )


@dataclass(frozen=True, slots=True)
class FlowPage:
    """One page of flows, without those that an earlier page had already.

    `number` counts from 1; `unreadable_count` is of this page; `stopped_because` is set on a last page that is not
    the server's last.
    """

    number: int
    flows: tuple[Flow, ...]
    unreadable_count: int
    stopped_because: StoppedBecause
    fetched_at: datetime


class FlowList(list[Flow]):
    """Flows, newest first, with what the list itself cannot say.

    `unreadable_count` rows could not be read; `stopped_because` tells why older flows may be missing ("" if they are
    not); `fetched_at` is when the last page came, in UTC.
    """

    def __init__(
        self,
        flows: Iterable[Flow] = (),
        *,
        unreadable_count: int = 0,
        stopped_because: StoppedBecause = "",
        fetched_at: datetime | None = None,
    ) -> None:
        super().__init__(flows)
        self.unreadable_count = unreadable_count
        self.stopped_because: StoppedBecause = stopped_because
        self.fetched_at = fetched_at or datetime.now(UTC)


def _items(row: dict[str, Any], name: str) -> list[Any]:
    value = row.get(name)
    return value if isinstance(value, list) else []


def _objects(row: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    return (item for item in _items(row, name) if isinstance(item, dict))


def _texts(row: dict[str, Any], name: str) -> tuple[str, ...]:
    return tuple(clean_text(item) for item in _items(row, name) if isinstance(item, str))


def _count(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_COUNT:
        return value
    return None


def _moment(value: object) -> datetime | None:
    """Return the moment in UTC; None for what is no time, or so near the ends of the calendar that no zone shows it."""
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value)
        parsed = parsed.astimezone(UTC) if parsed.utcoffset() is not None else parsed.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return parsed if 1 < parsed.year < 9999 else None
