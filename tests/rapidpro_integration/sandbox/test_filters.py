"""Each filter of each list keeps what it should, and treats nonsense as the real server does."""

from urllib.parse import quote

import pytest

from rapidpro_integration.sandbox.data import load
from rapidpro_integration.sandbox.lists import rows_of
from rapidpro_integration.sandbox.model import Json
from tests.rapidpro_integration.sandbox.conftest import Ask

UNKNOWN = "00000000-0000-4000-8000-000000000000"


def bodies(endpoint: str, slug: str = "national") -> list[Json]:
    return [row.body for row in rows_of(load()[slug], endpoint)]


async def listed(ask: Ask, path: str, token: str = "national") -> list[Json]:
    """Return all rows, over all pages."""
    rows: list[Json] = []
    url: str | None = path
    while url:
        response = await ask(url, token)
        assert response.status_code == 200, response.text
        rows += response.json()["results"]
        url = response.json()["next"]
    return rows


@pytest.mark.parametrize(
    ("folder", "directions", "statuses"),
    [
        ("inbox", {"in"}, {"handled"}),
        ("flows", {"in"}, {"handled"}),
        ("archived", {"in"}, {"handled"}),
        ("outbox", {"out"}, {"queued", "errored"}),
        ("sent", {"out"}, {"wired", "sent", "delivered", "read"}),
        ("failed", {"out"}, {"failed"}),
    ],
)
async def test_each_folder_shows_its_messages(ask: Ask, folder: str, directions: set[str], statuses: set[str]) -> None:
    rows = await listed(ask, f"messages.json?folder={folder}")

    assert {row["direction"] for row in rows} == directions
    assert {row["status"] for row in rows} == statuses
    assert {row["archived"] for row in rows} == {folder == "archived"}
    assert rows == await listed(ask, f"messages.json?folder={folder.upper()}")
    if folder in ("inbox", "flows"):
        assert {row["flow"] is None for row in rows} == {folder == "inbox"}


async def test_every_message_is_in_exactly_one_folder(ask: Ask) -> None:
    folders = ("inbox", "flows", "archived", "outbox", "sent", "failed")
    ids = [row["id"] for folder in folders for row in await listed(ask, f"messages.json?folder={folder}")]

    assert sorted(ids) == sorted(body["id"] for body in bodies("messages"))


async def test_sent_messages_are_ordered_by_when_they_left(ask: Ask) -> None:
    rows = await listed(ask, "messages.json?folder=sent")
    sent = [row["sent_on"] for row in rows]

    assert len(rows) > 500
    assert sent == sorted(sent, reverse=True)
    assert [row["created_on"] for row in rows] != sorted((row["created_on"] for row in rows), reverse=True)


async def test_messages_are_filtered_by_contact_label_and_broadcast(ask: Ask) -> None:
    messages = bodies("messages")
    contact = messages[0]["contact"]["uuid"]
    label = next(body["labels"][0] for body in messages if body["labels"])
    broadcast = next(body["broadcast"] for body in messages if body["broadcast"])

    assert {row["contact"]["uuid"] for row in await listed(ask, f"messages.json?contact={contact}")} == {contact}
    by_name = await listed(ask, f"messages.json?label={quote(label['name'])}")
    assert by_name
    assert all(label in row["labels"] for row in by_name)
    assert by_name == await listed(ask, f"messages.json?label={label['uuid']}")
    assert {row["broadcast"] for row in await listed(ask, f"messages.json?broadcast={broadcast}")} == {broadcast}


