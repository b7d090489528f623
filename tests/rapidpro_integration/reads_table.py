"""Every list and every filter: how a value is chosen, and which rows it should leave."""

import inspect
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from rapidpro_integration.interface import RapidProInterface

type Choose = Callable[[list[Any]], Any]
type Keep = Callable[[Any, Any], bool]


def of(read: Callable[[Any], Any]) -> tuple[Choose, Keep]:
    """Return a filter that keeps rows of which `read` is the same as of one of them."""

    def choose(rows: list[Any]) -> Any:
        return next(value for row in rows[len(rows) // 3 :] if (value := read(row)))

    return choose, lambda row, value: bool(read(row) == value)


def among(name: str, read: Callable[[Any], Any] = lambda ref: ref.uuid) -> tuple[Choose, Keep]:
    """Return a filter that keeps rows whose list `name` mentions a thing."""
    return (
        lambda rows: str(next(read(getattr(row, name)[0]) for row in rows if getattr(row, name))),
        lambda row, value: value in {str(read(ref)) for ref in getattr(row, name)},
    )


def only(value: Any, keep: Callable[[Any], bool]) -> tuple[Choose, Keep]:
    """Return a filter that takes one value."""
    return lambda rows: value, lambda row, _: keep(row)


def window(name: str) -> dict[str, tuple[Choose, Keep]]:
    def moments(rows: list[Any]) -> list[Any]:
        return sorted(getattr(row, name) for row in rows)

    return {
        "before_date": (
            lambda rows: moments(rows)[(len(rows) - 1) // 2],
            lambda row, value: bool(getattr(row, name) <= value),
        ),
        "after_date": (
            lambda rows: moments(rows)[len(rows) // 2],
            lambda row, value: bool(getattr(row, name) >= value),
        ),
    }


BY_UUID = {"uuid": of(lambda row: row.uuid)}
# Turned round, or asked another way: what they do to a list is looked at by tests of their own.
SHAPES = {"reverse", "concurrency", "cursor", "paths", "deleted", "urn_order"}

#: Resource -> parameter -> how a value is chosen from the whole list, and which rows it should leave.
TABLE: dict[str, dict[str, tuple[Choose, Keep]]] = {
    "archives": {
        **window("start_date"),
        "type": only("run", lambda row: row.type == "run"),
        "period": only("daily", lambda row: row.period == "daily"),
    },
    "boundaries": {},
    "broadcasts": {**window("created_on"), **BY_UUID, "id": of(lambda row: row.id)},
    "campaigns": BY_UUID,
    "campaign_events": {**BY_UUID, "campaign": of(lambda row: row.campaign.name)},
    "channels": {**BY_UUID, "address": of(lambda row: row.address)},
    "channel_events": {
        **window("created_on"),
        "id": of(lambda row: row.id),
        "contact": of(lambda row: row.contact.uuid),
    },
    "contacts": {
        **window("modified_on"),
        **BY_UUID,
        "urn": among("urns", lambda urn: urn),
        "group": among("groups", lambda ref: ref.name),
    },
    "fields": {"key": of(lambda row: row.key)},
    "flow_starts": {**window("modified_on"), **BY_UUID},
    "flows": {
        **window("modified_on"),
        "type": only("voice", lambda row: row.type == "voice"),
        "archived": only(True, lambda row: row.archived),
    },
    "globals": {**window("modified_on"), "key": of(lambda row: row.key)},
    "groups": {
        **BY_UUID,
        "name": of(lambda row: row.name),
        "manual_only": only(True, lambda row: row.query is None and not row.system),
    },
    "labels": {**BY_UUID, "name": of(lambda row: row.name)},
    "messages": {
        **window("created_on"),
        **BY_UUID,
        "id": of(lambda row: row.id),
        "contact": of(lambda row: row.contact.uuid),
        "folder": only("failed", lambda row: row.status == "failed"),
        "label": among("labels", lambda ref: ref.name),
        "broadcast": of(lambda row: row.broadcast),
    },
    "resthooks": {},
    "resthook_events": {"resthook": of(lambda row: row.resthook)},
    "resthook_subscribers": {"id": of(lambda row: row.id), "resthook": of(lambda row: row.resthook)},
    "runs": {
        **window("modified_on"),
        **BY_UUID,
        "id": of(lambda row: row.id),
        "contact": of(lambda row: row.contact.uuid),
        "flow": of(lambda row: row.flow.uuid),
        "responded": only(True, lambda row: row.responded),
    },
    "statistics": {
        "since": (lambda rows: rows[len(rows) // 2].day, lambda row, value: bool(row.day >= value)),
        "until": (lambda rows: rows[-1].day - timedelta(days=3), lambda row, value: bool(row.day <= value)),
    },
    "tickets": {**BY_UUID, "contact": of(lambda row: row.contact.uuid)},
    "topics": {},
    "users": {
        "uuids": (lambda rows: [rows[0].uuid, rows[2].uuid], lambda row, value: row.uuid in value),
        "emails": (lambda rows: [rows[1].email, rows[2].email], lambda row, value: row.email in value),
        "roles": only(["editor", "agent"], lambda row: row.role in {"editor", "agent"}),
    },
}
# Not lists, and tested by name.
OBJECTS = {"definitions", "workspace"}
UNPAGED = {"statistics"}


def parameters(resource: str) -> set[str]:
    return set(inspect.signature(getattr(RapidProInterface, f"get_{resource}")).parameters) - {"self"}


# Those that can be split into windows.
MANY = [name for name in TABLE if "concurrency" in parameters(name)]
