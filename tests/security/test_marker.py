"""A marker token through every kind of failure, with DEBUG on and off; then it is searched for everywhere."""

import base64
import io
import json
import logging
import pickle
import ssl
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import respx
from asgiref.sync import async_to_sync
from django.contrib.messages import get_messages
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.cache import cache
from django.core.management import call_command
from django.db import OperationalError
from django.template import engines
from django.test import Client, RequestFactory
from django.utils.log import AdminEmailHandler
from django.views.debug import ExceptionReporter
from pytest_django import Settings

from accounts.models import User
from rapidpro_integration import token_views
from rapidpro_integration.client.credentials import Credential
from rapidpro_integration.client.errors import AbstractRequestException, Kind
from rapidpro_integration.forms import TokenAddForm
from rapidpro_integration.interface import RapidProInterface
from rapidpro_integration.models import RapidProToken, TokenState
from rapidpro_integration.problems import PROBLEMS
from rapidpro_integration.vault import Secret, open_token
from tests.conftest import SECRET, SERVER, just_proved
from tests.rapidpro_integration.test_leaks import everything_in_the_database

WRAPPED = [base64.b64encode(f"{before}{SECRET}".encode()).decode()[8:-8] for before in ("", "x", "xx")]
PIECES = (SECRET, SECRET[:12], SECRET[-12:], SECRET[14:26], SECRET.upper(), SECRET[::-1], *WRAPPED)


def shows(text: str) -> list[str]:
    return [piece for piece in PIECES if piece in text]


def test_the_search_finds_what_is_there() -> None:
    assert shows(f"x{SECRET}") == [*PIECES[:4]]
    assert shows(base64.b64encode(f"Token: {SECRET}".encode()).decode())
    assert shows(str(pickle.dumps({"a": SECRET})))


type Break = Callable[[RapidProToken, respx.MockRouter, pytest.MonkeyPatch], None]


def answer(**response: Any) -> Break:
    def use(token: RapidProToken, router: respx.MockRouter, monkeypatch: pytest.MonkeyPatch) -> None:
        router.route().mock(return_value=httpx.Response(**response))

    return use


def error(caught: Exception) -> Break:
    def use(token: RapidProToken, router: respx.MockRouter, monkeypatch: pytest.MonkeyPatch) -> None:
        router.route().mock(side_effect=caught)

    return use


def row(**fields: Any) -> Break:
    def use(token: RapidProToken, router: respx.MockRouter, monkeypatch: pytest.MonkeyPatch) -> None:
        router.route().mock(return_value=httpx.Response(403, json={"detail": SECRET}))
        RapidProToken.objects.update(**fields)

    return use


def in_a_view(token: RapidProToken, router: respx.MockRouter, monkeypatch: pytest.MonkeyPatch) -> None:
    async def breaks(secret: Secret, *args: Any) -> None:
        held = secret.reveal()
        raise ZeroDivisionError(len(held))

    answer(status_code=200)(token, router, monkeypatch)
    monkeypatch.setattr(token_views, "acheck_secret", breaks)


