"""The endpoints of API v2 in one table: order, filters, methods, throttle scope."""

from collections.abc import Mapping
from dataclasses import dataclass

from rapidpro_integration.sandbox.filters import (
    Filter,
    Order,
    any_email,
    any_of,
    any_uuid,
    between,
    by_archive_type,
    by_archived,
    by_id,
    by_period,
    by_type,
    by_uuid,
    careless_uuid,
    contact_filters,
    is_exactly,
    manual_only,
    message_filters,
    of_campaign,
    of_contact,
    run_filters,
)
from rapidpro_integration.sandbox.params import Params


@dataclass(frozen=True)
class Endpoint:
    """What one endpoint does; `writes` are the methods it has beside GET."""

    summary: str
    writes: tuple[str, ...] = ()
    order: Order = "created_on"
    filters: tuple[Filter, ...] = ()
    exclusive: tuple[str, ...] = ()
    scope: str = "v2"
    reads: bool = True
    listed: bool = True
    reversible: bool = False
    has_folders: bool = False
    #: The kind of thing, as RapidPro's messages name it.
    model: str = ""

    @property
    def allow(self) -> list[str]:
        """Return the Allow header's methods; HEAD is stated and refused, as in RapidPro."""
        return ["GET", *self.writes, "HEAD", "OPTIONS"] if self.reads else [*self.writes, "OPTIONS"]

    def order_for(self, params: Params) -> Order:
        """Return the order of the list that is asked for: the folder of sent messages has its own."""
        return "sent_on" if self.has_folders and params.last("folder").lower() == "sent" else self.order


_BY_CREATION, _BY_CHANGE = between("created_on"), between("modified_on")
_WRITE, _WRITE_DELETE = ("POST",), ("POST", "DELETE")

ENDPOINTS: Mapping[str, Endpoint] = {
    "archives": Endpoint("archives of messages and runs", filters=(by_archive_type, by_period, _BY_CREATION)),
    "boundaries": Endpoint("administrative boundaries", order="osm_id", listed=False),
    "broadcasts": Endpoint("broadcasts", _WRITE, filters=(by_uuid, by_id, _BY_CREATION)),
    "campaigns": Endpoint("campaigns", _WRITE, filters=(by_uuid,)),
    "campaign_events": Endpoint("campaign events", _WRITE_DELETE, filters=(by_uuid, of_campaign)),
    "channels": Endpoint("channels", filters=(by_uuid, is_exactly("address"))),
    "channel_events": Endpoint("channel events", filters=(by_id, of_contact, _BY_CREATION), listed=False),
    "contacts": Endpoint(
        "contacts",
        _WRITE_DELETE,
        "modified_on",
        (by_uuid, contact_filters, _BY_CHANGE),
        scope="v2.contacts",
        reversible=True,
    ),
    "contact_actions": Endpoint("actions on contacts", _WRITE, reads=False),
    "definitions": Endpoint("flow definitions", listed=False),
    "fields": Endpoint("contact fields", _WRITE, filters=(is_exactly("key"),)),
    "flow_starts": Endpoint("flow starts", _WRITE, "modified_on", (by_uuid, _BY_CHANGE), reversible=True),
    "flows": Endpoint("flows", filters=(by_uuid, by_type, by_archived, _BY_CHANGE)),
    "globals": Endpoint("globals", _WRITE, "modified_on", (is_exactly("key"), _BY_CHANGE), reversible=True),
    "groups": Endpoint(
        "contact groups",
        _WRITE_DELETE,
        "created_on",
        (by_uuid, is_exactly("name"), manual_only),
        ("uuid", "name"),
        model="ContactGroup",
    ),
    "labels": Endpoint(
        "labels", _WRITE_DELETE, "created_on", (by_uuid, is_exactly("name")), ("uuid", "name"), model="Label"
    ),
    "media": Endpoint("media", _WRITE, reads=False),
    "messages": Endpoint(
        "messages",
        _WRITE,
        "created_on",
        (by_uuid, by_id, message_filters, _BY_CREATION),
        ("contact", "folder", "label", "broadcast"),
        "v2.messages",
        has_folders=True,
    ),
    "message_actions": Endpoint("actions on messages", _WRITE, reads=False),
    "org": Endpoint("the workspace, by its old name", listed=False),
    "resthooks": Endpoint("resthooks", order="modified_on", reversible=True),
    "resthook_events": Endpoint("resthook events", filters=(is_exactly("resthook"),)),
    "resthook_subscribers": Endpoint("resthook subscribers", _WRITE_DELETE, filters=(by_id, is_exactly("resthook"))),
    "runs": Endpoint(
        "flow runs",
        (),
        "modified_on",
        (by_uuid, by_id, run_filters, _BY_CHANGE),
        ("contact", "flow"),
        "v2.runs",
        reversible=True,
    ),
    "statistics": Endpoint("daily statistics", listed=False),
    "tickets": Endpoint("tickets", order="modified_on", filters=(careless_uuid, of_contact), reversible=True),
    "ticket_actions": Endpoint("actions on tickets", _WRITE, reads=False),
    "topics": Endpoint("topics", _WRITE),
    "users": Endpoint("users", filters=(any_uuid, any_email, any_of("role"))),
    "workspace": Endpoint("the workspace"),
}
#: The order in which the root lists them.
LISTED = [name for name, endpoint in ENDPOINTS.items() if endpoint.listed]
