import asyncio
import logging
import socket
import time

import httpx
import pytest

from rapidpro_integration.sandbox.app import create_app, is_loopback
from rapidpro_integration.sandbox.faults import KINDS, STATUSES, Faults
from rapidpro_integration.sandbox.serve import CannotServe, bind, serving
from rapidpro_integration.sandbox.tokens import TOKENS
from tests.rapidpro_integration.sandbox.conftest import Ask

HEADERS = {"Authorization": f"Token {TOKENS['clinics'].secret}"}


@pytest.mark.parametrize("client", ["192.0.2.7", "10.0.0.1", "", "2001:db8::1"])
async def test_a_request_from_another_machine_is_refused(ask: Ask, client: str) -> None:
    response = await ask("flows.json", "clinics", client=client)

    assert response.status_code == 403
    assert response.text == "The sandbox answers over loopback only."


async def test_a_request_of_unknown_origin_is_refused() -> None:
    sent = []

    async def send(message: object) -> None:
        sent.append(message)

    async def receive() -> dict[str, object]:
        raise AssertionError("The body of a refused request was read.")

    await create_app()({"type": "http", "client": None}, receive, send)

    assert sent[0]["status"] == 403  # type: ignore[index]


async def test_only_http_is_spoken() -> None:
    with pytest.raises(NotImplementedError):
        await create_app()({"type": "websocket"}, None, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False)],
)
def test_loopback_is_told_from_the_rest(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


async def test_the_log_names_neither_tokens_nor_values(ask: Ask, caplog: pytest.LogCaptureFixture) -> None:
    secret = TOKENS["clinics"].secret
    with caplog.at_level(logging.INFO, "rapidpro_integration.sandbox.access"):
        await ask("flows.json?after=2025-01-01", "clinics")
        await ask(f"flows.json?{secret}=1&uuid={secret}", "clinics")
        await ask(f"flows/{secret}.json", "clinics")

    assert [record.getMessage().rpartition(" ")[0].rpartition(" ")[0] for record in caplog.records] == [
        "GET /api/v2/flows.json?after 200",
        "GET /api/v2/flows.json?…&uuid 400",
        "GET (unknown path) 404",
    ]
    assert secret not in caplog.text
    assert "2025" not in "".join(record.getMessage() for record in caplog.records)


async def test_every_answer_can_be_delayed(ask: Ask) -> None:
    began = time.perf_counter()
    await ask("workspace.json", "clinics", create_app(delay_s=0.05))

    assert time.perf_counter() - began >= 0.05


@pytest.mark.parametrize("kind", STATUSES)
async def test_a_failing_server_answers_with_that_status_and_a_page(ask: Ask, kind: str) -> None:
    response = await ask("flows.json", "clinics", create_app(faults=Faults(kind)))

    assert response.status_code == int(kind)
    assert response.headers["Content-Type"].startswith("text/html")
    assert ("Retry-After" in response.headers) == (kind in ("429", "503"))


async def test_something_else_can_answer_in_its_place(ask: Ask) -> None:
    html = await ask("flows.json", "clinics", create_app(faults=Faults("html")))
    redirect = await ask("flows.json", "clinics", create_app(faults=Faults("redirect")))
    broken = await ask("flows.json", "clinics", create_app(faults=Faults("broken-json")))

    assert (html.status_code, html.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert (redirect.status_code, redirect.headers["Location"]) == (302, "https://elsewhere.invalid/api/v2/")
    assert broken.headers["Content-Type"] == "application/json"
    with pytest.raises(ValueError):
        broken.json()


async def test_failures_can_be_rare_and_for_one_path_only(ask: Ask) -> None:
    app = create_app(faults=Faults("503", every=3, path="flows"))

    assert (await ask("workspace.json", "clinics", app)).status_code == 200
    assert [(await ask("flows.json", "clinics", app)).status_code for _ in range(6)] == [200, 200, 503] * 2


@pytest.mark.parametrize(("kind", "every"), [("nonsense", 1), ("503", 0)])
def test_an_impossible_failure_is_refused_at_the_start(kind: str, every: int) -> None:
    with pytest.raises(ValueError, match=r"failure"):
        Faults(kind, every)


async def test_a_hanging_server_waits_until_the_client_leaves() -> None:
    messages = iter([{"type": "http.request", "body": b""}, {"type": "http.request"}, {"type": "http.disconnect"}])
    sent: list[object] = []
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/api/v2/flows.json",
        "query_string": b"",
        "headers": [],
        "client": ("127.0.0.1", 1),
        "scheme": "http",
    }

    async def receive() -> dict[str, object]:
        await asyncio.sleep(0)
        return next(messages)

    async def send(message: object) -> None:
        sent.append(message)

    await create_app(faults=Faults("hang"))(scope, receive, send)

    assert sent == []
    assert next(messages, None) is None


def test_a_hanging_server_lets_the_client_time_out() -> None:
    with (
        serving(create_app(faults=Faults("hang"))) as origin,
        httpx.Client(trust_env=False, timeout=0.2) as client,
        pytest.raises(httpx.ReadTimeout),
    ):
        client.get(f"{origin}/api/v2/flows.json")


def test_a_reset_breaks_off_in_the_middle_of_the_body() -> None:
    with (
        serving(create_app(faults=Faults("reset"))) as origin,
        httpx.Client(trust_env=False) as client,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        client.get(f"{origin}/api/v2/flows.json", headers=HEADERS)


def test_a_slow_body_arrives_whole_in_the_end() -> None:
    faults = Faults("slow-body", slow_pause_s=0.001)
    with serving(create_app(faults=faults)) as origin, httpx.Client(trust_env=False) as client:
        body = client.get(f"{origin}/api/v2/flows.json", headers=HEADERS).json()

    assert len(body["results"]) == 12


def test_a_real_server_answers_on_both_loopbacks() -> None:
    for host in ("127.0.0.1", "::1") if socket.has_ipv6 else ("127.0.0.1",):
        with serving(create_app(), host) as origin, httpx.Client(trust_env=False) as client:
            response = client.get(f"{origin}/api/v2/workspace.json", headers=HEADERS)
        assert response.json()["country"] == "JO"
        assert "server" not in response.headers


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.org"])
def test_the_server_refuses_any_host_but_loopback(host: str) -> None:
    with pytest.raises(CannotServe, match="on loopback only"):
        bind(host, 0)


def test_a_taken_port_is_one_sentence() -> None:
    with serving(create_app()) as origin:
        port = int(origin.rpartition(":")[2])
        with pytest.raises(CannotServe) as caught:
            bind("127.0.0.1", port)

    assert str(caught.value) == f"The sandbox cannot use port {port} of 127.0.0.1: Address already in use."


def test_every_kind_of_failure_is_tried_above() -> None:
    assert set(KINDS) == {*STATUSES, "hang", "reset", "html", "redirect", "slow-body", "broken-json"}
