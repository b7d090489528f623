"""Messages and what carries, sorts and plans them."""

from datetime import datetime

from msgspec import Struct, field

from rapidpro_integration.client.types.base import ByUuid, ByUuidOrId, Count, Id, JsonObject, Progress, Ref, Whole
from rapidpro_integration.client.types.people import UserRef


class Attachment(Struct, frozen=True, gc=False):
    """A picture, sound or file; `content_type` may be a kind only ("image")."""

    content_type: str = ""
    url: str = ""


class QuickReply(Struct, frozen=True, gc=False):
    """An answer that is offered as a button."""

    text: str = ""
    type: str = ""
    extra: str | None = None


class Message(ByUuidOrId, frozen=True, gc=False):
    """A message in or out."""

    contact: Ref | None = None
    urn: str | None = None
    channel: Ref | None = None
    direction: str = ""
    type: str = ""
    status: str = ""
    archived: bool = False
    visibility: str = ""
    text: str = ""
    labels: tuple[Ref, ...] = ()
    flow: Ref | None = None
    attachments: tuple[Attachment, ...] = ()
    quick_replies: tuple[str | QuickReply, ...] = ()
    created_on: datetime | None = None
    sent_on: datetime | None = None
    modified_on: datetime | None = None
    broadcast: Id | None = None
    media: str | None = None


class Broadcast(ByUuidOrId, frozen=True, gc=False):
    """A message to many. Texts, attachments and quick replies are by language."""

    status: str = ""
    progress: Progress = Progress()
    urns: tuple[str, ...] = ()
    contacts: tuple[Ref, ...] = ()
    groups: tuple[Ref, ...] = ()
    text: dict[str, str] = field(default_factory=dict)
    attachments: JsonObject = field(default_factory=dict)
    quick_replies: JsonObject = field(default_factory=dict)
    base_language: str | None = None
    created_on: datetime | None = None


class Label(ByUuid, frozen=True, gc=False):
    """A label of messages."""

    name: str = ""
    count: Count = 0


class Device(Struct, frozen=True, gc=False):
    """The telephone behind an Android channel."""

    name: str = ""
    power_level: Whole = -1
    power_status: str | None = None
    power_source: str | None = None
    network_type: str | None = None


class Channel(ByUuid, frozen=True, gc=False):
    """A way by which messages or calls come and go."""

    name: str = ""
    address: str | None = None
    type: str = ""
    country: str | None = None
    device: Device | None = None
    last_seen: datetime | None = None
    created_on: datetime | None = None


class ChannelEvent(Struct, frozen=True, gc=False):
    """Something that happened on a channel and is no message, a missed call for one."""

    id: Id
    type: str = ""
    contact: Ref | None = None
    channel: Ref | None = None
    extra: JsonObject | None = None
    occurred_on: datetime | None = None
    created_on: datetime | None = None

    @property
    def identity(self) -> object:
        """The id."""
        return self.id


class Campaign(ByUuid, frozen=True, gc=False):
    """A campaign: events for a group, before or after a date of each contact."""

    name: str = ""
    archived: bool = False
    group: Ref | None = None
    created_on: datetime | None = None


class FieldRef(Struct, frozen=True, gc=False):
    """The name of a contact field."""

    key: str = ""
    name: str = ""
    label: str = ""


class CampaignEvent(ByUuid, frozen=True, gc=False):
    """What a campaign does: starts `flow`, or sends `message` (by language), `offset` `unit` after a contact's date.

    `delivery_hour` is -1 where the hour of the date counts.
    """

    campaign: Ref | None = None
    relative_to: FieldRef | None = None
    offset: Whole = 0
    unit: str = ""
    delivery_hour: Whole = -1
    flow: Ref | None = None
    message: dict[str, str] | None = None
    created_on: datetime | None = None


class Ticket(ByUuid, frozen=True, gc=False):
    """A conversation that a person should have with a contact."""

    contact: Ref | None = None
    status: str = ""
    topic: Ref | None = None
    body: str | None = None
    assignee: UserRef | None = None
    opened_on: datetime | None = None
    opened_by: UserRef | None = None
    opened_in: Ref | None = None
    modified_on: datetime | None = None
    closed_on: datetime | None = None


class TicketCounts(Struct, frozen=True, gc=False):
    """How many tickets of a topic are in each state."""

    open: Count = 0
    closed: Count = 0


class Topic(ByUuid, frozen=True, gc=False):
    """What tickets are about."""

    name: str = ""
    counts: TicketCounts = TicketCounts()
    system: bool = False
    created_on: datetime | None = None
