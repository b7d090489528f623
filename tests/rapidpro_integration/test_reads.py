"""Every resource by each of its methods and each of its filters, asked of a sandbox over loopback HTTP."""

import inspect
from collections.abc import Iterator
from datetime import date
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync

from rapidpro_integration.client import resources
from rapidpro_integration.client.resources import Resource
from rapidpro_integration.client.types import Rows
from rapidpro_integration.interface import RapidProInterface
from rapidpro_integration.sandbox.endpoints import ENDPOINTS
from tests.rapidpro_integration.reads_table import MANY, OBJECTS, SHAPES, TABLE, UNPAGED, parameters
from tests.rapidpro_integration.served import Served, served


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Served]:
    with served() as running:
        yield running


FILTERS = [(resource, name) for resource, filters in TABLE.items() for name in filters]


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
    methods -= {"get_status_code_interpretation", "get_flow", "aget_flow", "aiter_flow_pages"}
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


# --- Days ---------------------------------------------------------------------------------------


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


async def test_pages_of_flows_come_by_their_first_name_too(sandbox: Served) -> None:
    interface = sandbox.interface("clinics")
    first = [page.rows async for page in interface.aiter_flow_pages()]
    assert first == [page.rows async for page in interface.aiter_flows()]
    assert first
