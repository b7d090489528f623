"""Contacts and what they are sorted and described by; users of the workspace."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct, field

from rapidpro_integration.client.types.base import ByUuid, Count, JsonObject, Ref, Whole


class Note(Struct, frozen=True, gc=False):
    """A note that a user wrote about a contact."""

    text: str = ""
    created_on: datetime | None = None
    created_by: "UserRef | None" = None


class UserRef(Struct, frozen=True, gc=False):
    """A user of the workspace, by address."""

    email: str = ""
    name: str = ""
    uuid: UUID | None = None


class Contact(ByUuid, frozen=True, gc=False):
    """A contact. `urns` are scheme and path ("tel:+250…"); of a workspace that hides them, empty or masked."""

    name: str | None = None
    ref: str = ""
    anon_display: str | None = None
    status: str | None = None
    language: str | None = None
    urns: tuple[str, ...] = ()
    groups: tuple[Ref, ...] = ()
    notes: tuple[Note, ...] = ()
    fields: JsonObject = field(default_factory=dict)
    flow: Ref | None = None
    created_on: datetime | None = None
    modified_on: datetime | None = None
    last_seen_on: datetime | None = None
    blocked: bool | None = None
    stopped: bool | None = None


class Group(ByUuid, frozen=True, gc=False):
    """A group of contacts; `query` is None for one that is filled by hand."""

    name: str = ""
    query: str | None = None
    status: str = ""
    system: bool = False
    count: Count = 0


class Usages(Struct, frozen=True, gc=False):
    """How many things use a contact field."""

    flows: Count = 0
    groups: Count = 0
    campaign_events: Count = 0


class Field(Struct, frozen=True, gc=False):
    """A contact field. `label` and `value_type` are older names of `name` and `type`."""

    key: str
    name: str = ""
    type: str = ""
    featured: bool = False
    priority: Whole = 0
    usages: Usages = Usages()
    agent_access: str = ""
    label: str = ""
    value_type: str = ""

    @property
    def identity(self) -> object:
        """The key."""
        return self.key


class Global(Struct, frozen=True, gc=False):
    """A value that all flows of the workspace share."""

    key: str
    name: str = ""
    value: str = ""
    modified_on: datetime | None = None

    @property
    def identity(self) -> object:
        """The key."""
        return self.key


class User(ByUuid, frozen=True, gc=False):
    """A user of the workspace, with the role and, for agents, the team."""

    name: str = ""
    email: str = ""
    role: str | None = None
    team: Ref | None = None
    created_on: datetime | None = None
    avatar: str | None = None
    first_name: str = ""
    last_name: str = ""


class Boundary(Struct, frozen=True, gc=False):
    """An administrative area; `level` is 0 for the country. `geometry` is GeoJSON, if it was asked for."""

    osm_id: str
    name: str = ""
    parent: "BoundaryRef | None" = None
    level: Count = 0
    aliases: tuple[str, ...] = ()
    geometry: JsonObject | None = None

    @property
    def identity(self) -> object:
        """The id in OpenStreetMap."""
        return self.osm_id


class BoundaryRef(Struct, frozen=True, gc=False):
    """The area around another one."""

    osm_id: str = ""
    name: str = ""
