"""The flow pages: what the server has, in the person's words and time zone, and each problem with its page."""

import json
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import respx
from django.test import Client
from django.utils import timezone
from django.utils.html import escape

from accounts.models import User
from rapidpro_integration.client.errors import Kind
from rapidpro_integration.models import RapidProToken, TokenState
from rapidpro_integration.problems import PROBLEMS
from tests.conftest import SECRET, SERVER, TokenMaker

type Answer = Callable[..., respx.Route]

FLOWS = "flows.json"
UUID = "5a1e7a8c-7a35-4f0e-9b5f-0e3c7c2f5d10"


def flow(number: int = 0, **changes: Any) -> dict[str, Any]:
    return {
        "uuid": f"{number:08x}-7a35-4f0e-9b5f-0e3c7c2f5d10",
        "name": f"Flow {number}",
        "type": "message",
        "archived": False,
        "labels": [{"uuid": UUID, "name": "Nutrition"}],
        "expires": 720,
        "runs": {"active": 1, "waiting": 2, "completed": 6_000, "expired": 1_997, "interrupted": 0, "failed": 0},
        "results": [{"key": "age", "name": "Age", "categories": ["Child", "Adult"], "node_uuids": [UUID]}],
        "parent_refs": ["district"],
        "created_on": "2026-01-02T03:04:05Z",
        "modified_on": "2026-11-20T22:30:00.123456Z",
    } | changes


def page_of(*flows: Any, following: str | None = None) -> dict[str, Any]:
    return {"next": following, "previous": None, "results": list(flows)}


def get(client: Client, token: RapidProToken, query: str = "", status: int = 200) -> str:
    response = client.get(f"/tokens/{token.pk}/flows/{query}")
    assert response.status_code == status
    return response.content.decode()


# --- List ---------------------------------------------------------------------------------------


def test_list_shows_each_fact_in_the_persons_time_zone(
    owner_client: Client, token: RapidProToken, rapidpro: Answer
) -> None:
    rapidpro(FLOWS, json=page_of(flow(1, archived=True)))
    page = get(owner_client, token)
    for fact in ("Flow 1", "Messaging", "Archived", "Nutrition", "8,000", "75 %", "1 flow", "as of"):
        assert fact in page
    # 22:30 UTC is 01:30 of the next day in Nairobi.
    assert re.search(
        r'<time datetime="2026-11-20T22:30:00Z" title="2026-11-20 22:30:00 UTC">[^<]*21[^<]*01:30</time>', page
    )
    assert SECRET not in page


def test_list_reads_every_recorded_page(
    owner_client: Client, token: RapidProToken, respx_mock: respx.MockRouter, recording: Callable[[str], Any]
) -> None:
    answers = [recording(name)["response"]["body"] for name in ("flows_page1", "flows_page2", "flows_page3")]
    respx_mock.get(f"{SERVER}/api/v2/{FLOWS}").mock(side_effect=[httpx.Response(200, json=body) for body in answers])
    page = get(owner_client, token)
    rows = sum(len(body["results"]) for body in answers)
    assert f"{rows} flows" in page
    assert rows == 644
    assert f"1–250 of {rows}" in page


def test_token_goes_to_its_own_server_only_whatever_next_says(
    owner_client: Client, token: RapidProToken, respx_mock: respx.MockRouter
) -> None:
    route = respx_mock.get(f"{SERVER}/api/v2/{FLOWS}")
    route.side_effect = [
        httpx.Response(200, json=page_of(flow(1), following="https://evil.example/api/v2/flows.json?cursor=abc")),
        httpx.Response(200, json=page_of(flow(2))),
    ]
    assert "2 flows" in get(owner_client, token)
    assert [call.request.url.host for call in respx_mock.calls] == ["rapidpro.example"] * 2


def test_long_list_is_shown_a_page_at_a_time(owner_client: Client, token: RapidProToken, rapidpro: Answer) -> None:
    rapidpro(FLOWS, json=page_of(*(flow(number) for number in range(600))))
    first, last = get(owner_client, token), get(owner_client, token, "?page=3")
    assert "600 flows" in first
    assert first.count("<bdi>Flow ") == 250
    assert "1–250 of 600" in first
    assert 'rel="next"' in first
    assert "501–600 of 600" in last
    assert 'rel="next"' not in last


