"""The raw client: what it sends, where, and what it hands back."""

import pickle
from collections.abc import Callable
from datetime import date
from typing import Any
from uuid import UUID

import httpx
import pytest
import respx

from rapidpro_integration.client import RapidProAPI
from rapidpro_integration.client.errors import TokenRejectedException
from tests.conftest import SECRET, SERVER

BASE = f"{SERVER}/api/v2"
UUID_TEXT = "6e99f824-2ea1-4731-9b59-9afdcda1399b"


@pytest.fixture
def api() -> RapidProAPI:
    return RapidProAPI(SECRET, SERVER)


async def test_request_carries_the_token_and_asks_for_json(api: RapidProAPI, respx_mock: respx.MockRouter) -> None:
    respx_mock.get(f"{BASE}/workspace.json").respond(json={})
    await api.get_connection_status()
    request = respx_mock.calls.last.request
    assert request.method == "GET"
    assert str(request.url) == f"{BASE}/workspace.json"
    assert request.headers["Authorization"] == f"Token {SECRET}"
    assert request.headers["Accept"] == "application/json"
    assert request.headers["Accept-Encoding"] == "gzip"
    assert request.headers["User-Agent"].startswith("rapidpro-console/")
    assert "Cookie" not in request.headers


async def test_set_token_is_used_from_the_next_call_on(api: RapidProAPI, respx_mock: respx.MockRouter) -> None:
    respx_mock.get(f"{BASE}/workspace.json").respond(json={})
    api.set_api_token("  another  ")
    await api.get_connection_status()
    assert respx_mock.calls.last.request.headers["Authorization"] == "Token another"


async def test_old_name_is_asked_only_where_the_new_one_is_not_found(
    api: RapidProAPI, respx_mock: respx.MockRouter, recording: Callable[[str], dict[str, Any]]
) -> None:
    body = recording("path_org_deprecated")["response"]["body"]
    respx_mock.get(f"{BASE}/workspace.json").respond(404, html="<h1>Not Found</h1>")
    respx_mock.get(f"{BASE}/org.json").respond(json=body)
    response = await api.get_connection_status()
    assert response.json() == body
    assert [call.request.url.path for call in respx_mock.calls] == ["/api/v2/workspace.json", "/api/v2/org.json"]


async def test_refusal_is_handed_back_raw(
    api: RapidProAPI, respx_mock: respx.MockRouter, recording: Callable[[str], dict[str, Any]]
) -> None:
    body = recording("workspace_bad_token")["response"]["body"]
    respx_mock.get(f"{BASE}/workspace.json").respond(403, json=body)
    response = await api.get_connection_status()
    assert isinstance(response, httpx.Response)
    assert (response.status_code, response.json()) == (403, body)
    assert response.elapsed.total_seconds() >= 0
    with pytest.raises(httpx.HTTPStatusError):
        response.raise_for_status()


async def test_response_does_not_hold_the_token(api: RapidProAPI, respx_mock: respx.MockRouter) -> None:
    respx_mock.get(f"{BASE}/workspace.json").respond(json={})
    response = await api.get_connection_status()
    assert "Authorization" not in response.request.headers
    assert SECRET.encode() not in pickle.dumps(response)


@pytest.mark.parametrize("body", [b"", b'{"name": "Caf\xc3\xa9"}'])
@pytest.mark.parametrize("status", [200, 302, 404])
async def test_response_is_what_httpx_itself_would_make(
    api: RapidProAPI, respx_mock: respx.MockRouter, status: int, body: bytes
) -> None:
    """It is made in part, and the rest when somebody looks: nobody should be able to tell."""
    lines = [("Content-Type", "application/json"), ("Vary", "Accept"), ("Vary", "Cookie"), ("Location", "/elsewhere")]
    respx_mock.get(f"{BASE}/flows.json").respond(status, headers=lines, content=body)
    response = await api.get_flows()
    request = httpx.Request("GET", f"{BASE}/flows.json")
    wanted = httpx.Response(status, headers=lines, content=body, request=request)
    wanted.elapsed = response.elapsed
    for made in (response, pickle.loads(pickle.dumps(response))):  # its own
        for name in dir(wanted):
            value = getattr(wanted, name)
            if name.startswith("_") or callable(value) or name in {"request", "stream", "headers"}:
                continue
            assert getattr(made, name) == value, name
        assert sorted(made.headers.multi_items()) == sorted(wanted.headers.multi_items())
        assert (made.request.method, made.request.headers) == (request.method, request.headers)
        assert (made.read(), await made.aread(), b"".join(made.iter_bytes())) == (body, body, body)
        assert repr(made) == repr(wanted)
        with pytest.raises(httpx.StreamConsumed):
            await anext(made.aiter_raw())


