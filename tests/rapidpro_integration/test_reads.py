"""Every resource by each of its methods and each of its filters, asked of a sandbox over loopback HTTP."""

import inspect
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
import respx
from asgiref.sync import async_to_sync

from rapidpro_integration.client import resources
from rapidpro_integration.client.resources import Resource
from rapidpro_integration.client.types import Rows
from rapidpro_integration.interface import RapidProInterface
from rapidpro_integration.sandbox.endpoints import ENDPOINTS
from tests.conftest import SECRET, SERVER
from tests.rapidpro_integration.served import Served, served

type Choose = Callable[[list[Any]], Any]
type Keep = Callable[[Any, Any], bool]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Served]:
    with served() as running:
        yield running


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
# Turned round, or asked another way: what they do to a list is looked at by tests of their own below.
SHAPES = {"reverse", "concurrency", "paths", "deleted", "urn_order"}

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
FILTERS = [(resource, name) for resource, filters in TABLE.items() for name in filters]


def parameters(resource: str) -> set[str]:
    return set(inspect.signature(getattr(RapidProInterface, f"get_{resource}")).parameters) - {"self"}


def each_way(interface: RapidProInterface, resource: str, **asked: Any) -> list[Any]:
    """Return the rows that every method of a resource gives, which are the same."""
    rows: list[Any] = getattr(interface, f"get_{resource}")(**asked)

    async def others() -> None:
        assert await getattr(interface, f"aget_{resource}")(**asked) == rows
        if resource not in UNPAGED:
            found = [page async for page in getattr(interface, f"aiter_{resource}")(**asked)]
            paged = [row for page in found for row in page.rows]
            if resource == "flows":
                # Whole lists have flows of one moment by uuid, pages as the server has them.
                paged.sort(key=lambda flow: (flow.created_on, -flow.identity), reverse=True)
            assert paged == rows
            assert [page.number for page in found] == list(range(1, len(found) + 1))
            assert all(len(page.rows) == 250 for page in found[:-1])

    async_to_sync(others)()
    assert isinstance(rows, Rows)
    assert (rows.stopped_because, rows.unreadable_count) == ("", 0)
    return rows


# --- The table is whole -------------------------------------------------------------------------


def test_table_has_every_resource_that_a_server_lets_read() -> None:
    readable = {name for name, endpoint in ENDPOINTS.items() if endpoint.reads} - {"org"}
    assert set(TABLE) | OBJECTS == readable
    assert {one.name for one in vars(resources).values() if isinstance(one, Resource)} == set(TABLE)


def test_table_has_every_method() -> None:
    methods = {name for name in dir(RapidProInterface) if name.startswith(("get_", "aget_", "aiter_"))}
    methods -= {"get_status_code_interpretation", "get_flow", "aget_flow"}
    expected = {f"{way}{name}" for name in TABLE for way in ("get_", "aget_", "aiter_")} - {"aiter_statistics"}
    assert methods == expected | {f"{way}{name}" for name in OBJECTS for way in ("get_", "aget_")}


@pytest.mark.parametrize("resource", TABLE)
def test_table_has_every_parameter_of_a_method(resource: str) -> None:
    assert parameters(resource) - SHAPES == set(TABLE[resource])
    for way in ("aget_", "aiter_"):
        if hasattr(RapidProInterface, way + resource):
            assert set(inspect.signature(getattr(RapidProInterface, way + resource)).parameters) - {"self"} == (
                parameters(resource)
            )


@pytest.mark.parametrize("resource", [*TABLE, *OBJECTS])
def test_every_method_says_where_its_facts_are_from(resource: str) -> None:
    for way in ("get_", "aget_", "aiter_"):
        method = getattr(RapidProInterface, way + resource, None)
        if method is not None:
            assert resource == "workspace" or "Source: rapidpro-api.md" in method.__doc__
            assert method.__doc__.startswith("Iterate over" if way == "aiter_" else "Return ")


# --- Asked --------------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", TABLE)
def test_whole_list_comes_by_every_method(sandbox: Served, resource: str) -> None:
    rows = each_way(sandbox.interface(), resource)
    assert rows
    identities = [row.identity for row in rows if row.identity is not None]
    assert len(set(identities)) == len(identities)


@pytest.mark.parametrize(("resource", "name"), FILTERS)
def test_filter_leaves_the_rows_that_it_should(sandbox: Served, resource: str, name: str) -> None:
    interface = sandbox.interface()
    rows = getattr(interface, f"get_{resource}")()
    choose, keep = TABLE[resource][name]
    value = choose(rows)
    expected = [row for row in rows if keep(row, value)]
    found = each_way(interface, resource, **{name: value})
    if (resource, name) == ("statistics", "until"):
        # A window of as many days, that ends earlier.
        assert found[-len(expected) :] == expected
        assert found[-1].day <= value
    else:
        assert found == expected
    assert 0 < len(expected) < len(rows)