@pytest.mark.parametrize("page", ["0", "-1", "x", "99999999999999999999", ""])
def test_senseless_page_number_shows_a_page(
    owner_client: Client, token: RapidProToken, rapidpro: Answer, page: str
) -> None:
    rapidpro(FLOWS, json=page_of(flow()))
    assert "Flow 0" in get(owner_client, token, f"?page={page}")


def test_empty_workspace_says_what_to_do_next(owner_client: Client, token: RapidProToken, rapidpro: Answer) -> None:
    rapidpro(FLOWS, json=page_of())
    page = get(owner_client, token)
    assert "This workspace has no flows yet" in page
    assert "0 flows" in page


def test_one_bad_row_does_not_lose_the_others(owner_client: Client, token: RapidProToken, rapidpro: Answer) -> None:
    rapidpro(FLOWS, json=page_of(flow(1), {"name": "no uuid"}, "rubbish", flow(2)))
    page = get(owner_client, token)
    assert "2 flows could not be read" in page
    assert "Flow 1" in page
    assert "Flow 2" in page


def test_repeated_cursor_is_said(owner_client: Client, token: RapidProToken, rapidpro: Answer) -> None:
    rapidpro(FLOWS, json=page_of(flow(1), following=f"{SERVER}/api/v2/flows.json?cursor=same"))
    assert "the same page twice" in get(owner_client, token)


def test_hostile_names_are_escaped(owner_client: Client, token: RapidProToken, rapidpro: Answer) -> None:
    evil = "<script>alert(1)</script>"
    hostile = flow(1, name=evil, type=evil, labels=[{"uuid": UUID, "name": evil}], parent_refs=[evil])
    hostile["results"] = [{"key": evil, "name": evil, "categories": [evil], "node_uuids": []}]
    rapidpro(FLOWS, json=page_of(hostile))
    assert "<script>alert" not in get(owner_client, token)
    assert "<script>alert" not in get(owner_client, token, f"{hostile['uuid']}/?raw=1")


def test_flow_without_name_type_labels_or_runs_is_shown(
    owner_client: Client, token: RapidProToken, rapidpro: Answer
) -> None:
    rapidpro(FLOWS, json=page_of({"uuid": UUID, "type": None, "created_on": None}))
    page = get(owner_client, token)
    assert "(no name)" in page
    assert "No type" in page
    assert "–" in page


# --- The window of days -------------------------------------------------------------------------


def test_window_counts_whole_days_of_the_persons_zone(
    owner_client: Client, token: RapidProToken, rapidpro: Answer
) -> None:
    moments = ["2026-10-31T20:59:59Z", "2026-10-31T21:00:00Z", "2026-11-02T20:59:59.999999Z", "2026-11-02T21:00:00Z"]
    route = rapidpro(FLOWS, json=page_of(*(flow(number, modified_on=on) for number, on in enumerate(moments))))
    page = get(owner_client, token, "?after=2026-11-01&before=2026-11-02")
    assert [f"Flow {number}" in page for number in range(4)] == [False, True, True, False]
    assert "Africa/Nairobi" in page
    assert "No flow fits these filters" in get(owner_client, token, "?before=2026-01-01")
    assert route.call_count == 1


@pytest.mark.parametrize("query", ["?after=yesterday", "?after=2026-11-02&before=2026-11-01"])
def test_senseless_window_asks_no_server(
    owner_client: Client, token: RapidProToken, respx_mock: respx.MockRouter, query: str
) -> None:
    assert "errorlist" in get(owner_client, token, query)
    assert not respx_mock.calls


# --- One flow -----------------------------------------------------------------------------------