@pytest.mark.parametrize(
    ("arguments", "query"),
    [
        ({}, {}),
        ({"uuid": "", "before_date": "", "after_date": None, "cursor": ""}, {}),
        ({"uuid": UUID_TEXT.upper()}, {"uuid": UUID_TEXT}),
        ({"uuid": UUID(UUID_TEXT)}, {"uuid": UUID_TEXT}),
        (
            {"before_date": "2026-06-02", "after_date": date(2026, 6, 1)},
            {"before": "2026-06-02T00:00:00.000000Z", "after": "2026-06-01T00:00:00.000000Z"},
        ),
        ({"after_date": "2026-06-01T00:00:00+03:00"}, {"after": "2026-05-31T21:00:00.000000Z"}),
        ({"cursor": "cD0y=+&"}, {"cursor": "cD0y=+&"}),
    ],
)
async def test_query_has_no_empty_parameter(
    api: RapidProAPI, respx_mock: respx.MockRouter, arguments: dict[str, Any], query: dict[str, str]
) -> None:
    respx_mock.get(f"{BASE}/flows.json").respond(json={})
    await api.get_flows(**arguments)
    url = respx_mock.calls.last.request.url
    assert dict(url.params) == query
    assert ("?" in str(url)) is bool(query)


@pytest.mark.parametrize(
    "arguments",
    [
        {"uuid": "abc"},
        {"uuid": " "},
        {"before_date": "yesterday"},
        {"after_date": "01/06/2025"},
        {"before_date": "2026-06-01", "after_date": "2026-06-02"},
    ],
)
async def test_senseless_argument_is_refused_before_any_request(
    api: RapidProAPI, respx_mock: respx.MockRouter, arguments: dict[str, str]
) -> None:
    with pytest.raises(ValueError):
        await api.get_flows(**arguments)
    assert not respx_mock.calls


@pytest.mark.parametrize("call", [RapidProAPI.get_connection_status, RapidProAPI.get_flows])
async def test_without_a_token_nothing_is_sent(
    respx_mock: respx.MockRouter, call: Callable[[RapidProAPI], Any]
) -> None:
    with pytest.raises(TokenRejectedException) as caught:
        await call(RapidProAPI(server=SERVER))
    assert caught.value.status_code is None
    assert not respx_mock.calls


@pytest.mark.parametrize(
    "server",
    [
        "http://rapidpro.example", "ftp://rapidpro.example", "https://", "rapidpro.example", "", "https://a@rapidpro.example",
        "https://rapidpro.example/api", "https://rapidpro.example?x=1", "https://rapidpro.example#x", "https://rÄpid.example",
        "https://rapidpro.example:99999", "https://rapidpro.example\n", "http://127.0.0.1.evil.example", "http://[::1",
    ],
)  # fmt: skip
def test_anything_but_an_https_origin_is_refused(server: str) -> None:
    with pytest.raises(ValueError):
        RapidProAPI(SECRET, server)


@pytest.mark.parametrize(
    ("server", "origin"),
    [
        ("https://RapidPro.Example:443/", "https://rapidpro.example"),
        ("https://rapidpro.example:8443", "https://rapidpro.example:8443"),
        ("http://127.0.0.1:8001", "http://127.0.0.1:8001"),
        ("http://localhost", "http://localhost"),
    ],
)
def test_server_is_made_canonical(server: str, origin: str) -> None:
    assert RapidProAPI(SECRET, server).server == origin


def test_default_server_is_rapidpro() -> None:
    assert RapidProAPI().server == "https://app.rapidpro.io"


def test_malformed_token_is_refused_and_the_old_one_kept(api: RapidProAPI) -> None:
    with pytest.raises(ValueError):
        api.set_api_token("two words")
    assert api.credential.authorization() == f"Token {SECRET}"


def test_client_does_not_show_the_token(api: RapidProAPI) -> None:
    for text in (repr(api), str(api), str(vars(api))):
        assert SECRET not in text
    with pytest.raises(TypeError):
        pickle.dumps(api)
