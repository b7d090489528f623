"""RapidProInterface: what one token opens, told truthfully, in plain calls and in coroutines."""

import asyncio
import json
import pickle
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import respx
from hypothesis import given, settings
from hypothesis import strategies as st

from rapidpro_integration.client import transport
from rapidpro_integration.client.errors import AbstractRequestException, Kind
from rapidpro_integration.client.types import Rows
from rapidpro_integration.interface import MAX_PAGES, RapidProInterface
from rapidpro_integration.models import RapidProToken, TokenState
from tests.conftest import SECRET, SERVER
from tests.rapidpro_integration.client.loopback import Server, answer, page, serve
from tests.rapidpro_integration.client.test_errors import subclasses

type Answer = Callable[..., respx.Route]
type Recording = Callable[[str], dict[str, Any]]

WORKSPACE = "workspace.json"
FLOWS = "flows.json"
UUID_TEXT = "6e99f824-2ea1-4731-9b59-9afdcda1399b"


@pytest.fixture
def interface() -> RapidProInterface:
    return RapidProInterface(SECRET, SERVER)


def row(number: int, **fields: Any) -> dict[str, Any]:
    created_on = datetime(2026, 11, 24, tzinfo=UTC) - timedelta(minutes=number)
    return {
        "uuid": f"{number:08x}-2ea1-4731-9b59-9afdcda1399b",
        "name": str(number),
        "created_on": created_on.isoformat(),
    } | fields


def rows(*numbers: int, following: str | None = None) -> httpx.Response:
    return httpx.Response(
        200, json={"next": following, "previous": None, "results": [row(number) for number in numbers]}
    )


def facts(error: AbstractRequestException) -> tuple[object, ...]:
    return error.kind, error.status_code, error.retry_after_s, error.message


def to(cursor: str) -> str:
    return f"https://evil.example/api/v2/flows.json?cursor={cursor}"


def names(flows: list[Any]) -> list[str]:
    return [flow.name for flow in flows]


# --- Is the token valid? ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["workspace_good", "workspace_editor_role", "workspace_suspended_org", "workspace_deactivated_org"]
)
async def test_token_that_opens_a_workspace_is_valid(interface: RapidProInterface, rapidpro: Answer, name: str) -> None:
    rapidpro(WORKSPACE, name)
    assert await interface.avalidate_token() is True


async def test_token_of_an_older_server_is_valid(interface: RapidProInterface, rapidpro: Answer) -> None:
    rapidpro(WORKSPACE, status=404, html="<h1>Not Found</h1>")
    rapidpro("org.json", "path_org_deprecated")
    assert await interface.avalidate_token() is True


@pytest.mark.parametrize(
    "name",
    [
        "workspace_bad_token", "workspace_revoked_token", "workspace_inactive_user", "workspace_token_uppercased",
        "workspace_no_header", "workspace_bearer", "workspace_raw_token", "workspace_empty_token",
        "workspace_token_word_only", "workspace_token_with_space", "flows_latin1_token", "flows_released_org",
    ],
)  # fmt: skip
async def test_refused_credential_is_not_valid(interface: RapidProInterface, rapidpro: Answer, name: str) -> None:
    rapidpro(WORKSPACE, name)
    assert await interface.avalidate_token() is False


async def test_401_is_not_valid(interface: RapidProInterface, rapidpro: Answer) -> None:
    rapidpro(WORKSPACE, status=401, html="<h1>Unauthorized</h1>")
    assert await interface.avalidate_token() is False


async def test_no_token_is_not_valid_and_not_sent(respx_mock: respx.MockRouter) -> None:
    assert await RapidProInterface(server=SERVER).avalidate_token() is False
    assert not respx_mock.calls


