"""Our handler answers what Django's own does: the same requests go to both, and only what is random may differ."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.core.handlers.asgi import ASGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.test import Client, override_settings
from django.urls import path

from accounts.models import SignedInSession, User
from config import urls
from config.handler import Handler
from tests.conftest import just_proved

PASSWORD = "a long enough passphrase"  # of this test
_RANDOM = [
    (re.compile(rb"\b[0-9A-F]{8}\b"), b""),  # the reference of a fault
    (re.compile(rb'(?:data-seconds|datetime|title)="[^"]*"'), b""),
    (re.compile(rb'(name="csrfmiddlewaretoken" value=")[^"]*'), rb"\1"),
    (re.compile(rb"(&quot;X-CSRFToken&quot;: &quot;)[A-Za-z0-9]*"), rb"\1"),
]


def boom(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("nothing for anybody to read")


async def aboom(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("nothing for anybody to read")


slow: Any = None


@login_not_required
async def slow_view(request: HttpRequest) -> HttpResponse:
    answer: HttpResponse = await slow.answer()
    return answer


def leave_word(request: HttpRequest) -> HttpResponse:
    messages.success(request, "Kept for the next page.")
    return HttpResponseRedirect("/tokens/")


# This module is the ROOT_URLCONF of its tests.
handler400, handler403, handler404, handler500 = urls.handler400, urls.handler403, urls.handler404, urls.handler500
urlpatterns = [
    path("boom/", login_not_required(boom)),
    path("aboom/", login_not_required(aboom)),
    path("leave-word/", leave_word),
    path("slow/", slow_view),
    *urls.urlpatterns,
]


@dataclass(frozen=True)
class Answer:
    """What came back, without what is random."""

    status: int
    headers: tuple[tuple[str, str], ...]
    cookies: tuple[str, ...]
    body: bytes


class Browser:
    """Speaks ASGI with a handler, and keeps cookies."""

    def __init__(self, handler: ASGIHandler, *, scheme: str = "http") -> None:
        self.handler, self.scheme = handler, scheme
        self.cookies: SimpleCookie = SimpleCookie()
        self.answers: list[Answer] = []

    async def ask(
        self, method: str, path: str, data: dict[str, str] | None = None, *, token: bool = True, **headers: str
    ) -> Answer:
        """Return the answer, whose cookies are kept."""
        fields = dict(data or {})
        if method == "POST" and token and settings.CSRF_COOKIE_NAME in self.cookies:
            fields["csrfmiddlewaretoken"] = self.cookies[settings.CSRF_COOKIE_NAME].value
        answer = self._read(await self.exchange(method, path, urlencode(fields).encode(), asyncio.Event(), **headers))
        self.answers.append(answer)
        return answer

    async def exchange(
        self, method: str, path: str, body: bytes, left: asyncio.Event, **headers: str
    ) -> list[dict[str, Any]]:
        """Return what the handler sent to somebody who hangs up as soon as `left` is set."""
        address, _, query = path.partition("?")
        lines = {
            "host": "testserver",
            "user-agent": "A browser",
            **{k.replace("_", "-"): v for k, v in headers.items()},
        }
        if self.cookies:
            lines["cookie"] = "; ".join(f"{name}={morsel.value}" for name, morsel in self.cookies.items())
        if method == "POST":
            lines |= {"content-type": "application/x-www-form-urlencoded", "content-length": str(len(body))}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": self.scheme,
            "path": address,
            "raw_path": address.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in lines.items()],
            "client": ("203.0.113.7", 4242),
            "server": ("testserver", 80),
        }
        sent = list[dict[str, Any]]()
        said = False

        async def receive() -> dict[str, Any]:
            nonlocal said
            if not said:
                said = True
                return {"type": "http.request", "body": body if method == "POST" else b"", "more_body": False}
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        # Not by calling it: then each request has a thread of its own, which sees nothing of the test's transaction.
        await self.handler.handle(scope, receive, send)
        return sent

    def _read(self, sent: list[dict[str, Any]]) -> Answer:
        head, text = sent[0], b"".join(message.get("body", b"") for message in sent[1:])
        headers, cookies = list[tuple[str, str]](), list[str]()
        for name, value in [(name.decode().lower(), value.decode()) for name, value in head["headers"]]:
            if name == "set-cookie":
                fresh: SimpleCookie = SimpleCookie(value)
                for key, morsel in fresh.items():
                    if morsel["max-age"] == 0 or not morsel.value:
                        self.cookies.pop(key, None)
                    else:
                        self.cookies[key] = morsel.value
                    cookies.append(re.sub(f"^{re.escape(key)}=[^;]+", f"{key}=…", value))
            elif name not in {"x-request-id", "content-length", "expires"}:
                headers.append((name, value))
        for pattern, kept in _RANDOM:
            text = pattern.sub(kept, text)
        cookies = [re.sub(r"expires=[^;]*", "expires=…", cookie) for cookie in cookies]
        return Answer(head["status"], tuple(sorted(headers)), tuple(sorted(cookies)), text)


type Scenario = Callable[[Browser, User], Awaitable[None]]


async def signed_in(browser: Browser, user: User) -> None:
    client = await sync_to_async(just_proved)(Client(), user)
    for name, morsel in client.cookies.items():
        browser.cookies[name] = morsel.value


async def strangers_pages(browser: Browser, user: User) -> None:
    for address in ("/", "/accounts/login/", "/accounts/signup/", "/tokens/", "/tokens", "/no-such-page/", "/staff/"):
        await browser.ask("GET", address)
        await browser.ask("HEAD", address)
    await browser.ask("GET", "/", accept_language="fr")
    await browser.ask("GET", "/accounts/login/", accept_language="ar,en;q=0.5")
    await browser.ask("GET", "/", host="evil.example")
    await browser.ask("POST", "/tokens/", {"x": "y"})
    await browser.ask("OPTIONS", "/")


async def sign_in_and_out(browser: Browser, user: User) -> None:
    await browser.ask("GET", "/accounts/login/?next=/tokens/")
    await browser.ask("POST", "/accounts/login/", {"login": user.username, "password": "wrong"})
    await browser.ask("POST", "/accounts/login/", {"login": user.username, "password": PASSWORD}, token=False)
    await browser.ask("POST", "/accounts/login/", {"login": user.username, "password": PASSWORD, "next": "/tokens/"})
    for address in ("/tokens/", "/", "/accounts/profile/", "/staff/", "/admin/", "/no-such-page/"):
        await browser.ask("GET", address)
    profile = {"name": "Another name", "language": "fr", "time_zone": "Africa/Nairobi"}
    await browser.ask("POST", "/accounts/profile/", profile)
    await browser.ask("GET", "/accounts/profile/")
    await browser.ask("POST", "/accounts/logout/")
    await browser.ask("GET", "/tokens/")


async def word_for_the_next_page(browser: Browser, user: User) -> None:
    await signed_in(browser, user)
    await browser.ask("GET", "/leave-word/")
    shown = await browser.ask("GET", "/tokens/")
    assert b"Kept for the next page." in shown.body
    again = await browser.ask("GET", "/tokens/")
    assert b"Kept for the next page." not in again.body


async def forms_without_a_token(browser: Browser, user: User) -> None:
    await signed_in(browser, user)
    await browser.ask("GET", "/accounts/profile/")
    await browser.ask("POST", "/accounts/profile/", {"name": "Another"}, token=False)
    await browser.ask("POST", "/accounts/profile/", {"name": "Another", "csrfmiddlewaretoken": "x" * 64}, token=False)
    await browser.ask("POST", "/accounts/profile/", {"name": "Another"}, origin="https://evil.example")
    await browser.ask("POST", "/accounts/profile/", {"name": "Another"}, referer="https://evil.example/")


async def session_that_is_gone(browser: Browser, user: User) -> None:
    await signed_in(browser, user)
    assert (await browser.ask("GET", "/tokens/")).status == 200
    await Session.objects.all().adelete()
    assert (await browser.ask("GET", "/tokens/")).status == 302
    await browser.ask("GET", "/tokens/", hx_request="true")


async def person_who_was_deactivated(browser: Browser, user: User) -> None:
    await signed_in(browser, user)
    await User.objects.filter(pk=user.pk).aupdate(is_active=False)
    assert (await browser.ask("GET", "/tokens/")).status == 302
    await browser.ask("GET", "/tokens/")


async def password_that_was_changed(browser: Browser, user: User) -> None:
    await signed_in(browser, user)
    user.set_password("another long passphrase")
    await user.asave()
    assert (await browser.ask("GET", "/tokens/")).status == 302
    await browser.ask("GET", "/")


async def row_of_the_session_that_names_somebody_else(browser: Browser, user: User) -> None:
    await signed_in(browser, user)
    other = await User.objects.acreate(
        username="somebody-else", email="somebody-else@example.org", name="Somebody-Else"
    )
    assert b"Owner-Of-This" in (await browser.ask("GET", "/accounts/profile/")).body
    await SignedInSession.objects.all().aupdate(user=other)
    page = await browser.ask("GET", "/accounts/profile/")
    # What the signed content of the session says counts.
    assert b"Somebody-Else" not in page.body


async def staff_without_a_second_factor(browser: Browser, user: User) -> None:
    user.is_staff = user.is_superuser = True
    await user.asave()
    await signed_in(browser, user)
    for address in ("/staff/", "/admin/", "/tokens/", "/accounts/2fa/", "/accounts/profile/"):
        await browser.ask("GET", address)


async def faults_in_views(browser: Browser, user: User) -> None:
    for address in ("/boom/", "/aboom/"):
        assert (await browser.ask("GET", address)).status == 500
    await signed_in(browser, user)
    await browser.ask("GET", "/boom/")


SCENARIOS: list[Scenario] = [
    strangers_pages,
    sign_in_and_out,
    word_for_the_next_page,
    forms_without_a_token,
    session_that_is_gone,
    person_who_was_deactivated,
    password_that_was_changed,
    row_of_the_session_that_names_somebody_else,
    staff_without_a_second_factor,
    faults_in_views,
]


@pytest.fixture(autouse=True)
def _connection_of_the_test() -> Iterator[None]:
    """Keep open what a request's end would close: the connection that holds the test's transaction."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def play(handler: type[ASGIHandler], scenario: Scenario, scheme: str) -> list[Answer]:
    """Return the answers to a scenario, in a database that is put back afterwards."""
    cache.clear()
    with transaction.atomic():
        before = transaction.savepoint_create()
        user = User.objects.create_user("owner-of-this", "owner@example.org", PASSWORD, name="Owner-Of-This")
        browser = Browser(handler(), scheme=scheme)
        async_to_sync(scenario)(browser, user)
        transaction.savepoint_rollback(before)
    return browser.answers


