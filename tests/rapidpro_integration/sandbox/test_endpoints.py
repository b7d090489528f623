import json

import pytest

from rapidpro_integration.sandbox.app import create_app
from rapidpro_integration.sandbox.data import load
from rapidpro_integration.sandbox.endpoints import ENDPOINTS
from rapidpro_integration.sandbox.people import contacts
from rapidpro_integration.sandbox.runs import runs
from rapidpro_integration.sandbox.views import accepted_type
from tests.rapidpro_integration.sandbox.conftest import Ask

SERVER_ERROR = "Server Error. Site administrators have been notified."


async def results(ask: Ask, path: str, token: str = "clinics") -> list[dict[str, object]]:
    response = await ask(path, token)
    assert response.status_code == 200, response.text
    rows: list[dict[str, object]] = response.json()["results"]
    return rows


async def test_the_workspace_says_what_it_is(ask: Ask) -> None:
    response = await ask("workspace.json", "clinics")

    assert response.json()["name"] == "عيادات الشمال — Northern Clinics"
    assert response.json()["languages"] == ["ara", "eng"]
    assert response.headers["X-Temba-Workspace"] == response.json()["uuid"]
    assert (await ask("org.json", "clinics")).json() == response.json()


async def test_dates_filter_on_modified_and_both_bounds_belong_to_the_window(ask: Ask) -> None:
    row = next(row.body for row in load()["clinics"].tables["flows"] if row.body["name"] == "متابعة الحضور المدرسي")
    stamp = row["modified_on"]

    assert [one["uuid"] for one in await results(ask, f"flows.json?after={stamp}&before={stamp}")] == [row["uuid"]]
    assert await results(ask, f"flows.json?after={row['created_on']}&before={row['created_on']}") == []
    assert await results(ask, f"flows.json?after={stamp[:23]}Z&before={stamp[:23]}Z") == []


async def test_a_raw_plus_in_a_date_gives_nothing_and_an_escaped_one_works(ask: Ask) -> None:
    assert await results(ask, "flows.json?after=2025-06-01T00:00:00+03:00") == []
    assert await results(ask, "flows.json?after=2025-06-01T00:00:00%2B03:00") != []


async def test_an_empty_uuid_is_a_400_even_beside_empty_dates(ask: Ask) -> None:
    response = await ask("flows.json?uuid=&before=&after=", "clinics")

    assert response.status_code == 400
    assert response.json() == {"detail": "Param 'uuid':  is not a valid UUID."}


async def test_archived_flows_are_listed_unless_filtered(ask: Ask) -> None:
    assert len(await results(ask, "flows.json")) == 12
    assert [row["archived"] for row in await results(ask, "flows.json?archived=yes")] == [True]
    assert len(await results(ask, "flows.json?archived=maybe")) == 11


async def test_types_are_filtered_and_unknown_ones_match_nothing(ask: Ask) -> None:
    assert {row["type"] for row in await results(ask, "flows.json?type=voice")} == {"voice"}
    assert await results(ask, "flows.json?type=VOICE") == []


async def test_runs_are_filtered(ask: Ask) -> None:
    run = runs("clinics")[0].body
    flow, contact = run["flow"]["uuid"], run["contact"]["uuid"]

    assert {row["flow"]["uuid"] for row in await results(ask, f"runs.json?flow={flow}")} == {flow}  # type: ignore[index]
    assert {row["contact"]["uuid"] for row in await results(ask, f"runs.json?contact={contact}")} == {contact}  # type: ignore[index]
    assert {row["responded"] for row in await results(ask, "runs.json?responded=1")} == {True}
    assert {str(row["path"]) for row in await results(ask, "runs.json?paths=false")} == {"None"}
    assert [row["id"] for row in await results(ask, "runs.json?id=7")] == [7]
    assert [row["uuid"] for row in await results(ask, f"runs.json?uuid={run['uuid']}")] == [run["uuid"]]


async def test_contacts_are_filtered(ask: Ask) -> None:
    contact = next(row.body for row in contacts("clinics") if row.body["groups"])
    group = contact["groups"][0]

    assert [
        row["uuid"] for row in await results(ask, f"contacts.json?urn={contact['urns'][0]}".replace("+", "%2B"))
    ] == [contact["uuid"]]
    by_name = await results(ask, f"contacts.json?group={group['name']}")
    assert contact["uuid"] in {row["uuid"] for row in by_name}
    assert by_name == await results(ask, f"contacts.json?group={group['uuid']}")