@pytest.mark.parametrize(
    ("answered", "kind", "status"),
    [
        ({"name": "workspace_agent_role"}, Kind.NOT_ALLOWED, 403),
        ({"name": "throttle_org_6"}, Kind.RATE_LIMITED, 429),
        ({"status": 403, "html": "<h1>Forbidden</h1>"}, Kind.NOT_RAPIDPRO, 403),
        ({"status": 500, "text": "Server Error"}, Kind.SERVER_ERROR, 500),
        ({"status": 503, "html": "<h1>Busy</h1>"}, Kind.SERVER_ERROR, 503),
        ({"status": 200, "html": "<h1>Welcome</h1>"}, Kind.NOT_RAPIDPRO, 200),
        ({"name": "noext_workspace_anonymous_json"}, Kind.NOT_RAPIDPRO, 200),
        ({"name": "root_dotjson_anonymous"}, Kind.NOT_RAPIDPRO, 200),
        ({"status": 200, "json": []}, Kind.NOT_RAPIDPRO, 200),
        ({"status": 200, "content": b"{", "headers": {"Content-Type": "application/json"}}, Kind.MALFORMED, 200),
        ({"status": 302, "headers": {"Location": "https://evil.example/"}}, Kind.REDIRECTED, 302),
        ({"error": httpx.ConnectError("refused")}, Kind.UNREACHABLE, None),
        ({"error": httpx.ReadTimeout("slow")}, Kind.TIMED_OUT, None),
    ],
)
async def test_anything_else_says_nothing_of_the_token(
    interface: RapidProInterface, rapidpro: Answer, answered: dict[str, Any], kind: Kind, status: int | None
) -> None:
    rapidpro(WORKSPACE, **answered)
    with pytest.raises(RapidProInterface.TokenValidationException) as caught:
        await interface.avalidate_token()
    transport.forget()
    with pytest.raises(AbstractRequestException) as underlying:
        await interface.aget_workspace()
    assert (caught.value.kind, caught.value.status_code) == (kind, status)
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None
    assert facts(caught.value) == facts(underlying.value)


@pytest.mark.parametrize(("status", "kind"), [(404, Kind.NOT_RAPIDPRO), (200, Kind.NOT_RAPIDPRO)])
async def test_web_site_is_not_rapidpro(
    interface: RapidProInterface, rapidpro: Answer, status: int, kind: Kind
) -> None:
    rapidpro(WORKSPACE, status=404, html="<h1>Not Found</h1>")
    rapidpro("org.json", status=status, html="<h1>Hello</h1>")
    with pytest.raises(RapidProInterface.TokenValidationException) as caught:
        await interface.avalidate_token()
    assert caught.value.kind is kind


async def test_wait_is_carried_to_the_caller(interface: RapidProInterface, rapidpro: Answer) -> None:
    rapidpro(WORKSPACE, status=429, json={"detail": "Request was throttled."}, headers={"Retry-After": "3166"})
    with pytest.raises(RapidProInterface.TokenValidationException) as caught:
        await interface.avalidate_token()
    assert caught.value.retry_after_s == 3166


async def test_workspace_is_told(interface: RapidProInterface, rapidpro: Answer) -> None:
    rapidpro(WORKSPACE, "workspace_good")
    workspace = await interface.aget_workspace()
    assert workspace.name == "Ministério da Saúde — Nutrição"
    assert workspace.uuid == UUID("882f1c30-45b7-4fe2-bff8-12c78de3807e")


# --- One flow -----------------------------------------------------------------------------------


async def test_flow_is_told_with_its_raw_json(
    interface: RapidProInterface, rapidpro: Answer, recording: Recording
) -> None:
    route = rapidpro(FLOWS, "flows_q_uuid_good")
    flow = await interface.aget_flow(UUID_TEXT.upper())
    assert flow is not None
    assert flow.name == "Sample Flow - Satisfaction Survey"
    assert flow.raw == recording("flows_q_uuid_good")["response"]["body"]["results"][0]
    assert dict(route.calls.last.request.url.params) == {"uuid": UUID_TEXT}


async def test_archived_flow_is_found(interface: RapidProInterface, rapidpro: Answer, recording: Recording) -> None:
    rapidpro(FLOWS, "flows_q_uuid_archived")
    uuid = recording("flows_q_uuid_archived")["response"]["body"]["results"][0]["uuid"]
    flow = await interface.aget_flow(UUID(uuid))
    assert flow is not None
    assert flow.archived is True