@pytest.mark.django_db
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
@override_settings(ROOT_URLCONF=__name__)
def test_answers_are_those_of_djangos_own_handler(scenario: Scenario, scheme: str) -> None:
    ours, stock = play(Handler, scenario, scheme), play(ASGIHandler, scenario, scheme)
    assert len(ours) == len(stock) > 0
    for one, other in zip(ours, stock, strict=True):
        assert one.body.splitlines() == other.body.splitlines()
        assert one == other


@pytest.mark.django_db
@override_settings(SECURE_SSL_REDIRECT=True, SECURE_HSTS_SECONDS=3600, SESSION_COOKIE_SECURE=True)
def test_redirect_to_https_and_hsts_are_djangos(monkeypatch: pytest.MonkeyPatch) -> None:
    for scheme in ("http", "https"):
        assert play(Handler, strangers_pages, scheme) == play(ASGIHandler, strangers_pages, scheme)


class Slow:
    """A view that takes longer than anybody waits, and says how it ended."""

    def __init__(self) -> None:
        self.began, self.ended = asyncio.Event(), ""

    async def answer(self) -> HttpResponse:
        self.began.set()
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            self.ended = "cancelled"
            raise
        return HttpResponse()


@pytest.mark.django_db
@pytest.mark.parametrize("handler", [Handler, ASGIHandler])
@override_settings(ROOT_URLCONF=__name__)
async def test_view_of_somebody_who_has_left_is_cancelled_and_nothing_is_sent(
    handler: type[ASGIHandler], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow()
    monkeypatch.setattr(f"{__name__}.slow", slow)
    browser = Browser(handler())
    async with asyncio.timeout(10):
        assert await browser.exchange("GET", "/slow/", b"", slow.began) == []
    assert slow.ended == "cancelled"