@pytest.mark.parametrize(
    "path",
    [
        *("messages.json?folder=nope", "messages.json?contact=abc", f"messages.json?contact={UNKNOWN}"),
        *("messages.json?label=nope", "messages.json?broadcast=999999", "messages.json?before=yesterday"),
        *("runs.json?contact=abc", "tickets.json?contact=abc", "channel_events.json?contact=abc"),
        *("contacts.json?group=nope", "contacts.json?urn=tel:1", "flow_starts.json?after=tomorrow"),
        *(f"flow_starts.json?uuid={UNKNOWN}", f"broadcasts.json?uuid={UNKNOWN}", f"tickets.json?uuid={UNKNOWN}"),
    ],
)
async def test_what_names_nothing_gives_an_empty_list(ask: Ask, path: str) -> None:
    assert await listed(ask, path) == []


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        (
            "messages.json?contact=a&folder=inbox",
            "You may only specify one of the contact, folder, label, broadcast parameters",
        ),
        ("runs.json?contact=a&flow=b", "You may only specify one of the contact, flow parameters"),
        ("messages.json?id=abc", "Value for id must be an integer"),
        ("broadcasts.json?id=abc", "Value for id must be an integer"),
        ("channel_events.json?id=abc", "Value for id must be an integer"),
        ("runs.json?flow=", "Param 'flow':  is not a valid UUID."),
        *((f"{name}.json?uuid=", "Param 'uuid':  is not a valid UUID.") for name in ("messages", "contacts", "runs")),
        *((f"{name}.json?uuid=x", "Param 'uuid': x is not a valid UUID.") for name in ("flow_starts", "broadcasts")),
    ],
)
async def test_what_the_server_validates_is_a_400_with_its_words(ask: Ask, path: str, detail: str) -> None:
    response = await ask(path, "national")

    assert (response.status_code, response.json()) == (400, {"detail": detail})


@pytest.mark.parametrize("endpoint", ["messages", "broadcasts", "flow_starts", "runs", "tickets", "contacts"])
async def test_a_row_is_found_by_its_uuid(ask: Ask, endpoint: str) -> None:
    body = next(body for body in bodies(endpoint) if body.get("status") != "deleted" and body.get("urns") != [])

    assert await listed(ask, f"{endpoint}.json?uuid={body['uuid']}") == [body]


@pytest.mark.parametrize("endpoint", ["messages", "broadcasts", "channel_events", "runs"])
async def test_a_row_is_found_by_its_number(ask: Ask, endpoint: str) -> None:
    assert [row["id"] for row in await listed(ask, f"{endpoint}.json?id=7")] == [7]


async def test_tickets_and_channel_events_are_filtered_by_contact(ask: Ask) -> None:
    for endpoint in ("tickets", "channel_events"):
        contact = bodies(endpoint)[0]["contact"]
        rows = await listed(ask, f"{endpoint}.json?contact={contact['uuid']}")
        assert rows == [body for body in bodies(endpoint) if body["contact"] == contact]


async def test_filters_of_contacts_go_together(ask: Ask) -> None:
    contact = next(body for body in bodies("contacts") if body["groups"])
    uuid, group = contact["uuid"], contact["groups"][0]["uuid"]

    assert await listed(ask, f"contacts.json?uuid={uuid}&group={group}&deleted=false") == [contact]
    assert await listed(ask, f"contacts.json?uuid={uuid}&group={UNKNOWN}") == []
    assert await listed(ask, f"contacts.json?uuid={uuid}&deleted=true") == []


async def test_deleted_contacts_are_listed_only_when_asked_for(ask: Ask) -> None:
    living, deleted = await listed(ask, "contacts.json"), await listed(ask, "contacts.json?deleted=true")

    assert len(living) == 600
    assert len(deleted) == 14
    assert {row["status"] for row in living} == {"active", "blocked", "stopped", "archived"}
    assert all(row["name"] is None and row["status"] is None and row["urns"] == [] for row in deleted)


@pytest.mark.parametrize(
    ("endpoint", "key"),
    [
        *(("messages", "created_on"), ("broadcasts", "created_on"), ("channel_events", "created_on")),
        *(("contacts", "modified_on"), ("runs", "modified_on"), ("flow_starts", "modified_on")),
    ],
)
async def test_a_window_of_time_keeps_both_of_its_bounds(ask: Ask, endpoint: str, key: str) -> None:
    everything = await listed(ask, f"{endpoint}.json")
    newest, oldest = everything[20][key], everything[60][key]
    window = await listed(ask, f"{endpoint}.json?after={oldest}&before={newest}")

    assert window == [row for row in everything if oldest <= row[key] <= newest]
    assert len(window) >= 41


async def test_campaign_events_are_filtered_by_the_campaigns_uuid_or_name(ask: Ask) -> None:
    campaign = bodies("campaigns")[0]
    by_uuid = await listed(ask, f"campaign_events.json?campaign={campaign['uuid']}")

    assert len(by_uuid) == 5
    assert {row["campaign"]["uuid"] for row in by_uuid} == {campaign["uuid"]}
    assert by_uuid == await listed(ask, f"campaign_events.json?campaign={quote(campaign['name'])}")
    assert await listed(ask, "campaign_events.json?campaign=nope") == []
    assert {row["archived"] for row in await listed(ask, "campaigns.json")} == {False}
    assert await listed(ask, f"campaigns.json?uuid={campaign['uuid']}") == [campaign]