@pytest.mark.parametrize(
    "name", ["flows_q_uuid_unknown", "flows_q_uuid_other_org", "flows_q_uuid_deleted", "flows_small_org"]
)
async def test_flow_that_is_not_there_is_none(interface: RapidProInterface, rapidpro: Answer, name: str) -> None:
    rapidpro(FLOWS, name)
    assert await interface.aget_flow(UUID_TEXT) is None


async def test_flow_that_cannot_be_read_is_not_called_missing(interface: RapidProInterface, rapidpro: Answer) -> None:
    rapidpro(FLOWS, json={"next": None, "results": [{"name": "no uuid"}]})
    with pytest.raises(RapidProInterface.MalformedException):
        await interface.aget_flow(UUID_TEXT)


@pytest.mark.parametrize("uuid", ["", " ", "abc", f" {UUID_TEXT}", None, 5])
async def test_malformed_uuid_is_refused_before_any_request(
    interface: RapidProInterface, respx_mock: respx.MockRouter, uuid: Any
) -> None:
    with pytest.raises(ValueError, match="UUID"):
        await interface.aget_flow(uuid)
    assert not respx_mock.calls


# --- All flows ----------------------------------------------------------------------------------


async def test_recorded_pages_are_read_in_turn(
    interface: RapidProInterface, respx_mock: respx.MockRouter, recording: Recording
) -> None:
    bodies = [recording(name)["response"]["body"] for name in ("flows_page1", "flows_page2", "flows_page3")]
    respx_mock.get(f"{SERVER}/api/v2/{FLOWS}").side_effect = [httpx.Response(200, json=body) for body in bodies]
    flows = await interface.aget_flows()
    recorded = [flow for body in bodies for flow in body["results"]]
    # As the server has them; those of one moment, which many requests at once would shuffle, by uuid.
    recorded.sort(key=lambda flow: flow["uuid"])
    recorded.sort(key=lambda flow: datetime.fromisoformat(flow["created_on"]), reverse=True)
    assert [str(flow.uuid) for flow in flows] == [flow["uuid"] for flow in recorded]
    assert isinstance(flows, Rows)
    assert (flows.unreadable_count, flows.stopped_because) == (0, "")
    assert timedelta(0) <= datetime.now(UTC) - flows.fetched_at < timedelta(minutes=1)
    assert {flow.raw for flow in flows} == {None}
    sent = [call.request.url for call in respx_mock.calls]
    assert {url.copy_with(query=None) for url in sent} == {httpx.URL(f"{SERVER}/api/v2/{FLOWS}")}
    assert [url.params.get("cursor") for url in sent] == [
        None,
        *(httpx.URL(body["next"]).params["cursor"] for body in bodies[:2]),
    ]


async def test_cursor_is_taken_and_the_link_is_not(interface: RapidProInterface, respx_mock: respx.MockRouter) -> None:
    route = respx_mock.get(f"{SERVER}/api/v2/{FLOWS}")
    route.side_effect = [rows(1, following="http://evil.example/?uuid=x&limit=9&cursor=a%2Bb%3D"), rows(2)]
    assert names(await interface.aget_flows(after_date="2026-01-01")) == ["1", "2"]
    assert dict(route.calls.last.request.url.params) == {"after": "2026-01-01T00:00:00.000000Z", "cursor": "a+b="}


async def test_rows_that_shift_between_pages_come_once_and_newest_first(
    interface: RapidProInterface, respx_mock: respx.MockRouter
) -> None:
    respx_mock.get(f"{SERVER}/api/v2/{FLOWS}").side_effect = [
        rows(2, 3, 3, following=to("a")),
        rows(3, 1, 4, following=to("b")),
        httpx.Response(200, json={"results": [row(5, created_on=None)]}),
    ]
    assert names(await interface.aget_flows()) == ["1", "2", "3", "4", "5"]


async def test_empty_page_does_not_lose_the_rest(interface: RapidProInterface, respx_mock: respx.MockRouter) -> None:
    respx_mock.get(f"{SERVER}/api/v2/{FLOWS}").side_effect = [rows(following=to("a")), rows(1)]
    assert names(await interface.aget_flows()) == ["1"]


