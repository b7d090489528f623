"""The endpoints of API v2 in one table: order, filters, methods, throttle scope."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import ge, le
from typing import Literal

from rapidpro_integration.sandbox.errors import ServerFailure
from rapidpro_integration.sandbox.model import Json, Row
from rapidpro_integration.sandbox.params import Params, as_moment, as_uuid

type Filter = Callable[[Params, Sequence[Row]], Sequence[Row]]
type Order = Literal["created_on", "modified_on"]


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
    #: The kind of thing, as RapidPro's messages name it.
    model: str = ""

    @property
    def allow(self) -> list[str]:
        """Return the Allow header's methods; HEAD is stated and refused, as in RapidPro."""
        return ["GET", *self.writes, "HEAD", "OPTIONS"] if self.reads else [*self.writes, "OPTIONS"]


def moment_of(order: Order) -> Callable[[Row], datetime]:
    """Return how a row's place in this order is read."""
    return (lambda row: row.created_on) if order == "created_on" else (lambda row: row.modified_on)


def _between(order: Order) -> Filter:
    """Keep rows between `after` and `before`, both inclusive; a malformed date silently keeps none."""
    moment = moment_of(order)

    def keep(params: Params, rows: Sequence[Row]) -> Sequence[Row]:
        for name, holds in (("before", le), ("after", ge)):
            if text := params.last(name):
                limit = as_moment(text)
                rows = [row for row in rows if holds(moment(row), limit)] if limit else []
        return rows

    return keep


def _uuid(params: Params, rows: Sequence[Row]) -> Sequence[Row]:
    wanted = params.uuid("uuid")
    return rows if wanted is None else [row for row in rows if row.body["uuid"] == wanted]


def _careless_uuid(params: Params, rows: Sequence[Row]) -> Sequence[Row]:
    """Keep by a UUID that RapidPro gives to its database unseen: empty is ignored, malformed is a 500."""
    text = params.last("uuid")
    if text and as_uuid(text) is None:
        raise ServerFailure("a malformed UUID reached the database")
    return [row for row in rows if row.body["uuid"] == as_uuid(text)] if text else rows


def _integer_id(params: Params, rows: Sequence[Row]) -> Sequence[Row]:
    wanted = params.integer("id")
    return rows if wanted is None else [row for row in rows if row.id == wanted]


def _is(name: str) -> Filter:
    """Keep rows whose body has exactly this text; letter case is ignored for names only."""

    def keep(params: Params, rows: Sequence[Row]) -> Sequence[Row]:
        text = params.last(name)
        fold = str.casefold if name == "name" else str
        return [row for row in rows if fold(row.body[name] or "") == fold(text)] if text else rows

    return keep


def _archived(params: Params, rows: Sequence[Row]) -> Sequence[Row]:
    wanted = params.flag("archived")
    return rows if wanted is None else [row for row in rows if row.body["archived"] is wanted]


def _type(params: Params, rows: Sequence[Row]) -> Sequence[Row]:
    """Keep one type; an unknown one keeps nothing, not even the flows whose own type is null."""
    wanted = params.last("type")
    return [row for row in rows if row.body["type"] == wanted] if wanted else rows


def _manual_only(params: Params, rows: Sequence[Row]) -> Sequence[Row]:
    if not params.flag("manual_only"):
        return rows
    return [row for row in rows if row.body["query"] is None and not row.body["system"]]


def _run_filters(params: Params, rows: Sequence[Row]) -> Sequence[Row]:
    flow_uuid = params.uuid("flow")
    if flow_uuid is not None:
        rows = [row for row in rows if row.body["flow"]["uuid"] == flow_uuid]
    if contact := params.last("contact"):
        rows = [row for row in rows if row.body["contact"]["uuid"] == as_uuid(contact)]
    if params.flag("responded"):
        rows = [row for row in rows if row.body["responded"]]
    if params.flag("paths") is False:
        rows = [_without_path(row) for row in rows]
    return rows


def _without_path(row: Row) -> Row:
    body: Json = row.body | {"path": None}
    return Row(row.id, row.created_on, row.modified_on, body)


