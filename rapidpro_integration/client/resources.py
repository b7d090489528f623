"""Every list that RapidPro's API v2 gives, in one table: path, rows, order, and the window of time it can be cut by.

Source: ../shared/rapidpro-api.md, section 9, where each was called.
"""

from dataclasses import dataclass

from msgspec import Struct

from rapidpro_integration.client import types

_CURSOR = ("cursor",)
_OFFSET = ("limit", "offset")


@dataclass(frozen=True, slots=True)
class Resource[T: Struct]:
    """One list. `order` names the field that it is sorted by, newest first, where a client can know it.

    `window` names the field that `before` and `after` bound, "" where the server has no such bounds. `position` names
    the parameters of a `next` link that lead to the next page.
    """

    name: str
    kind: type[T]
    order: str = ""
    window: str = ""
    position: tuple[str, ...] = _CURSOR

    @property
    def path(self) -> str:
        """The address on any server."""
        return f"/api/v2/{self.name}.json"

    @property
    def rows_move(self) -> bool:
        """Whether a row's place in the window changes while a list is read: it does with each modification."""
        return self.window == "modified_on"

    @property
    def order_is_later(self) -> bool:
        """Whether a row's place in the order is never before that in its window: a message is sent once it is made."""
        return self.order == "sent_on"

    @property
    def ties_are_lost(self) -> bool:
        """Whether windows tear rows of one moment apart for good: a server sorts them by an id that it does not tell.

        Not so for sent messages, whose window tells what their id would.
        """
        return self.rows_move and self.order != self.window


ARCHIVES = Resource("archives", types.Archive, "start_date", position=_OFFSET)
BOUNDARIES = Resource("boundaries", types.Boundary)
BROADCASTS = Resource("broadcasts", types.Broadcast, "created_on", "created_on")
CAMPAIGNS = Resource("campaigns", types.Campaign, "created_on")
CAMPAIGN_EVENTS = Resource("campaign_events", types.CampaignEvent, "created_on")
CHANNELS = Resource("channels", types.Channel, "created_on")
CHANNEL_EVENTS = Resource("channel_events", types.ChannelEvent, "created_on", "created_on")
CONTACTS = Resource("contacts", types.Contact, "modified_on", "modified_on")
FIELDS = Resource("fields", types.Field)
FLOW_STARTS = Resource("flow_starts", types.FlowStart, "modified_on", "modified_on")
FLOWS = Resource("flows", types.Flow, "created_on", "modified_on")
GLOBALS = Resource("globals", types.Global, "modified_on", "modified_on")
GROUPS = Resource("groups", types.Group)
LABELS = Resource("labels", types.Label)
MESSAGES = Resource("messages", types.Message, "created_on", "created_on")
MESSAGES_SENT = Resource("messages", types.Message, "sent_on", "created_on")
RESTHOOKS = Resource("resthooks", types.Resthook, "modified_on")
RESTHOOK_EVENTS = Resource("resthook_events", types.ResthookEvent, "created_on")
RESTHOOK_SUBSCRIBERS = Resource("resthook_subscribers", types.ResthookSubscriber, "created_on")
RUNS = Resource("runs", types.Run, "modified_on", "modified_on")
STATISTICS = Resource("statistics", types.DayCounts)
TICKETS = Resource("tickets", types.Ticket, "modified_on")
TOPICS = Resource("topics", types.Topic, "created_on")
USERS = Resource("users", types.User, "created_on")