@pytest.mark.parametrize("cursors", [["a", "a"], ["a", "b", "a"]])
async def test_repeated_cursor_ends_the_list_and_is_said(
    interface: RapidProInterface, respx_mock: respx.MockRouter, cursors: list[str]
) -> None:
    route = respx_mock.get(f"{SERVER}/api/v2/{FLOWS}")
    route.side_effect = [rows(number, following=to(cursor)) for number, cursor in enumerate(cursors)]
    flows = await interface.aget_flows()
    assert len(flows) == route.call_count == len(cursors)
    assert flows.stopped_because == "repeated_cursor"


async def test_page_cap_ends_the_list_and_is_said(respx_mock: respx.MockRouter) -> None:
    route = respx_mock.get(f"{SERVER}/api/v2/{FLOWS}")
    route.side_effect = [rows(number, following=to(str(number))) for number in range(9)]
    flows = await RapidProInterface(SECRET, SERVER, max_pages=3).aget_flows()
    assert len(flows) == route.call_count == 3
    assert flows.stopped_because == "page_cap"
    assert MAX_PAGES >= 40


async def test_last_page_at_the_cap_is_whole(respx_mock: respx.MockRouter) -> None:
    respx_mock.get(f"{SERVER}/api/v2/{FLOWS}").side_effect = [rows(1, following=to("a")), rows(2)]
    assert (await RapidProInterface(SECRET, SERVER, max_pages=2).aget_flows()).stopped_because == ""


async def test_bad_rows_are_counted_and_lose_nothing(
    interface: RapidProInterface, respx_mock: respx.MockRouter
) -> None:
    bad = [None, 5, "x", {}, {"uuid": "abc"}]
    respx_mock.get(f"{SERVER}/api/v2/{FLOWS}").side_effect = [
        httpx.Response(200, json={"results": [row(1), *bad, row(2)], "next": to("a")}),
        httpx.Response(200, json={"results": [*bad, row(3)]}),
    ]
    flows = await interface.aget_flows()
    assert names(flows) == ["1", "2", "3"]
    assert flows.unreadable_count == 2 * len(bad)


async def test_failing_page_is_an_error_and_not_a_short_list(
    interface: RapidProInterface, respx_mock: respx.MockRouter
) -> None:
    respx_mock.get(f"{SERVER}/api/v2/{FLOWS}").side_effect = [
        rows(1, following=to("a")),
        httpx.Response(429, json={"detail": "Request was throttled."}, headers={"Retry-After": "60"}),
    ]
    with pytest.raises(RapidProInterface.RateLimitedException) as caught:
        await interface.aget_flows()
    assert caught.value.retry_after_s == 60
    assert caught.value.__context__ is None


@pytest.mark.parametrize("timezone", ["Africa/Nairobi", datetime.now().astimezone().tzinfo])
async def test_naive_dates_are_in_the_callers_zone(rapidpro: Answer, timezone: Any) -> None:
    route = rapidpro(FLOWS, json={"results": []})
    await RapidProInterface(SECRET, SERVER, timezone=timezone).aget_flows("2026-11-02", date(2026, 11, 1))
    midnight = "2026-10-31T21:00:00.000000Z" if timezone == "Africa/Nairobi" else None
    expected = midnight or datetime(2026, 11, 1, tzinfo=timezone).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert route.calls.last.request.url.params["after"] == expected


@pytest.mark.parametrize(
    "window", [("yesterday", ""), ("", "01/06/2025"), ("2026-06-01", "2026-06-02"), (date.min, ""), (5, "")]
)
async def test_senseless_window_is_refused_at_once(respx_mock: respx.MockRouter, window: tuple[Any, Any]) -> None:
    interface = RapidProInterface(SECRET, SERVER, timezone="Africa/Nairobi")
    with pytest.raises(ValueError):
        interface.aiter_flows(*window)
    with pytest.raises(ValueError):
        await interface.aget_flows(*window)
    assert not respx_mock.calls