def test_detail_shows_the_flow(owner_client: Client, token: RapidProToken, rapidpro: Answer) -> None:
    route = rapidpro(FLOWS, json=page_of(flow(7)))
    page = get(owner_client, token, f"{flow(7)['uuid']}/")
    assert route.calls.last.request.url.params["uuid"] == flow(7)["uuid"]
    for fact in ("Flow 7", "Nutrition", "6,000", "1,997", "75 %", "Age", "Child", "Adult", "district", "720 minutes"):
        assert fact in page
    assert f'href="{SERVER}/flow/editor/{flow(7)["uuid"]}/"' in page
    assert "node_uuids" not in page


def test_raw_json_is_shown_on_demand_as_the_server_sent_it(
    owner_client: Client, token: RapidProToken, rapidpro: Answer
) -> None:
    rapidpro(FLOWS, json=page_of(flow(7, something_new={"a": [1, None]})))
    page = get(owner_client, token, f"{flow(7)['uuid']}/?raw=1")
    match = re.search(r'<code dir="ltr">(.*?)</code>', page, re.DOTALL)
    assert match is not None
    raw = match[1].replace("&quot;", '"').replace("&#x27;", "'")
    assert json.loads(raw) == flow(7, something_new={"a": [1, None]})


def test_unknown_flow_is_a_404_with_the_way_back(owner_client: Client, token: RapidProToken, rapidpro: Answer) -> None:
    rapidpro(FLOWS, json=page_of())
    page = get(owner_client, token, f"{UUID}/", status=404)
    assert "This workspace has no such flow" in page


def test_asking_for_flows_is_a_use_of_the_token_and_looking_at_the_kept_list_is_none(
    owner_client: Client, token: RapidProToken, rapidpro: Answer
) -> None:
    rapidpro(FLOWS, json=page_of(flow()))
    get(owner_client, token)
    token.refresh_from_db()
    assert token.last_used_on is not None
    hour_ago = timezone.now() - timezone.timedelta(hours=1)
    RapidProToken.objects.update(last_used_on=hour_ago)
    get(owner_client, token)
    token.refresh_from_db()
    assert token.last_used_on == hour_ago
    owner_client.post(f"/tokens/{token.pk}/flows/refresh/")
    token.refresh_from_db()
    assert token.last_used_on > hour_ago


# --- Problems -----------------------------------------------------------------------------------

REFUSED = httpx.ConnectError("refused")
PROBLEM_ANSWERS: list[tuple[dict[str, Any], Kind]] = [
    ({"name": "flows_bad_token"}, Kind.REJECTED),
    ({"name": "flows_agent_role"}, Kind.NOT_ALLOWED),
    ({"name": "throttle_org_6"}, Kind.RATE_LIMITED),
    ({"name": "flows_q_uuid_empty"}, Kind.BAD_REQUEST),
    ({"name": "flows_q_cursor_garbage"}, Kind.NOT_FOUND),
    ({"status": 404, "html": "<h1>Not Found</h1>"}, Kind.NOT_RAPIDPRO),
    ({"status": 500, "text": "Server Error"}, Kind.SERVER_ERROR),
    ({"status": 503, "html": "<h1>Busy</h1>"}, Kind.SERVER_ERROR),
    ({"status": 301, "headers": {"Location": "https://evil.example/"}}, Kind.REDIRECTED),
    ({"status": 200, "html": "<h1>Hello</h1>"}, Kind.NOT_RAPIDPRO),
    ({"status": 200, "content": b"{", "headers": {"Content-Type": "application/json"}}, Kind.MALFORMED),
    ({"error": REFUSED}, Kind.UNREACHABLE),
    ({"error": httpx.ReadTimeout("slow")}, Kind.TIMED_OUT),
]


@pytest.mark.parametrize("address", ["", f"{UUID}/"], ids=["list", "detail"])
@pytest.mark.parametrize(("answer", "kind"), PROBLEM_ANSWERS, ids=lambda value: str(value)[:40])
def test_every_problem_has_its_page(
    owner_client: Client,
    token: RapidProToken,
    rapidpro: Answer,
    caplog: pytest.LogCaptureFixture,
    answer: dict[str, Any],
    kind: Kind,
    address: str,
) -> None:
    rapidpro(FLOWS, **answer)
    page = get(owner_client, token, address, status=PROBLEMS[kind].status)
    assert f"<h1>{escape(PROBLEMS[kind].title)}</h1>" in page
    reference = re.search(r"<dt>Reference</dt><dd><code>([0-9A-F]{8})</code>", page)
    assert reference is not None
    assert f"reference={reference[1]} kind={kind}" in caplog.text
    assert "Traceback" not in page + caplog.text
    assert SECRET not in page + caplog.text


