"""How each parameter of a list chooses rows: some are read strictly, most are not looked at before the database."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from operator import attrgetter, ge, le
from typing import Any, Literal

from rapidpro_integration.sandbox.errors import ServerFailure
from rapidpro_integration.sandbox.model import Json, Row
from rapidpro_integration.sandbox.params import Params, as_moment, as_uuid
from rapidpro_integration.sandbox.talk import SENT

type Filter = Callable[[Params, Sequence[Row]], Sequence[Row]]
type Order = Literal["created_on", "modified_on", "sent_on", "osm_id"]


def place_in(order: Order) -> Callable[[Row], Any]:
    """Return how a row's place in this order is read: a moment, or text for boundaries."""
    return (lambda row: row.body["osm_id"]) if order == "osm_id" else attrgetter(order)


def between(order: Literal["created_on", "modified_on"]) -> Filter:
    """Keep rows between `after` and `before`, both inclusive; a malformed date silently keeps none."""
    moment: Callable[[Row], datetime] = attrgetter(order)

    def keep(params: Params, rows: Sequence[Row]) -> Sequence[Row]:
        for name, holds in (("before", le), ("after", ge)):
            if text := params.last(name):
                limit = as_moment(text)
                rows = [row for row in rows if holds(moment(row), limit)] if limit else []
        return rows

    return keep


def by_uuid(params: Params, rows: Sequence[Row]) -> Sequence[Row]:
    """Keep the row of one UUID, which is validated."""
    wanted = params.uuid("uuid")
    return rows if wanted is None else [row for row in rows if row.body["uuid"] == wanted]


def careless_uuid(params: Params, rows: Sequence[Row]) -> Sequence[Row]:
    """Keep by a UUID that RapidPro gives to its database unseen: empty is ignored, malformed is a 500."""
    text = params.last("uuid")
    if text and as_uuid(text) is None:
        raise ServerFailure("a malformed UUID reached the database")
    return [row for row in rows if row.body["uuid"] == as_uuid(text)] if text else rows


def by_id(params: Params, rows: Sequence[Row]) -> Sequence[Row]:
    """Keep the row of one number, which is validated; zero counts as none."""
    wanted = params.integer("id")
    return [row for row in rows if row.id == wanted] if wanted else rows


def is_exactly(name: str) -> Filter:
    """Keep rows whose body has exactly this text; letter case is ignored for names only."""

    def keep(params: Params, rows: Sequence[Row]) -> Sequence[Row]:
        text = params.last(name)
        fold = str.casefold if name == "name" else str
        return [row for row in rows if fold(row.body[name] or "") == fold(text)] if text else rows

    return keep


def by_archived(params: Params, rows: Sequence[Row]) -> Sequence[Row]:
    """Keep flows that are archived, or that are not."""
    wanted = params.flag("archived")
    return rows if wanted is None else [row for row in rows if row.body["archived"] is wanted]


def by_type(params: Params, rows: Sequence[Row]) -> Sequence[Row]:
    """Keep one type; an unknown one keeps nothing, not even the flows whose own type is null."""
    wanted = params.last("type")
    return [row for row in rows if row.body["type"] == wanted] if wanted else rows


def by_archive_type(params: Params, rows: Sequence[Row]) -> Sequence[Row]:
    """Keep archives of messages or of runs, under either name of the parameter."""
    wanted = params.last("archive_type") or params.last("type")
    return [row for row in rows if row.body["archive_type"] == wanted] if wanted else rows


def by_period(params: Params, rows: Sequence[Row]) -> Sequence[Row]:
    """Keep daily or monthly archives; any other word is ignored."""
    wanted = params.last("period")
    return [row for row in rows if row.body["period"] == wanted] if wanted in ("daily", "monthly") else rows


def manual_only(params: Params, rows: Sequence[Row]) -> Sequence[Row]:
    """Keep groups that people fill by hand."""
    if not params.flag("manual_only"):
        return rows
    return [row for row in rows if row.body["query"] is None and not row.body["system"]]