async def test_resthooks_are_read_by_name_and_either_way_round(ask: Ask) -> None:
    for endpoint in ("resthook_subscribers", "resthook_events"):
        rows = await listed(ask, f"{endpoint}.json?resthook=new-registration")
        assert {row["resthook"] for row in rows} == {"new-registration"}
        assert await listed(ask, f"{endpoint}.json?resthook=nope") == []
    assert [row["id"] for row in await listed(ask, "resthook_subscribers.json?id=2")] == [2]
    assert len(await listed(ask, "resthooks.json")) == 3


async def test_users_are_filtered_by_repeated_parameters(ask: Ask) -> None:
    users = {body["role"]: body for body in bodies("users")}
    admin, editor = users["administrator"], users["editor"]
    both = sorted([admin["uuid"], editor["uuid"]])

    for query in (
        "role=administrator&role=editor",
        f"email={admin['email'].upper()}&email={editor['email']}",
        f"uuid={admin['uuid']}&uuid={editor['uuid']}",
    ):
        assert sorted(row["uuid"] for row in await listed(ask, f"users.json?{query}")) == both
    assert await listed(ask, "users.json?role=nope") == []
    assert (await ask(f"users.json?uuid={admin['uuid']}&uuid=x", "national")).status_code == 400


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        ("channels.json?address=4040", "address", "4040"),
        ("fields.json?key=village", "key", "village"),
        ("globals.json?key=helpline", "key", "helpline"),
    ],
)
async def test_short_lists_are_filtered_by_what_names_a_row(ask: Ask, path: str, key: str, value: str) -> None:
    assert [row[key] for row in await listed(ask, path)] == [value]


@pytest.mark.parametrize("endpoint", ["contacts", "flow_starts", "globals", "resthooks", "runs", "tickets"])
async def test_lists_in_order_of_change_can_be_turned_round(ask: Ask, endpoint: str) -> None:
    newest = await listed(ask, f"{endpoint}.json")
    oldest = await listed(ask, f"{endpoint}.json?reverse=1")

    assert sorted(newest, key=str) == sorted(oldest, key=str)
    moments = [row["modified_on"] for row in oldest]
    assert moments[0] < moments[-1]
    assert [row["modified_on"] for row in newest] == moments[::-1]


@pytest.mark.parametrize("endpoint", ["messages", "broadcasts", "channel_events", "flows"])
async def test_other_lists_ignore_the_wish_to_be_turned_round(ask: Ask, endpoint: str) -> None:
    plain, asked = await ask(f"{endpoint}.json", "national"), await ask(f"{endpoint}.json?reverse=1", "national")

    assert plain.json()["results"] == asked.json()["results"]


async def test_a_campaigns_definition_brings_its_flows_unless_told_not_to(ask: Ask) -> None:
    campaign, other = bodies("campaigns", "clinics")[:2]
    url = f"definitions.json?campaign={campaign['uuid']}&campaign={other['uuid']}&campaign={UNKNOWN}"
    whole = (await ask(url, "clinics")).json()
    alone = (await ask(f"{url}&dependencies=none", "clinics")).json()

    assert {one["uuid"] for one in whole["campaigns"]} == {campaign["uuid"], other["uuid"]}
    needed = {event["flow"]["uuid"] for one in whole["campaigns"] for event in one["events"] if "flow" in event}
    assert needed
    assert needed <= {flow["uuid"] for flow in whole["flows"]}
    assert {one["name"] for one in whole["groups"]} >= {campaign["group"]["name"]}
    assert alone["campaigns"] == whole["campaigns"]
    assert alone["flows"] == alone["groups"] == alone["fields"] == []
    assert (await ask("definitions.json?campaign=", "clinics")).status_code == 500


@pytest.mark.parametrize("dependencies", ["", "some"])
async def test_an_unknown_wish_for_dependencies_is_a_400(ask: Ask, dependencies: str) -> None:
    response = await ask(f"definitions.json?dependencies={dependencies}", "clinics")

    assert response.status_code == 400
    assert response.json() == {"detail": "dependencies must be one of none, flows, all"}
