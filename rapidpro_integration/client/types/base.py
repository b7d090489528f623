"""What the types of all resources are made of.

Each is a frozen struct. Of a field that is missing, null or of another type than it should be, the default is read;
unknown fields are left out; a row counts as unreadable only without what tells it from the others. Times are in UTC.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Protocol
from uuid import UUID

from msgspec import Meta, Struct

# Why a listing ended before the server's last page: "" if it did not.
type StoppedBecause = Literal["", "repeated_cursor", "page_cap", "size_cap"]

# The six counts of a flow together still fit a bigint, and a double.
_MAX_COUNT = 10**15

type Count = Annotated[int, Meta(ge=0, le=_MAX_COUNT)]
type Id = Annotated[int, Meta(ge=0, le=2**63 - 1)]
type Whole = Annotated[int, Meta(ge=-_MAX_COUNT, le=_MAX_COUNT)]
type JsonObject = dict[str, Any]


class Ref(Struct, frozen=True, gc=False):
    """The name of something in the workspace, a label for one; `uuid` is None if the server sent no usable one."""

    uuid: UUID | None = None
    name: str = ""


class Progress(Struct, frozen=True, gc=False):
    """How far a broadcast or a flow start has come; `total` is -1 as long as it is unknown."""

    total: Whole = -1
    started: Whole = 0


class Identified(Protocol):
    """A row that can be told from the others of its list."""

    @property
    def identity(self) -> object:
        """What no other row of the list has; None where a row has nothing of that kind."""


class ByUuid(Struct, frozen=True, gc=False):
    """A row with a uuid."""

    uuid: UUID

    @property
    def identity(self) -> object:
        """The uuid, as a number: that is compared much faster."""
        return self.uuid.int


class ByUuidOrId(Struct, frozen=True, gc=False):
    """A row with a `uuid` on newer servers and an `id` on older ones: without either it is unreadable."""

    uuid: str | None = None
    id: Id | None = None

    def __post_init__(self) -> None:
        if self.identity is None:
            raise ValueError("neither uuid nor id")

    @property
    def identity(self) -> object:
        """The uuid, else the id, else None."""
        return self.uuid or self.id


class Page[T]:
    """One page of rows, without those that an earlier page had already.

    `number` counts from 1; `unreadable_count` is of this page; `stopped_because` is set on a last page that is not
    the server's last; `fetched_at` is when it came, in UTC; `following` is where the next page begins, {} if there is
    none.
    """

    __slots__ = ("fetched_at", "following", "number", "rows", "stopped_because", "unreadable_count")

    def __init__(
        self,
        number: int,
        rows: tuple[T, ...],
        unreadable_count: int = 0,
        stopped_because: StoppedBecause = "",
        following: Mapping[str, str] | None = None,
    ) -> None:
        self.number, self.rows, self.unreadable_count = number, rows, unreadable_count
        self.stopped_because: StoppedBecause = stopped_because
        self.following: Mapping[str, str] = following or {}
        self.fetched_at = datetime.now(UTC)

    def __repr__(self) -> str:
        return f"Page(number={self.number}, rows={len(self.rows)}, stopped_because={self.stopped_because!r})"


class Rows[T](list[T]):
    """Rows in the list's order, with what the list itself cannot say.

    `unreadable_count` rows could not be read; `stopped_because` tells why further rows may be missing ("" if they are
    not); `fetched_at` is when the last page came, in UTC.
    """

    def __init__(
        self,
        rows: Iterable[T] = (),
        *,
        unreadable_count: int = 0,
        stopped_because: StoppedBecause = "",
        fetched_at: datetime | None = None,
    ) -> None:
        super().__init__(rows)
        self.unreadable_count = unreadable_count
        self.stopped_because: StoppedBecause = stopped_because
        self.fetched_at = fetched_at or datetime.now(UTC)

    def take(self, page: Page[T]) -> None:
        """Add a page."""
        self.extend(page.rows)
        self.unreadable_count += page.unreadable_count
        self.stopped_because = page.stopped_because or self.stopped_because
        self.fetched_at = page.fetched_at

    def copy(self) -> "Rows[T]":
        """Return the same rows in a list of its own."""
        return Rows(
            self,
            unreadable_count=self.unreadable_count,
            stopped_because=self.stopped_because,
            fetched_at=self.fetched_at,
        )
