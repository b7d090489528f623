"""A marker token goes through every page and every kind of failure; then it is searched for everywhere."""

import io
import logging
import pickle
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import respx
from django.core import mail
from django.core.cache import cache
from django.core.management import call_command
from django.db import connection
from django.test import Client, RequestFactory
from django.views.debug import ExceptionReporter

from accounts.models import User
from rapidpro_integration.models import RapidProToken
from rapidpro_integration.vault import Secret
from tests.conftest import SECRET, SERVER

ANSWERS: list[dict[str, Any]] = [
    {"status_code": 200, "json": {"uuid": "882f1c30-45b7-4fe2-bff8-12c78de3807e", "name": "Nutrition"}},
    {"status_code": 403, "json": {"detail": "Invalid token"}},
    # A server that repeats what it was sent, in every place that a client could believe.
    {"status_code": 403, "json": {"detail": f"Invalid token {SECRET}"}},
    {"status_code": 400, "json": {"detail": f"Token {SECRET}"}},
    {"status_code": 500, "text": f"Authorization: Token {SECRET}"},
    {"status_code": 429, "json": {"detail": SECRET}, "headers": {"Retry-After": SECRET}},
    {"status_code": 302, "headers": {"Location": f"https://evil.example/?token={SECRET}"}},
    {"status_code": 200, "text": SECRET},
]


def everything_in_the_database() -> str:
    with connection.cursor() as cursor:
        rows: list[Any] = []
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            rows += cursor.fetchall()
    return repr(rows)


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: str(answer)[:50])
def test_marker_token_is_nowhere(
    owner_client: Client,
    owner: User,
    respx_mock: respx.MockRouter,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    answer: dict[str, Any],
) -> None:
    caplog.set_level(logging.DEBUG)
    respx_mock.route(url__startswith=f"{SERVER}/api/v2/").mock(return_value=httpx.Response(**answer))
    data = {"label": "x", "server": SERVER, "token": SECRET}
    pages = [
        owner_client.post("/tokens/add/", data, follow=True),
        owner_client.post("/tokens/add/", data | {"force": "on"}, follow=True),
        owner_client.post("/tokens/add/", data, follow=True),
    ]
    token = owner.rapidpro_tokens.get()
    base = f"/tokens/{token.pk}/"
    pages += [owner_client.post(f"{base}check/", follow=True), owner_client.post(f"{base}replace/", data, follow=True)]
    pages += [
        owner_client.get(address) for address in ("/", "/tokens/", base, f"{base}flows/", f"{base}flows/{token.pk}/")
    ]
    dump = io.StringIO()
    call_command("dumpdata", stdout=dump)
    out, err = capfd.readouterr()
    sessions = [pickle.dumps(dict(page.wsgi_request.session)) for page in pages]
    haystack = "\n".join(
        [
            *(page.content.decode() for page in pages),
            *(str(page.headers) for page in pages),
            *(str(page.cookies) for page in pages),
            *(str(sessions)),
            caplog.text,
            out,
            err,
            dump.getvalue(),
            everything_in_the_database(),
            repr([(message.subject, message.body) for message in mail.outbox]),
            repr(getattr(cache, "_cache", {})),
        ]
    )
    assert "Traceback" not in haystack
    assert SECRET not in haystack
    assert SECRET[:20] not in haystack


def test_error_reports_hold_no_values(rf: RequestFactory, settings: Any) -> None:
    request = rf.post("/tokens/add/", {"token": SECRET, "label": "visible?"})

    def breaks(secret: str) -> None:
        held = Secret(secret)
        raise RuntimeError(held)

    for debug in (True, False):
        settings.DEBUG = debug
        try:
            breaks(SECRET)
        except RuntimeError as error:
            reporter = ExceptionReporter(request, type(error), error, error.__traceback__)
            reports = [reporter.get_traceback_text(), reporter.get_traceback_html()]
        assert not any(SECRET in report for report in reports)
        assert all("breaks" in report for report in reports)


def test_broken_page_with_debug_on_does_not_show_the_posted_token(
    owner_client: Client, respx_mock: respx.MockRouter, settings: Any, recording: Callable[[str], Any]
) -> None:
    settings.DEBUG = True
    owner_client.raise_request_exception = False
    respx_mock.get(f"{SERVER}/api/v2/workspace.json").mock(side_effect=RuntimeError("a fault of ours"))
    response = owner_client.post("/tokens/add/", {"label": "x", "server": SERVER, "token": SECRET})
    assert response.status_code == 500
    assert SECRET not in response.content.decode()


@pytest.mark.parametrize("column", ["id", "owner_id", "server"])
def test_raw_sql_that_copies_a_sealed_token_locks_it_and_no_request_leaves(
    owner_client: Client, owner: User, other: User, token: RapidProToken, respx_mock: respx.MockRouter, column: str
) -> None:
    """Copy the sealed text to another row, owner or server, as somebody with access to the database could."""
    thief = Client()
    thief.force_login(other)
    copy = RapidProToken.objects.get()
    if column == "id":
        copy.pk, copy.owner_id, copy.fingerprint = "5a1e7a8c-7a35-4f0e-9b5f-0e3c7c2f5d10", owner.pk, "0" * 64
        copy.save(force_insert=True)
        browser, row = owner_client, copy.pk
    else:
        value = other.pk if column == "owner_id" else "https://other.example"
        with connection.cursor() as cursor:
            cursor.execute(f"UPDATE rapidpro_integration_rapidprotoken SET {column} = %s", [value])
        browser, row = (thief if column == "owner_id" else owner_client), token.pk
    before = RapidProToken.objects.get(pk=row).sealed
    for page in ("", "flows/", f"flows/{token.pk}/"):
        assert "ask your administrator" in browser.get(f"/tokens/{row}/{page}").content.decode()
    assert "Locked" in browser.get("/tokens/").content.decode()
    browser.post(f"/tokens/{row}/check/")
    assert not respx_mock.calls
    assert RapidProToken.objects.get(pk=row).sealed == before
