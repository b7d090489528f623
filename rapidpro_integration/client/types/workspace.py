"""The workspace, its archives and statistics, and its hooks into other systems."""

from datetime import date, datetime

from msgspec import Struct, field

from rapidpro_integration.client.types.base import ByUuid, Count, Id, JsonObject


class Workspace(ByUuid, frozen=True, gc=False):
    """The workspace that a token belongs to; texts are "" where the server does not say."""

    name: str = ""
    country: str = ""
    languages: tuple[str, ...] = ()
    primary_language: str = ""
    timezone: str = ""
    date_style: str = ""
    anon: bool = False


class Archive(Struct, frozen=True, gc=False):
    """A file with the messages or runs of a day or month. `size` is in bytes."""

    type: str = field(name="archive_type")
    start_date: date
    period: str = ""
    record_count: Count = 0
    size: Count = 0
    hash: str = ""
    download_url: str | None = None

    @property
    def identity(self) -> object:
        """What it holds, from when, and for how long."""
        return self.type, self.start_date, self.period


class Resthook(Struct, frozen=True, gc=False):
    """An event that other systems can subscribe to, by name."""

    resthook: str
    modified_on: datetime | None = None
    created_on: datetime | None = None

    @property
    def identity(self) -> object:
        """The name."""
        return self.resthook


class ResthookSubscriber(Struct, frozen=True, gc=False):
    """An address that is told of a resthook's events."""

    id: Id
    resthook: str = ""
    target_url: str = ""
    created_on: datetime | None = None

    @property
    def identity(self) -> object:
        """The id."""
        return self.id


class ResthookEvent(Struct, frozen=True, gc=False):
    """Something that happened to a resthook. Servers give these nothing to tell them apart by."""

    resthook: str = ""
    data: JsonObject | None = None
    created_on: datetime | None = None

    @property
    def identity(self) -> object:
        """None: two that look alike may both have happened."""
        return None


class DayCounts(Struct, frozen=True, gc=False):
    """Messages by channel of one day: channel uuid to its type and counts, as the server names them."""

    day: date = field(name="date")
    channels: dict[str, JsonObject] = field(default_factory=dict)

    @property
    def identity(self) -> object:
        """The day."""
        return self.day