def _contact_filters(params: Params, rows: Sequence[Row]) -> Sequence[Row]:
    if params.flag("expand_urns"):
        raise ServerFailure("expanding URNs needs mailroom")
    if params.flag("deleted"):
        return []
    if urn := params.last("urn"):
        rows = [row for row in rows if urn in row.body["urns"]]
    if group := params.last("group"):
        rows = [row for row in rows if any(group in (one["uuid"], one["name"]) for one in row.body["groups"])]
    return rows


_BY_CREATION, _BY_CHANGE = _between("created_on"), _between("modified_on")
_WRITE, _WRITE_DELETE = ("POST",), ("POST", "DELETE")

ENDPOINTS: Mapping[str, Endpoint] = {
    "archives": Endpoint("archives of messages and runs"),
    "boundaries": Endpoint("administrative boundaries", listed=False),
    "broadcasts": Endpoint("broadcasts", _WRITE, filters=(_uuid, _integer_id, _BY_CREATION)),
    "campaigns": Endpoint("campaigns", _WRITE, filters=(_uuid,)),
    "campaign_events": Endpoint("campaign events", _WRITE_DELETE, filters=(_uuid,)),
    "channels": Endpoint("channels", filters=(_uuid, _is("address"))),
    "channel_events": Endpoint("channel events", filters=(_integer_id, _BY_CREATION), listed=False),
    "contacts": Endpoint(
        "contacts",
        _WRITE_DELETE,
        "modified_on",
        (_uuid, _contact_filters, _BY_CHANGE),
        ("uuid", "urn", "group", "deleted"),
        "v2.contacts",
        reversible=True,
    ),
    "contact_actions": Endpoint("actions on contacts", _WRITE, reads=False),
    "definitions": Endpoint("flow definitions", listed=False),
    "fields": Endpoint("contact fields", _WRITE, filters=(_is("key"),)),
    "flow_starts": Endpoint("flow starts", _WRITE, "modified_on", (_uuid, _BY_CHANGE), reversible=True),
    "flows": Endpoint("flows", filters=(_uuid, _type, _archived, _BY_CHANGE)),
    "globals": Endpoint("globals", _WRITE, "modified_on", (_is("key"), _BY_CHANGE), reversible=True),
    "groups": Endpoint(
        "contact groups",
        _WRITE_DELETE,
        "created_on",
        (_uuid, _is("name"), _manual_only),
        ("uuid", "name"),
        model="ContactGroup",
    ),
    "labels": Endpoint("labels", _WRITE_DELETE, "created_on", (_uuid, _is("name")), ("uuid", "name"), model="Label"),
    "media": Endpoint("media", _WRITE, reads=False),
    "messages": Endpoint("messages", _WRITE, filters=(_uuid, _integer_id, _BY_CREATION), scope="v2.messages"),
    "message_actions": Endpoint("actions on messages", _WRITE, reads=False),
    "org": Endpoint("the workspace, by its old name", listed=False),
    "resthooks": Endpoint("resthooks", order="modified_on"),
    "resthook_events": Endpoint("resthook events"),
    "resthook_subscribers": Endpoint("resthook subscribers", _WRITE_DELETE, filters=(_integer_id,)),
    "runs": Endpoint(
        "flow runs",
        (),
        "modified_on",
        (_uuid, _integer_id, _run_filters, _BY_CHANGE),
        ("contact", "flow"),
        "v2.runs",
        reversible=True,
    ),
    "statistics": Endpoint("daily statistics", listed=False),
    "tickets": Endpoint("tickets", order="modified_on", filters=(_careless_uuid,), reversible=True),
    "ticket_actions": Endpoint("actions on tickets", _WRITE, reads=False),
    "topics": Endpoint("topics", _WRITE),
    "users": Endpoint("users", filters=(_uuid, _is("email"), _is("role"))),
    "workspace": Endpoint("the workspace"),
}
#: The order in which the root lists them.
LISTED = [name for name, endpoint in ENDPOINTS.items() if endpoint.listed]