def run_filters(params: Params, rows: Sequence[Row]) -> Sequence[Row]:
    """Keep runs of a flow or a contact, and answered ones; `paths=false` leaves their paths out."""
    flow_uuid = params.uuid("flow")
    if flow_uuid is not None:
        rows = [row for row in rows if row.body["flow"]["uuid"] == flow_uuid]
    rows = of_contact(params, rows)
    if params.flag("responded"):
        rows = [row for row in rows if row.body["responded"]]
    if params.flag("paths") is False:
        rows = [_without_path(row) for row in rows]
    return rows


def _without_path(row: Row) -> Row:
    body: Json = row.body | {"path": None}
    return replace(row, body=body)


def contact_filters(params: Params, rows: Sequence[Row]) -> Sequence[Row]:
    """Keep contacts by address and group; deleted ones are listed only when asked for."""
    if params.flag("expand_urns"):
        raise ServerFailure("expanding URNs needs mailroom")
    deleted = bool(params.flag("deleted"))
    rows = [row for row in rows if row.deleted is deleted]
    if urn := params.last("urn"):
        rows = [row for row in rows if urn in row.body["urns"]]
    if group := params.last("group"):
        rows = list(filter(_mentioning("groups", group), rows))
    return rows


def of_contact(params: Params, rows: Sequence[Row]) -> Sequence[Row]:
    """Keep one contact's rows; a malformed UUID is nobody's."""
    contact = params.last("contact")
    if not contact:
        return rows
    wanted = as_uuid(contact)
    return [row for row in rows if row.body["contact"]["uuid"] == wanted]


def of_campaign(params: Params, rows: Sequence[Row]) -> Sequence[Row]:
    """Keep the events of a campaign, which is named by UUID or by name."""
    campaign = params.last("campaign")
    return list(filter(_mentioning("campaign", campaign), rows)) if campaign else rows


def any_of(name: str) -> Filter:
    """Keep rows whose body has one of the repeated parameter's values."""

    def keep(params: Params, rows: Sequence[Row]) -> Sequence[Row]:
        wanted = params.all(name)
        return [row for row in rows if row.body[name] in wanted] if wanted else rows

    return keep


def any_email(params: Params, rows: Sequence[Row]) -> Sequence[Row]:
    """Keep users of any of the repeated addresses, in any case of letters."""
    wanted = [email.casefold() for email in params.all("email")]
    return [row for row in rows if row.body["email"].casefold() in wanted] if wanted else rows


def any_uuid(params: Params, rows: Sequence[Row]) -> Sequence[Row]:
    """Keep rows of any of the repeated UUIDs."""
    wanted = params.uuids("uuid")
    return rows if wanted is None else [row for row in rows if row.body["uuid"] in wanted]


def _incoming(body: Json) -> bool:
    return bool(body["direction"] == "in" and body["visibility"] == "visible")


def _outgoing(*statuses: str) -> Callable[[Json], bool]:
    return lambda body: body["direction"] == "out" and body["status"] in statuses


#: What each folder shows; an unknown one is empty.
_FOLDERS: Mapping[str, Callable[[Json], bool]] = {
    "inbox": lambda body: _incoming(body) and body["flow"] is None,
    "flows": lambda body: _incoming(body) and body["flow"] is not None,
    "archived": lambda body: bool(body["archived"]),
    "outbox": _outgoing("queued", "errored"),
    "sent": _outgoing(*SENT),
    "failed": _outgoing("failed"),
}


def message_filters(params: Params, rows: Sequence[Row]) -> Sequence[Row]:
    """Keep by contact, folder, label or broadcast; what names nothing keeps nothing."""
    rows = of_contact(params, rows)
    if folder := params.last("folder"):
        shows = _FOLDERS.get(folder.lower())
        rows = [row for row in rows if shows(row.body)] if shows else []
    if label := params.last("label"):
        rows = list(filter(_mentioning("labels", label), rows))
    broadcast = params.integer("broadcast")
    return rows if broadcast is None else [row for row in rows if row.body["broadcast"] == broadcast]


def _mentioning(key: str, asked: str) -> Callable[[Row], bool]:
    """Return whether a row mentions, under this key, the thing of this UUID or of exactly this name."""
    wanted = as_uuid(asked)

    def mentions(row: Row) -> bool:
        mentioned = row.body[key]
        ones = mentioned if isinstance(mentioned, list) else [mentioned]
        return any(one["uuid"] == wanted or one["name"] == asked for one in ones)

    return mentions