@pytest.mark.parametrize("resource", [name for name in TABLE if "reverse" in parameters(name)])
def test_reverse_gives_the_oldest_first(sandbox: Served, resource: str) -> None:
    rows = each_way(sandbox.interface(), resource)
    assert each_way(sandbox.interface(), resource, reverse=True) == rows[::-1]


def test_runs_without_paths_are_the_same_runs(sandbox: Served) -> None:
    rows = sandbox.interface().get_runs(responded=True)
    bare = each_way(sandbox.interface(), "runs", responded=True, paths=False)
    assert [run.uuid for run in bare] == [run.uuid for run in rows]
    assert {run.path for run in bare} == {None}
    assert all(run.path for run in rows)


def test_deleted_contacts_are_others(sandbox: Served) -> None:
    rows = sandbox.interface().get_contacts()
    deleted = each_way(sandbox.interface(), "contacts", deleted=True)
    assert deleted
    assert not {contact.uuid for contact in deleted} & {contact.uuid for contact in rows}


def test_order_of_urns_is_sent(sandbox: Served) -> None:
    sandbox.requests.clear()
    sandbox.interface().get_contacts(urn_order="asc", deleted=True)
    assert sandbox.requests[0][2] == {"urn_order": ["asc"], "deleted": ["true"]}


def test_campaign_is_named_by_uuid_too(sandbox: Served) -> None:
    campaign = sandbox.interface().get_campaigns()[0]
    events = sandbox.interface().get_campaign_events(campaign=campaign.uuid)
    assert events == sandbox.interface().get_campaign_events(campaign=campaign.name)


@pytest.mark.parametrize("name", ["group", "label"])
def test_group_and_label_are_named_by_uuid_too(sandbox: Served, name: str) -> None:
    interface = sandbox.interface()
    get, things = {
        "group": (interface.get_contacts, interface.get_groups(manual_only=True)),
        "label": (interface.get_messages, interface.get_labels()),
    }[name]
    assert get(**{name: things[0].uuid}) == get(**{name: things[0].name})


def test_workspace_and_definitions(sandbox: Served) -> None:
    interface = sandbox.interface("clinics")
    assert interface.get_workspace().name == "عيادات الشمال — Northern Clinics"
    flows = [flow.uuid for flow in interface.get_flows() if flow.type]
    unknown = uuid4()
    found = interface.get_definitions([*reversed(flows), unknown])
    assert [item["uuid"] for item in found.flows] == [str(uuid) for uuid in reversed(flows)]
    assert found.missing == (unknown,)
    assert found.as_export()["flows"] == list(found.flows)
    (alone,) = interface.get_definitions([flows[0]]).flows
    assert alone["uuid"] == str(flows[0])
    everything = [interface.get_definitions([flow], dependencies="all") for flow in flows]
    assert [found.flows[0]["uuid"] for found in everything] == [str(flow) for flow in flows]
    assert max(len(found.flows) for found in everything) > 1
    campaign = interface.get_campaigns()[0]
    assert interface.get_definitions(campaigns=[campaign.uuid]).campaigns[0]["uuid"] == str(campaign.uuid)


def test_definitions_of_many_flows_come_in_batches(sandbox: Served) -> None:
    interface = sandbox.interface()
    flows = [flow.uuid for flow in interface.get_flows() if flow.results][:120]
    sandbox.requests.clear()
    found = interface.get_definitions(flows)
    assert [item["uuid"] for item in found.flows] == [str(uuid) for uuid in flows]
    assert [len(query["flow"]) for _, _, query in sandbox.requests] == [50, 50, 20]


# --- Many at once -------------------------------------------------------------------------------

MANY = [name for name in TABLE if "concurrency" in parameters(name)]


def test_lists_that_can_be_split_are_these() -> None:
    assert set(MANY) == {
        *("flows", "messages", "runs", "contacts", "broadcasts", "flow_starts", "globals", "channel_events")
    }