def in_a_template(token: RapidProToken, router: respx.MockRouter, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.template.response import TemplateResponse

    broken = engines["django"].from_string("{% load i18n %}{{ form }}{% url 'no-such-page' %}")
    answer(status_code=403, json={"detail": SECRET})(token, router, monkeypatch)
    monkeypatch.setattr(token_views, "_page", lambda request, name, **held: TemplateResponse(request, broken, held))


def in_the_database(token: RapidProToken, router: respx.MockRouter, monkeypatch: pytest.MonkeyPatch) -> None:
    async def breaks(owner_id: int, server: str, secret: Secret) -> None:
        raise OperationalError("database is locked")

    answer(status_code=200)(token, router, monkeypatch)
    monkeypatch.setattr("rapidpro_integration.services.afind_token", breaks)


BROKEN_TLS = ssl.SSLCertVerificationError(1, f"certificate verify failed {SECRET}")
FAILURES: dict[str, Break] = {
    Kind.REJECTED: answer(status_code=403, json={"detail": f"Invalid token {SECRET}"}),
    Kind.NOT_ALLOWED: answer(
        status_code=403, json={"detail": f"You do not have permission to perform this action. {SECRET}"}
    ),
    Kind.RATE_LIMITED: answer(status_code=429, json={"detail": SECRET}, headers={"Retry-After": SECRET}),
    Kind.BAD_REQUEST: answer(status_code=400, json={"detail": SECRET, SECRET: [SECRET]}),
    Kind.NOT_FOUND: answer(status_code=404, json={"detail": SECRET}),
    Kind.SERVER_ERROR: answer(status_code=500, text=f"Authorization: Token {SECRET}"),
    Kind.REDIRECTED: answer(status_code=302, headers={"Location": f"https://evil.example/?token={SECRET}"}),
    Kind.UNREACHABLE: error(httpx.ConnectError(f"no way to {SECRET}")),
    Kind.TIMED_OUT: error(httpx.ReadTimeout(f"no answer to {SECRET}")),
    Kind.TLS: error(httpx.ConnectError(str(BROKEN_TLS))),
    Kind.NOT_RAPIDPRO: answer(status_code=200, html=f"<h1>{SECRET}</h1>"),
    Kind.MALFORMED: answer(status_code=200, text=f'{{"uuid": "{SECRET}'),
    Kind.TOO_LARGE: answer(status_code=200, text=SECRET * 500_000),
    Kind.LOCKED: row(key_id="k9"),
    Kind.DISABLED: row(state=TokenState.DISABLED),
    "cut": row(sealed="v1.k1.AAAA"),
    "view": in_a_view,
    "template": in_a_template,
    "database": in_the_database,
    "working": answer(status_code=200, json={"uuid": "882f1c30-45b7-4fe2-bff8-12c78de3807e", "name": SECRET}),
}


def test_every_kind_of_failure_is_provoked() -> None:
    # Two are answers of ours to many failures at once; `test_transport.py` provokes them.
    assert {*PROBLEMS} - {*FAILURES} == {Kind.PAUSED, Kind.BUSY}


def cached() -> str:
    """Return the keys and the values of the cache, whichever it is."""
    store: Any = cache
    if hasattr(store, "_cache") and isinstance(store._cache, dict):
        return repr(store._cache)
    client = store._cache.get_client(None, write=True)
    return repr([(key, client.get(key)) for key in client.keys("*") if client.type(key) == b"string"])


async def collected(response: Any) -> str:
    return b"".join([piece async for piece in response.streaming_content]).decode()


@pytest.fixture
def mailed_reports(settings: Settings) -> Iterator[None]:
    """Mail error reports to an administrator, in text and HTML, as an installation may."""
    settings.ADMINS = ["admin@example.org"]
    handler = AdminEmailHandler(include_html=True)
    logging.getLogger("django.request").addHandler(handler)
    yield
    logging.getLogger("django.request").removeHandler(handler)


@pytest.mark.parametrize("debug", [True, False], ids=["debug", "production"])
@pytest.mark.parametrize("failure", FAILURES)
def test_marker_is_nowhere(
    failure: str,
    debug: bool,
    owner: User,
    staff: User,
    token: RapidProToken,
    respx_mock: respx.MockRouter,
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    mailed_reports: None,
) -> None:
    caplog.set_level(logging.DEBUG)
    # A page that repeats the name a server gives is no leak: the server is the one that said it.
    settings.DEBUG = debug
    FAILURES[failure](token, respx_mock, monkeypatch)
    client, admin = Client(raise_request_exception=False), Client(raise_request_exception=False)
    just_proved(client, owner)
    just_proved(admin, staff)
    typed = {"label": "x", "server": SERVER, "token": SECRET}
    base, pages = f"/tokens/{token.pk}/", []
    for accept in ("text/html", "text/plain") if debug else ("text/html",):
        headers = {"Accept": accept}
        pages += [client.post("/tokens/add/", typed | more, headers=headers) for more in ({}, {"force": "on"})]
        pages += [client.post(f"{base}replace/", typed, headers=headers), client.post(f"{base}check/", headers=headers)]
        pages += [
            client.get(address, headers=headers)
            for address in ("/tokens/", base, f"{base}flows/", f"{base}flows/{token.pk}/", f"{base}replace/")
        ]
    pages += [client.get("/accounts/log/"), client.get("/accounts/sessions/")]
    there = "/admin/rapidpro_integration/rapidprotoken/"
    pages += [
        admin.post(there, {"action": "check_now", "_selected_action": [str(token.pk)]}),
        admin.post(there, {"action": "check_now", "_selected_action": str(token.pk), "confirmed": "yes"}, follow=True),
        *(admin.get(there + page) for page in ("", f"?q={token.pk}", f"{token.pk}/change/", f"{token.pk}/history/")),
        *(admin.get(f"/admin/accounts/{page}") for page in ("auditentry/", f"user/{owner.pk}/change/")),
    ]
    exports = [async_to_sync(collected)(browser.get("/accounts/log.csv")) for browser in (client, admin)]
    dump = io.StringIO()
    call_command("dumpdata", stdout=dump)
    out, err = capfd.readouterr()
    places = {
        "pages": "\n".join(page.content.decode() for page in pages),
        "headers": repr([sorted(page.headers.items()) for page in pages]),
        "cookies": repr([browser.cookies.output() for browser in (client, admin)]),
        "addresses": repr([page.headers.get("Location") for page in pages]),
        "messages": repr([str(each) for page in pages for each in get_messages(page.wsgi_request)]),
        "exports": "".join(exports),
        "logs": caplog.text + out + err,
        "records": repr([(record.msg, record.args) for record in caplog.records]),
        "dump": dump.getvalue(),
        "database": everything_in_the_database(),
        "sessions": json.dumps([session.get_decoded() for session in Session.objects.all()]),
        "cache": cached(),
        "mail": repr([(sent.subject, sent.body, getattr(sent, "alternatives", ())) for sent in mail.outbox]),
    }
    if failure == "working":
        return_name = {"pages", "database", "dump"}
        places = {name: text for name, text in places.items() if name not in return_name}
    assert {name: shows(text) for name, text in places.items() if shows(text)} == {}
    if failure in {"view", "template", "database"}:
        assert 500 in {page.status_code for page in pages}
        assert ("Traceback" in places["pages"]) is debug
        assert debug or mail.outbox, "a report was mailed"


# --- Exceptions, frames, objects ------------------------------------------------------------------


def chain(caught: BaseException | None) -> Iterator[BaseException]:
    while caught is not None:
        yield caught
        caught = caught.__cause__ or caught.__context__


@pytest.mark.parametrize(
    "failure", [name for name in FAILURES if name in {*Kind} and name not in {"locked", "disabled"}]
)
def test_exception_its_chain_and_its_frames_hold_nothing(
    failure: str,
    token: RapidProToken,
    respx_mock: respx.MockRouter,
    monkeypatch: pytest.MonkeyPatch,
    rf: RequestFactory,
) -> None:
    FAILURES[failure](token, respx_mock, monkeypatch)
    with pytest.raises(AbstractRequestException) as raised:
        RapidProInterface.for_token(token).get_workspace()
    for caught in chain(raised.value):
        texts = [str(caught), repr(caught), repr(vars(caught)), repr(caught.args), str(pickle.dumps(caught.args))]
        texts += ["".join(traceback.TracebackException.from_exception(caught, capture_locals=True).format())]
        frames = [frame for frame, _ in traceback.walk_tb(caught.__traceback__) if frame.f_code is not CODE]
        texts += [repr(value) for frame in frames for value in frame.f_locals.values()]
        reporter = ExceptionReporter(rf.post("/x", {"token": SECRET}), type(caught), caught, caught.__traceback__)
        texts += [reporter.get_traceback_text(), reporter.get_traceback_html()]
        assert shows("\n".join(texts)) == []


CODE = test_exception_its_chain_and_its_frames_hold_nothing.__code__


def holders(token: RapidProToken, owner: User) -> dict[str, Any]:
    """Return an object of each class that has a token in its hands."""
    form = TokenAddForm({"label": "x", "server": SERVER, "token": SECRET}, reach=token_reach(owner))
    return {
        "row": token,
        "secret": open_token(token),
        "credential": Credential(SECRET),
        "interface of a row": RapidProInterface.for_token(token),
        "interface of a script": RapidProInterface(SECRET, server=SERVER),
        "taken": (form.is_valid(), form.take_secret()),
        "form": form,
    }


def token_reach(owner: User) -> Any:
    from rapidpro_integration import selectors

    return selectors.reach_of(owner.pk)


@pytest.mark.parametrize(
    "name", ["row", "secret", "credential", "interface of a row", "interface of a script", "taken", "form"]
)
def test_no_object_shows_its_token(name: str, token: RapidProToken, owner: User) -> None:
    held = holders(token, owner)[name]
    texts = [repr(held), str(held), f"{held}", repr(getattr(held, "__dict__", {}))]
    for value in getattr(held, "__dict__", {}).values():
        texts += [repr(value), repr(getattr(value, "__dict__", {}))]
    try:
        texts.append(str(pickle.dumps(held)))
    except (TypeError, AttributeError, pickle.PicklingError) as refused:
        texts.append(str(refused))
    assert shows("\n".join(texts)) == []
