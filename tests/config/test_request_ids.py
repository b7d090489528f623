"""A request has one id: on its answer, in each line of the log, on pages, in the audit log."""

import asyncio
import io
import json
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, RequestFactory
from pytest_django import Settings
from pythonjsonlogger.json import JsonFormatter

from accounts.audit.models import AuditEntry
from accounts.models import User
from config import request_ids, views
from config.busy import DatabaseFault
from config.handler import Handler
from config.redaction import MASK, RedactingFilter
from rapidpro_integration import checking
from rapidpro_integration.client.errors import TokenRejectedException
from tests.config.test_config import start
from tests.conftest import PASSWORD, SECRET

OFFERED = "req-01hq.3_XYZ98abcdef"


def test_each_answer_has_an_id_of_its_own(client: Client) -> None:
    first, second = (client.get("/healthz").headers["X-Request-Id"] for _ in range(2))
    assert re.fullmatch("[0-9A-F]{8}", first)
    assert first != second
    assert request_ids.current() == ""


async def test_the_async_stack_gives_one_too() -> None:
    assert re.fullmatch("[0-9A-F]{8}", (await AsyncClient().get("/healthz")).headers["X-Request-Id"])


@pytest.mark.parametrize(
    ("proxies", "offered", "taken"),
    [
        (1, OFFERED, True),
        (1, "a" * 64, True),
        (0, OFFERED, False),
        (1, "a" * 65, False),
        (1, "short", False),
        (1, "with blank inside", False),
        (1, "line\u0085break0", False),
        (1, "<script>alert(1)</script>", False),
        (1, "-leading-hyphen", False),
        (1, "", False),
    ],
)
def test_offered_id_counts_behind_a_proxy_and_well_formed(
    client: Client, settings: Settings, proxies: int, offered: str, taken: bool
) -> None:
    settings.TRUSTED_PROXY_COUNT = proxies
    given = client.get("/healthz", headers={"X-Request-Id": offered}).headers["X-Request-Id"]
    assert (given == offered) is taken


def test_people_read_the_end_of_a_long_id(settings: Settings) -> None:
    settings.TRUSTED_PROXY_COUNT = 1
    with request_ids.begun(OFFERED):
        assert request_ids.reference() == "98ABCDEF"
        with request_ids.begun("another-one"):
            assert request_ids.current() == OFFERED
    assert re.fullmatch("[0-9A-F]{8}", request_ids.reference())
    assert request_ids.reference() != request_ids.reference()


def test_fault_has_one_reference_on_the_page_the_answer_and_in_the_log(
    owner: User, lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> object:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("rapidpro_integration.selectors.tokens_of", broken)
    client = Client(raise_request_exception=False)
    client.force_login(owner)
    response = client.get("/tokens/")
    assert response.status_code == 500
    reference = response.headers["X-Request-Id"]
    assert f"<code>{reference}</code>" in response.content.decode()
    (fault,) = [line for line in read(lines) if line["logger"] == "django.request"]
    assert fault["request_id"] == reference
    assert "RuntimeError: a fault of ours" in fault["traceback"]


@pytest.mark.parametrize("view", [views.bad_request, views.forbidden, views.csrf_failure, views.too_many_requests])
def test_error_pages_show_the_reference(rf: RequestFactory, view: Callable[[HttpRequest], HttpResponse]) -> None:
    request = rf.get("/")
    request.user = AnonymousUser()
    with request_ids.begun(None) as given:
        assert f"<code>{given}</code>" in view(request).content.decode()
        # What is not there looks the same to everybody, each time.
        assert given not in views.not_found(request).content.decode()


def test_busy_database_is_told_with_a_reference(rf: RequestFactory) -> None:
    with request_ids.begun(None) as given:
        assert given in views.database_fault(rf.get("/"), DatabaseFault.BUSY).content.decode()


def test_audit_entries_and_checks_have_the_requests_reference(client: Client, owner: User) -> None:
    response = client.post("/accounts/login/", {"login": "owner", "password": PASSWORD})
    reference = response.headers["X-Request-Id"]
    assert {entry.reference for entry in AuditEntry.objects.filter(actor_id=owner.pk)} == {reference}
    with request_ids.begun(None) as given:
        assert checking.outcome_of(TokenRejectedException()).reference == given


async def test_what_is_answered_before_django_has_one_too(settings: Settings) -> None:
    settings.TRUSTED_PROXY_COUNT = 1
    sent: list[dict[str, Any]] = []
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "query_string": b"",
        "headers": [(b"host", b"testserver"), (b"content-length", b"99999999"), (b"x-request-id", OFFERED.encode())],
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)
        # uvicorn writes its line of the access log here.
        assert request_ids.current() == OFFERED

    await Handler()(scope, receive, send)
    assert sent[0]["status"] == 413
    assert (b"X-Request-Id", OFFERED.encode()) in sent[0]["headers"]


async def test_request_that_begins_in_the_context_of_another_has_an_id_of_its_own() -> None:
    given: list[str] = []
    length = (b"content-length", b"99999999")
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": [length]}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            given.append(dict(message["headers"])[b"X-Request-Id"].decode())
            if len(given) == 1:
                # As asyncio does for the next request on a connection: with what this one has left behind.
                await asyncio.create_task(Handler()(scope, receive, send))
                assert request_ids.current() == given[0]

    await Handler()(scope, receive, send)
    assert len(set(given)) == 2


# --- The log as JSON ----------------------------------------------------------------------------


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Return what the site's own handler writes with LOG_FORMAT=json."""
    config = {"fmt": [], **django_settings.LOGGING["formatters"]["json"]}
    config.pop("()")
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(JsonFormatter(**config))
    for each in (RedactingFilter(), request_ids.RequestIdFilter()):
        handler.addFilter(each)
    logging.getLogger().addHandler(handler)
    yield handler.stream
    logging.getLogger().removeHandler(handler)


def read(lines: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.getvalue().splitlines()]


def test_json_lines_are_masked_and_one_object_each(lines: io.StringIO) -> None:
    logger = logging.getLogger("tests.json")
    with request_ids.begun(None) as given:
        logger.warning("asked %s\n%s", {"Authorization": f"Token {SECRET}"}, "“é”", extra={"token": SECRET})
        try:
            raise RuntimeError("password=hunter2-hunter2")
        except RuntimeError:
            logger.exception("broke", stack_info=True)
    logger.warning({"token": SECRET})
    assert SECRET not in lines.getvalue()
    first, second, third = read(lines)
    assert set(first) == {"time", "level", "logger", "request_id", "message"}
    assert (first["level"], first["logger"], first["request_id"]) == ("WARNING", "tests.json", given)
    assert MASK in first["message"]
    assert first["message"].endswith("\\n“é”")
    assert first["time"].endswith("+00:00")
    assert "hunter2" not in second["traceback"]
    assert "RuntimeError: password=" in second["traceback"]
    assert "test_request_ids.py" in second["stack"]
    assert third["request_id"] == "-"


_SAY = f"""
import django; django.setup()
import logging
logging.getLogger("anything").error("token={SECRET}")
"""


@pytest.mark.parametrize("form", ["json", "text"])
def test_setting_decides_the_form_of_the_log(form: str) -> None:
    done = start(_SAY, LOG_FORMAT=form)
    assert SECRET not in done.stderr
    if form == "json":
        assert json.loads(done.stderr)["message"] == f"token={MASK}"
    else:
        assert done.stderr.endswith(f"ERROR anything [-] token={MASK}\n")


def test_unknown_form_of_the_log_stops_the_start() -> None:
    assert "LOG_FORMAT is text or json" in start(_SAY, LOG_FORMAT="xml").stderr
