"""Every answer has the security headers, whoever gives it: views, middleware, Django, the static files."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import storages
from django.core.management import call_command
from django.db import OperationalError, connection
from django.test import AsyncClient, Client
from pytest_django import Settings

from accounts.models import User
from config.handler import Handler
from rapidpro_integration.models import RapidProToken
from tests.conftest import SECRET, just_proved

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; object-src 'none'; base-uri 'none'; "
    "frame-ancestors 'none'; manifest-src 'self'",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=()",
}


@pytest.fixture(autouse=True)
def production(settings: Settings) -> None:
    """Use what config/settings.py sets with HTTPS on."""
    settings.DEBUG = False
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_HSTS_SECONDS = 31_536_000
    settings.SECURE_REDIRECT_EXEMPT = [r"^healthz$"]
    settings.ALLOWED_HOSTS = ["console.example"]


def assert_headers(headers: Any, *, secure: bool = True, kept: bool = False) -> None:
    expected = HEADERS if secure else {name: HEADERS[name] for name in HEADERS if name != "Strict-Transport-Security"}
    for name, value in expected.items():
        assert headers.get(name) == value, name
    assert ("no-store" in headers["Cache-Control"]) is not kept
    assert not {"Server", "X-Powered-By", "Access-Control-Allow-Origin"} & set(headers)


def browser(user: User | None = None, **options: Any) -> Client:
    client = Client(raise_request_exception=False, headers={"Host": "console.example"}, **options)
    return just_proved(client, user) if user else client


PAGES = {
    "/": 200,
    "/healthz": 200,
    "/favicon.ico": 302,
    "/accounts/login/": 200,
    "/accounts/signup/": 200,
    "/accounts/password/reset/": 200,
    "/accounts/profile": 404,
    "/tokens/": 302,
    "/no/such/page": 404,
    "/static/no-such-file.css": 404,
    "/admin/": 302,
    "/admin/login/": 302,
    "/admin/no-such-app/": 302,
}


@pytest.mark.parametrize(("address", "status"), PAGES.items())
def test_strangers_answers(db: None, address: str, status: int) -> None:
    response = browser().get(address, secure=True)
    assert response.status_code == status or (address == "/accounts/profile" and response.status_code in {301, 302})
    assert_headers(response.headers)


@pytest.mark.parametrize(
    "address",
    [
        "/",
        "/tokens/",
        "/tokens/add/",
        "/tokens/{}/",
        "/tokens/{}/replace/",
        "/accounts/2fa/",
        "/accounts/2fa/totp/activate/",
        "/accounts/log/",
        "/accounts/log.csv",
        "/accounts/sessions/",
        "/tokens/5a1e7a8c-7a35-4f0e-9b5f-0e3c7c2f5d10/",
        "/admin/",
    ],
)
def test_answers_to_a_person(owner: User, token: RapidProToken, address: str) -> None:
    assert_headers(browser(owner).get(address.format(token.pk), secure=True).headers)


@pytest.mark.parametrize(
    "address", ["", "rapidpro_integration/rapidprotoken/", "rapidpro_integration/rapidprotoken/{}/change/", "jsi18n/"]
)
def test_the_admin(staff: User, token: RapidProToken, address: str) -> None:
    response = browser(staff).get(f"/admin/{address.format(token.pk)}", secure=True)
    assert response.status_code == 200
    assert_headers(response.headers)


def test_redirect_to_https_is_made_before_the_others_have_their_turn(db: None) -> None:
    response = browser().get("/tokens/?x=1")
    assert (response.status_code, response.headers["Location"]) == (301, "https://console.example/tokens/?x=1")
    assert_headers(response.headers, secure=False)


@pytest.mark.parametrize("secure", [True, False])
@pytest.mark.parametrize("host", ["evil.example", "console.example.evil.example", "console.example@evil.example"])
def test_refused_host_is_a_400_that_repeats_nothing(db: None, host: str, secure: bool) -> None:
    response = Client(raise_request_exception=False, headers={"Host": host}).get("/", secure=secure)
    assert response.status_code == 400
    assert "evil" not in response.content.decode()
    assert_headers(response.headers, secure=secure)


def test_refused_form(owner: User) -> None:
    response = browser(owner, enforce_csrf_checks=True).post("/tokens/add/", {}, secure=True)
    assert response.status_code == 403
    assert_headers(response.headers)


def test_method_that_is_not_allowed(owner: User, token: RapidProToken) -> None:
    response = browser(owner).get(f"/tokens/{token.pk}/check/", secure=True)
    assert response.status_code == 405
    assert_headers(response.headers)


def test_too_many_fields_are_a_400(owner: User) -> None:
    response = browser(owner).post("/tokens/add/", {f"field{n}": "x" for n in range(1001)}, secure=True)
    assert response.status_code == 400
    assert_headers(response.headers)


def test_fault_of_ours(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    client = browser(owner)
    monkeypatch.setattr("rapidpro_integration.selectors.tokens_of", lambda owner_id: 1 / 0)
    response = client.get("/tokens/", secure=True)
    assert response.status_code == 500
    assert_headers(response.headers)


def test_database_that_is_gone_is_a_500_in_plain_words(
    owner: User, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    client = browser(owner)

    def gone(*args: Any) -> None:
        raise OperationalError(f"no connection as postgres://site:{SECRET}@db")

    with connection.execute_wrapper(gone):
        response = client.get("/tokens/", secure=True)
    assert response.status_code == 500
    assert response.content.startswith(b"Something broke on our side.")
    assert_headers(response.headers)


def test_crowded_door(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    from accounts.hashers import HashingBusy

    def busy(*args: Any, **kwargs: Any) -> None:
        raise HashingBusy(3)

    monkeypatch.setattr("accounts.adapter.DefaultAccountAdapter.authenticate", busy)
    response = browser().post("/accounts/login/", {"login": "owner", "password": "x" * 12}, secure=True)
    assert response.status_code == 503
    assert_headers(response.headers)


# --- Static files -------------------------------------------------------------------------------


@pytest.fixture
def collected(settings: Settings, tmp_path: Path) -> Callable[[str], str]:
    """Collect the static files as production does; return the function that gives a file its address."""
    settings.STATIC_ROOT = str(tmp_path)
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "servestatic.storage.CompressedManifestStaticFilesStorage"}
    }
    call_command("collectstatic", interactive=False, verbosity=0)
    return storages["staticfiles"].url


def test_static_files(collected: Callable[[str], str]) -> None:
    client, address = browser(), collected("css/site.css")
    assert address != "/static/css/site.css"
    for headers, status in ((None, 200), ({"Range": "bytes=0-9"}, 206), ({"Range": "bytes=9999999-"}, 416)):
        response = client.get(address, secure=True, headers=headers)
        assert response.status_code == status
        assert_headers(response.headers, kept=True)
    assert client.get(address, secure=True).headers["Cache-Control"] == "max-age=315360000, public, immutable"
    unchanged = client.get(
        address, secure=True, headers={"If-Modified-Since": client.get(address, secure=True).headers["Last-Modified"]}
    )
    assert unchanged.status_code == 304
    assert_headers(unchanged.headers, kept=True)


@pytest.mark.parametrize(
    "address",
    [
        "/static/../config/settings.py",
        "/static/..%2fconfig%2fsettings.py",
        "/static/%2e%2e/%2e%2e/etc/passwd",
        "/static//etc/passwd",
        "/static/css/",
        "/static/.env",
        "/static/staticfiles.json%00",
    ],
)
def test_nothing_beside_the_static_files_is_served(collected: Callable[[str], str], db: None, address: str) -> None:
    assert browser().get(address, secure=True).status_code == 404


# --- What Django answers without any middleware ---------------------------------------------------


async def exchange(
    path: bytes, *bodies: bytes, handler: Handler | None = None, **headers: str
) -> tuple[int, dict[str, str], int]:
    """Send a request to the handler itself; return status, headers and how many pieces of the body it took."""
    queue = [{"type": "http.request", "body": each, "more_body": n + 1 < len(bodies)} for n, each in enumerate(bodies)]
    sent: list[Any] = []
    taken = 0

    async def receive() -> Any:
        nonlocal taken
        if taken < len(queue):
            taken += 1
            return queue[taken - 1]
        await asyncio.sleep(30)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    lines = {"host": "console.example", "content-type": "application/x-www-form-urlencoded"} | headers
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "https",
        "path": path.decode("utf-8", "surrogateescape"),
        "raw_path": path,
        "query_string": b"",
        "root_path": "",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in lines.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 443),
    }
    await (handler or Handler())(scope, receive, send)
    (start,) = [each for each in sent if each["type"] == "http.response.start"]
    return start["status"], {name.decode().title(): value.decode() for name, value in start["headers"]}, taken


async def test_body_that_says_it_is_too_long_is_not_read(db: None) -> None:
    status, headers, taken = await exchange(b"/accounts/login/", b"x" * 10, content_length="1000001")
    assert (status, taken) == (413, 0)
    assert_headers(headers)


async def test_body_that_becomes_too_long_is_not_read_to_its_end(db: None) -> None:
    status, headers, taken = await exchange(b"/accounts/login/", *[b"x" * 400_000] * 50)
    assert (status, taken) == (413, 3)
    assert_headers(headers)


async def test_ordinary_body_is_answered_by_the_page(db: None) -> None:
    status, headers, _ = await exchange(b"/accounts/login/", b"x=1")
    assert status == 403, "no CSRF token"
    assert_headers(headers)


class Unreadable(Handler):
    """A handler that gets what its request cannot be made of."""

    @staticmethod
    def request_class(scope: Any, body_file: Any) -> Any:  # type: ignore[override]
        return b"\xff".decode()


async def test_request_that_cannot_be_read_has_the_headers_too(db: None) -> None:
    status, headers, _ = await exchange(b"/x", b"", handler=Unreadable())
    assert status == 400
    assert_headers(headers)


async def test_the_async_stack(owner: User, settings: Settings) -> None:
    settings.SERVESTATIC_USE_FINDERS = True
    client = AsyncClient(headers={"Host": "console.example"})
    await client.aforce_login(owner)
    for address in ("/tokens/", "/no/such/page", "/accounts/profile/", "/static/css/site.css"):
        response = await client.get(address, secure=True)
        assert_headers(response.headers, kept=address.startswith("/static"))