async def test_groups_and_labels_are_filtered(ask: Ask) -> None:
    assert [row["name"] for row in await results(ask, "groups.json?name=vaccinators")] == ["Vaccinators"]
    manual = await results(ask, "groups.json?manual_only=1")
    assert manual
    assert all(row["query"] is None and not row["system"] for row in manual)
    assert [row["name"] for row in await results(ask, "labels.json?name=cash")] == ["Cash"]


@pytest.mark.parametrize("path", ["tickets.json?uuid=abc", "definitions.json?flow=", "definitions.json?flow=abc"])
async def test_what_breaks_the_real_server_is_a_500_in_plain_words(ask: Ask, path: str) -> None:
    response = await ask(path, "clinics")

    assert response.status_code == 500
    assert response.text == SERVER_ERROR
    assert response.headers["Content-Type"].startswith("text/html")


async def test_tickets_are_filtered_by_a_good_uuid(ask: Ask) -> None:
    assert await results(ask, "tickets.json?uuid=00000000-0000-4000-8000-000000000000") == []


async def test_the_broken_workspace_is_known_but_cannot_list_its_flows(ask: Ask) -> None:
    assert (await ask("workspace.json", "broken")).status_code == 200
    response = await ask("flows.json", "broken")

    assert response.status_code == 500
    assert response.text == SERVER_ERROR
    assert "X-Temba-Workspace" in response.headers


async def test_a_definition_is_served(ask: Ask) -> None:
    uuid = next(iter(load()["clinics"].scripts))
    body = (await ask(f"definitions.json?flow={uuid}&dependencies=none", "clinics")).json()

    assert [flow["uuid"] for flow in body["flows"]] == [uuid]
    assert body["version"] == "13"


@pytest.mark.parametrize("name", [name for name, endpoint in ENDPOINTS.items() if endpoint.reads])
async def test_every_endpoint_answers(ask: Ask, name: str) -> None:
    assert (await ask(f"{name}.json", "national")).status_code == 200
    page = await ask(name, headers={"Accept": "*/*"})
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")


@pytest.mark.parametrize("token", ["agent", "removed"])
async def test_the_root_welcomes_those_whom_the_endpoints_refuse(ask: Ask, token: str) -> None:
    assert (await ask(".json", token)).status_code == 200
    response = await ask("workspace.json", token)

    assert response.status_code == 403
    assert response.json() == {"detail": "You do not have permission to perform this action."}
    assert "X-Temba-Workspace" in response.headers


async def test_a_good_basic_header_works_and_a_malformed_one_does_not(ask: Ask) -> None:
    response = await ask("flows.json", headers={"Authorization": "Basic ***"})

    assert response.status_code == 403
    assert response.json() == {"detail": "Invalid basic header. Credentials not correctly base64 encoded."}


async def test_next_names_the_host_that_was_asked_and_https_if_forwarded(ask: Ask) -> None:
    headers = {"Host": "evil.example", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "other.example"}
    body = (await ask("flows.json", "national", headers=headers)).json()

    assert body["next"].startswith("https://evil.example/api/v2/flows.json?cursor=")
    plain = (await ask("flows.json", "national", headers={"X-Forwarded-Proto": "HTTPS"})).json()
    assert plain["next"].startswith("http://sandbox.example/")


async def test_labels_are_created_and_deleted_within_one_app_only(ask: Ask) -> None:
    app = create_app()
    created = await ask("labels.json", "clinics", app, method="POST", content=json.dumps({"name": "جديد"}))
    names = [row["name"] for row in (await ask("labels.json", "clinics", app)).json()["results"]]

    assert created.status_code == 201
    assert names[0] == "جديد"
    assert "جديد" not in [row["name"] for row in await results(ask, "labels.json")]
    gone = await ask(f"labels.json?uuid={created.json()['uuid']}", "clinics", app, method="DELETE")
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await ask("labels.json", "clinics", app, method="DELETE")).status_code == 400
    assert (await ask("labels.json", method="POST")).status_code == 403


@pytest.mark.parametrize(
    ("accept", "json_only", "expected"),
    [
        ("", False, "text/html; charset=utf-8"),
        ("*/*", True, "application/json"),
        ("application/*", False, "application/json"),
        ("text/html, application/json", True, "application/json"),
        ("*/*, application/json;q=0.1", False, "application/json"),
        ("image/png", False, None),
    ],
)
def test_the_accept_header_decides_between_page_and_json(accept: str, json_only: bool, expected: str | None) -> None:
    assert accepted_type(accept, json_only=json_only) == expected