async def test_pages_come_one_by_one(interface: RapidProInterface, respx_mock: respx.MockRouter) -> None:
    route = respx_mock.get(f"{SERVER}/api/v2/{FLOWS}")
    route.side_effect = [rows(1, 2, following=to("a")), rows(2, 3, following=to("b")), rows(4)]
    async with aclosing(interface.aiter_flows()) as pages:
        assert isinstance(pages, AsyncIterator)
        first = await anext(pages)
        assert route.call_count == 1
        second = await anext(pages)
    assert (first.number, names(list(first.rows))) == (1, ["1", "2"])
    assert (second.number, names(list(second.rows))) == (2, ["3"])
    assert route.call_count == 2


async def endless(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await server.head(reader)
        await asyncio.sleep(0.1)
        writer.write(answer(page(row(len(server.heads)), following=to(str(len(server.heads))))))
        await writer.drain()


async def test_deadline_is_of_all_pages_together() -> None:
    async with serve(endless) as server:
        with pytest.raises(RapidProInterface.TimedOutException) as caught:
            await RapidProInterface(SECRET, server.origin, deadline_s=0.45).aget_flows()
    assert caught.value.__context__ is None
    assert 2 <= len(server.heads) <= 5
    assert server.connections == 1


async def test_callers_own_time_does_not_count() -> None:
    async with (
        serve(endless) as server,
        aclosing(RapidProInterface(SECRET, server.origin, deadline_s=0.4).aiter_flows()) as pages,
    ):
        await anext(pages)
        await asyncio.sleep(0.5)
        assert (await anext(pages)).number == 2


@pytest.mark.parametrize(
    "keywords", [{"deadline_s": 0}, {"deadline_s": float("nan")}, {"max_pages": 0}, {"timezone": "Nowhere"}]
)
def test_senseless_limits_are_refused(keywords: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        RapidProInterface(SECRET, SERVER, **keywords)


# --- Plain calls --------------------------------------------------------------------------------


def test_plain_calls_say_the_same(interface: RapidProInterface, rapidpro: Answer) -> None:
    rapidpro(WORKSPACE, "workspace_good")
    assert interface.validate_token() is True
    assert interface.get_workspace().country == "BR"
    rapidpro(FLOWS, "flows_q_uuid_good")
    assert names(interface.get_flows("", "2023-01-01")) == ["Sample Flow - Satisfaction Survey"]
    flow = interface.get_flow(UUID_TEXT)
    assert flow is not None
    assert flow.runs.completed == 161


def test_plain_calls_raise_the_same(interface: RapidProInterface, rapidpro: Answer) -> None:
    rapidpro(WORKSPACE, "workspace_agent_role")
    with pytest.raises(RapidProInterface.TokenValidationException) as caught:
        interface.validate_token()
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("asynchronous", [False, True])
def test_script_without_django_settings(tmp_path: Path, asynchronous: bool) -> None:
    call = "asyncio.run(interface.avalidate_token())" if asynchronous else "interface.validate_token()"
    script = tmp_path / "script.py"
    script.write_text(
        "import asyncio, sys\n"
        "from rapidpro_integration.interface import RapidProInterface\n"
        "interface = RapidProInterface('abc', 'http://127.0.0.1:9')\n"
        f"try:\n    {call}\n"
        "except RapidProInterface.TokenValidationException as error:\n"
        "    print(error.kind, any(name.startswith('django') for name in sys.modules))\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(root)}
    )
    assert done.stdout.split() == ["unreachable", "False"]
    assert done.stderr == ""


# --- A saved token ------------------------------------------------------------------------------


async def test_saved_token_is_opened_for_its_own_server(token: RapidProToken, rapidpro: Answer) -> None:
    route = rapidpro(FLOWS, json={"results": []})
    interface = RapidProInterface.for_token(token, timezone="Africa/Nairobi", deadline_s=5, max_pages=2)
    await interface.aget_flows(after_date="2026-11-01")
    request = route.calls.last.request
    assert request.headers["Authorization"] == f"Token {SECRET}"
    assert request.url.params["after"] == "2026-10-31T21:00:00.000000Z"


@pytest.mark.parametrize(
    ("column", "value"),
    [("key_id", "k9"), ("server", "https://other.example"), ("sealed", "v1.k1.AAAA"), ("sealed", "v2.x")],
)
def test_tampered_row_is_locked_and_nothing_leaves(
    token: RapidProToken, respx_mock: respx.MockRouter, column: str, value: str
) -> None:
    setattr(token, column, value)
    with pytest.raises(RapidProInterface.TokenLockedException) as caught:
        RapidProInterface.for_token(token)
    assert caught.value.kind is Kind.LOCKED
    assert caught.value.__context__ is None
    assert set(vars(caught.value)) <= {"message", "status_code", "retry_after_s"}
    assert token.sealed not in str(caught.value)
    assert not respx_mock.calls


def test_disabled_token_is_not_opened(token: RapidProToken) -> None:
    token.state = TokenState.DISABLED
    token.sealed = "cannot be opened anyway"
    with pytest.raises(RapidProInterface.TokenDisabledException) as caught:
        RapidProInterface.for_token(token)
    assert caught.value.kind is Kind.DISABLED


# --- Names and secrets --------------------------------------------------------------------------


def test_every_exception_is_reachable_from_the_interface() -> None:
    for cls in [AbstractRequestException, *subclasses()]:
        assert getattr(RapidProInterface, cls.__name__) is cls


def test_status_is_interpreted_without_an_instance() -> None:
    assert RapidProInterface.get_status_code_interpretation(200).startswith("200: ")
    assert RapidProInterface.get_status_code_interpretation(418) == "418: Unknown status code"


def test_token_is_set_later(rapidpro: Answer) -> None:
    route = rapidpro(WORKSPACE, "workspace_good")
    interface = RapidProInterface(server=SERVER)
    interface.set_api_token(SECRET)
    assert interface.validate_token() is True
    assert route.calls.last.request.headers["Authorization"] == f"Token {SECRET}"


def test_interface_does_not_show_the_token(interface: RapidProInterface) -> None:
    for text in (repr(interface), str(interface), str(vars(interface)), f"{interface}"):
        assert SECRET not in text
    with pytest.raises(TypeError):
        pickle.dumps(interface)


def test_token_echoed_by_the_server_is_in_no_traceback(interface: RapidProInterface, rapidpro: Answer) -> None:
    rapidpro(WORKSPACE, status=403, json={"detail": f"Blocked: {SECRET}"})
    with pytest.raises(RapidProInterface.TokenValidationException) as caught:
        interface.validate_token()
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert "left out" in caught.value.message
    assert not [
        frame
        for frame in shown.stack
        if frame.locals and SECRET in str(frame.locals) and "client" in frame.filename and "tests" not in frame.filename
    ]
    assert SECRET not in "".join(traceback.format_exception(caught.value))


# --- Hostile answers, end to end ----------------------------------------------------------------

JSON_TEXT = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["uuid", "next", "results", "name"]), inner)
    ),
).map(lambda value: json.dumps({"results": value, "next": None}).encode())


def raised_by(call: Callable[[], object]) -> AbstractRequestException | None:
    try:
        call()
    except AbstractRequestException as error:
        return error
    return None


@settings(deadline=None, max_examples=60)
@given(
    st.one_of(st.binary(), JSON_TEXT),
    st.sampled_from([200, 200, 200, 403, 500]),
    st.sampled_from(["application/json", "text/html"]),
)
def test_any_answer_is_a_value_or_one_of_our_errors(body: bytes, status: int, content_type: str) -> None:
    interface = RapidProInterface(SECRET, SERVER)
    with respx.mock(assert_all_called=False) as router:
        router.get(url__startswith=SERVER).respond(status, content=body, headers={"Content-Type": content_type})
        for call in (interface.get_flows, interface.validate_token, lambda: interface.get_flow(UUID_TEXT)):
            error = raised_by(call)
            assert error is None or (error.__context__ is None and SECRET not in error.message)