def test_rate_limit_counts_down(owner_client: Client, token: RapidProToken, rapidpro: Answer) -> None:
    rapidpro(FLOWS, status=429, json={"detail": "Request was throttled."}, headers={"Retry-After": "3166"})
    response = owner_client.get(f"/tokens/{token.pk}/flows/")
    assert response.headers["Retry-After"] == "3166"
    assert 'data-seconds="3166"' in response.content.decode()


def test_refusal_seen_on_the_way_is_the_tokens_new_state(
    owner_client: Client, token: RapidProToken, rapidpro: Answer
) -> None:
    rapidpro(FLOWS, "flows_bad_token")
    page = get(owner_client, token, status=424)
    token.refresh_from_db()
    assert token.state == TokenState.REJECTED
    assert token.check_reference in page


def test_passing_trouble_does_not_change_the_tokens_state(
    owner_client: Client, token: RapidProToken, rapidpro: Answer
) -> None:
    rapidpro(FLOWS, error=REFUSED)
    get(owner_client, token, status=502)
    token.refresh_from_db()
    assert token.state == TokenState.WORKING


def test_locked_token_is_a_page_and_no_request(
    owner_client: Client, token: RapidProToken, respx_mock: respx.MockRouter
) -> None:
    RapidProToken.objects.filter(pk=token.pk).update(key_id="k9")
    assert "ask your administrator" in get(owner_client, token, status=423)
    assert not respx_mock.calls


def test_disabled_token_is_a_page_and_no_request(
    owner_client: Client, owner: User, make_token: TokenMaker, respx_mock: respx.MockRouter
) -> None:
    token = make_token(owner, state=TokenState.DISABLED)
    assert "Staff have disabled this token" in get(owner_client, token, status=423)
    assert not respx_mock.calls


# --- Extremes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"])
def test_first_and_last_moment_are_shown_in_every_zone(
    owner_client: Client, owner: User, token: RapidProToken, rapidpro: Answer, moment: str, zone: str
) -> None:
    owner.time_zone = zone
    owner.save()
    rapidpro(FLOWS, json=page_of(flow(1, created_on=moment, modified_on=moment)))
    assert "Flow 1" in get(owner_client, token)
    assert "Flow 1" in get(owner_client, token, f"{flow(1)['uuid']}/")


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
@pytest.mark.parametrize("query", ["?after=0001-01-01", "?before=9999-12-31", "?after=0001-01-01&before=9999-12-31"])
def test_first_and_last_day_of_the_calendar_are_no_window(
    owner_client: Client, owner: User, token: RapidProToken, respx_mock: respx.MockRouter, query: str, zone: str
) -> None:
    owner.time_zone = zone
    owner.save()
    assert "Enter a valid date." in get(owner_client, token, query)
    assert not respx_mock.calls


@pytest.mark.parametrize("query", ["?after=%00", "?page=%00", "?raw=%00", "?after=2026-01-01%00", "?%ff=%fe"])
def test_bytes_that_make_no_sense_in_the_address_break_nothing(
    owner_client: Client, token: RapidProToken, rapidpro: Answer, query: str
) -> None:
    rapidpro(FLOWS, json=page_of(flow(1)))
    get(owner_client, token, query)


def test_page_of_hostile_values_can_be_sent(owner_client: Client, token: RapidProToken, rapidpro: Answer) -> None:
    hostile = flow(1, name="\ud800\x00" + "n" * 100_000, expires=10**300, runs={"completed": 10**400, "active": -5})
    hostile["deep"] = json.loads("[" * 500 + "]" * 500)
    rapidpro(FLOWS, content=json.dumps(page_of(hostile)), headers={"Content-Type": "application/json"})
    assert "nnn" in get(owner_client, token)
    assert "nnn" in get(owner_client, token, f"{hostile['uuid']}/?raw=1")