@pytest.mark.parametrize("resource", MANY)
@pytest.mark.parametrize("concurrency", [2, 16])
def test_many_at_once_give_the_same_list(sandbox: Served, resource: str, concurrency: int) -> None:
    interface = sandbox.interface()
    get = getattr(interface, f"get_{resource}")
    in_turn = get()
    assert get(concurrency=concurrency) == in_turn
    moments = sorted(getattr(row, "modified_on", None) or row.created_on for row in in_turn)
    for after, before in (
        (moments[len(moments) // 4], None),
        (None, moments[len(moments) // 2]),
        moments[:: len(moments) - 1],
    ):
        assert get(before, after, concurrency=concurrency) == get(before, after)
    if "reverse" in parameters(resource):
        assert get(reverse=True, concurrency=concurrency) == in_turn[::-1]


def test_many_at_once_give_sent_messages_in_the_order_of_sending(sandbox: Served) -> None:
    interface = sandbox.interface()
    sent = interface.get_messages(folder="sent")
    assert len(sent) > 500
    assert interface.get_messages(folder="sent", concurrency=16) == sent


# --- Refused before anything is sent ------------------------------------------------------------

UUID = "6e99f824-2ea1-4731-9b59-9afdcda1399b"
UUID_PARAMETERS = [
    (resource, name) for resource in TABLE for name in ("uuid", "contact", "flow") if name in TABLE[resource]
]
# A None by mistake must not ask for everything.
TEXT_PARAMETERS = [
    (resource, name)
    for resource in TABLE
    for name, parameter in inspect.signature(getattr(RapidProInterface, f"get_{resource}")).parameters.items()
    if parameter.default == "" and name not in {"before_date", "after_date", "since", "until"}
]
REFUSED: list[tuple[str, dict[str, Any]]] = [
    *((resource, {name: "abc"}) for resource, name in UUID_PARAMETERS),
    *((resource, {"before_date": "2026-01-01", "after_date": "2026-01-02"}) for resource in (*MANY, "archives")),
    *((resource, {"after_date": "01/06/2025"}) for resource in (*MANY, "archives")),
    *((resource, {"concurrency": wrong}) for resource in MANY for wrong in (0, -1, 51)),
    *((resource, {"id": -1}) for resource in TABLE if "id" in TABLE[resource]),
    *((resource, {name: None}) for resource, name in TEXT_PARAMETERS),
    ("users", {"uuids": ["abc"]}),
    ("users", {"uuids": [""]}),
    ("definitions", {}),
    ("definitions", {"uuids": [""]}),
    ("definitions", {"uuids": [UUID], "dependencies": "some"}),
    ("flow", {"uuid": ""}),
    ("runs", {"contact": UUID, "flow": UUID}),
    ("groups", {"uuid": UUID, "name": "A"}),
    ("labels", {"uuid": UUID, "name": "A"}),
    ("contacts", {"uuid": UUID, "deleted": True}),
    ("contacts", {"urn": "tel:1", "group": "A"}),
    *(("messages", {"contact": UUID, **more}) for more in ({"folder": "inbox"}, {"label": "A"}, {"broadcast": 5})),
    ("messages", {"folder": "inbox", "label": "A"}),
    ("statistics", {"since": "2026-02-02", "until": "2026-02-01"}),
    ("statistics", {"since": "2025-01-01", "until": "2026-01-03"}),
    ("statistics", {"since": "yesterday"}),
]  # fmt: skip


@pytest.mark.parametrize(("resource", "asked"), REFUSED, ids=str)
async def test_senseless_question_is_refused_before_any_request(
    respx_mock: respx.MockRouter, resource: str, asked: dict[str, Any]
) -> None:
    interface = RapidProInterface(SECRET, SERVER)
    with pytest.raises(ValueError):
        await getattr(interface, f"aget_{resource}")(**asked)
    if hasattr(interface, f"aiter_{resource}"):
        with pytest.raises(ValueError):
            getattr(interface, f"aiter_{resource}")(**asked)
    assert not respx_mock.calls


def test_pages_do_not_come_many_at_once() -> None:
    with pytest.raises(ValueError):
        RapidProInterface(SECRET, SERVER).aiter_runs(concurrency=2)


@pytest.mark.parametrize(
    ("resource", "asked"),
    [("definitions", {"uuids": UUID}), ("users", {"emails": "a@example.org"}), ("users", {"roles": "agent"})],
)
def test_one_text_is_no_list_of_them(resource: str, asked: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        getattr(RapidProInterface(SECRET, SERVER), f"get_{resource}")(**asked)


def test_366_days_are_counted_where_the_caller_is(sandbox: Served) -> None:
    """Between them the clocks change once, so that they are an hour more than 366 times 24 hours."""
    interface = sandbox.interface(timezone="Europe/Berlin")
    assert interface.get_statistics("2025-06-30", "2026-07-01")
    assert interface.get_statistics("2025-09-01", "2026-09-02")
    assert interface.get_statistics(date(2025, 10, 25), date(2026, 10, 26))
    with pytest.raises(ValueError):
        interface.get_statistics("2025-10-25", "2026-10-27")


@pytest.mark.parametrize("timezone", ["UTC", "Pacific/Auckland", "America/Los_Angeles"])
def test_days_of_archives_are_days_everywhere(sandbox: Served, timezone: str) -> None:
    archives = sandbox.interface().get_archives()
    day = archives[20].start_date
    interface = sandbox.interface(timezone=timezone)
    assert {one.start_date for one in interface.get_archives(day, day)} == {day}
