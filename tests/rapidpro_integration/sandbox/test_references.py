"""What the long lists mention is there to be found, and nothing happened before it could or after now."""

import pytest

from rapidpro_integration.sandbox.data import load
from rapidpro_integration.sandbox.endpoints import ENDPOINTS
from rapidpro_integration.sandbox.lists import rows_of
from rapidpro_integration.sandbox.model import NOW, Json

LARGE = ("clinics", "districts", "national")


def bodies(slug: str, endpoint: str) -> list[Json]:
    return [row.body for row in rows_of(load()[slug], endpoint)]


@pytest.mark.parametrize("slug", LARGE)
@pytest.mark.parametrize(
    ("endpoint", "key", "mentioned"),
    [
        *(("messages", "contact", "contacts"), ("messages", "channel", "channels"), ("messages", "labels", "labels")),
        *(("messages", "flow", "flows"), ("tickets", "contact", "contacts"), ("tickets", "topic", "topics")),
        *(
            ("tickets", "opened_in", "flows"),
            ("broadcasts", "groups", "groups"),
            ("broadcasts", "contacts", "contacts"),
        ),
        *(("flow_starts", "flow", "flows"), ("flow_starts", "groups", "groups"), ("runs", "start", "flow_starts")),
        *(("flow_starts", "contacts", "contacts"), ("contacts", "groups", "groups"), ("contacts", "flow", "flows")),
        *(("channel_events", "contact", "contacts"), ("channel_events", "channel", "channels")),
        *(("campaigns", "group", "groups"), ("campaign_events", "campaign", "campaigns")),
        ("campaign_events", "flow", "flows"),
    ],
)
def test_mentions_name_rows_of_the_workspace(slug: str, endpoint: str, key: str, mentioned: str) -> None:
    names = {body["uuid"]: body.get("name") for body in bodies(slug, mentioned)}
    values = [body[key] for body in bodies(slug, endpoint) if body[key]]
    mentions = [one for value in values for one in (value if isinstance(value, list) else [value])]

    assert mentions
    assert all(one["uuid"] in names for one in mentions)
    assert all(one["name"] == names[one["uuid"]] for one in mentions if "name" in one)


@pytest.mark.parametrize("slug", LARGE)
def test_runs_were_started_by_starts_of_their_own_flow_that_came_before(slug: str) -> None:
    starts = {row.body["uuid"]: row for row in rows_of(load()[slug], "flow_starts")}
    started = [row for row in rows_of(load()[slug], "runs") if row.body["start"]]

    assert started
    for row in started:
        start = starts[row.body["start"]["uuid"]]
        assert start.body["flow"] == row.body["flow"]
        assert start.created_on <= row.created_on


@pytest.mark.parametrize("slug", LARGE)
def test_messages_of_a_broadcast_have_its_moment_and_one_of_its_texts(slug: str) -> None:
    broadcasts = {row.id: row for row in rows_of(load()[slug], "broadcasts")}
    sent = [row for row in rows_of(load()[slug], "messages") if row.body["broadcast"]]

    assert sent
    for row in sent:
        assert row.created_on == broadcasts[row.body["broadcast"]].created_on
        assert row.body["text"] in broadcasts[row.body["broadcast"]].body["text"].values()


@pytest.mark.parametrize("slug", LARGE)
def test_staff_on_tickets_are_users_of_the_workspace(slug: str) -> None:
    emails = {body["email"] for body in bodies(slug, "users")}
    mentioned = [body[key] for body in bodies(slug, "tickets") for key in ("assignee", "opened_by") if body[key]]

    assert {one["email"] for one in mentioned} == emails


@pytest.mark.parametrize("endpoint", sorted(ENDPOINTS))
def test_nothing_was_changed_before_it_was_made_or_after_now(endpoint: str) -> None:
    for workspace in load().values():
        for row in rows_of(workspace, endpoint):
            assert row.created_on <= row.modified_on <= NOW
            assert row.sent_on is None or row.created_on <= row.sent_on <= NOW


@pytest.mark.parametrize("slug", ["empty", "limited", "broken"])
def test_the_small_technical_workspaces_have_none_of_the_long_lists(slug: str) -> None:
    for endpoint in (
        "archives",
        "boundaries",
        "campaigns",
        "contacts",
        "messages",
        "resthook_events",
        "runs",
        "tickets",
    ):
        assert rows_of(load()[slug], endpoint) == ()
