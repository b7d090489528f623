"""The project's own pages, headers and refusals."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.test import AsyncClient, Client, RequestFactory
from pytest_django import Settings

from accounts.models import User
from config import reporting, views

ROOT = Path(django_settings.BASE_DIR)


# --- Pages --------------------------------------------------------------------------------------


def test_front_page_tells_a_stranger_what_this_is(client: Client, db: None) -> None:
    page = client.get("/").content.decode()
    assert "Your RapidPro workspaces" in page
    assert "/accounts/login/" in page


def test_front_page_shows_a_signed_in_person_their_workspaces(owner_client: Client) -> None:
    page = owner_client.get("/").content.decode()
    assert "Add your first token" in page
    assert "Your RapidPro workspaces" not in page


def test_health_check_asks_nothing_of_the_database(client: Client) -> None:
    assert client.get("/healthz").content == b"ok\n"


def test_old_icon_address_leads_to_the_icon(client: Client) -> None:
    assert client.get("/favicon.ico").headers["Location"].endswith("favicon.svg")


@pytest.mark.parametrize(
    ("view", "status"),
    [(views.bad_request, 400), (views.forbidden, 403), (views.csrf_failure, 403), (views.not_found, 404)],
)
def test_error_pages_say_what_to_do(rf: RequestFactory, owner: User, view: object, status: int) -> None:
    request = rf.get("/")
    request.user = owner
    response = view(request)  # type: ignore[operator]
    assert response.status_code == status
    assert "<h1>" in response.content.decode()


def test_fault_of_ours_is_a_page_without_a_stack(client: Client, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object) -> object:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("rapidpro_integration.selectors.tokens_of", broken)
    client.force_login(owner)
    client.raise_request_exception = False
    response = client.get("/tokens/")
    assert response.status_code == 500
    assert "Something broke on our side" in response.content.decode()
    assert "RuntimeError" not in response.content.decode()


def test_unknown_address_is_the_sites_own_404(client: Client, db: None) -> None:
    response = client.get("/no/such/page")
    assert response.status_code == 404
    assert "There is nothing here" in response.content.decode()


def test_form_without_csrf_token_is_explained(owner: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(owner)
    response = strict.post("/tokens/add/", {})
    assert response.status_code == 403
    assert "out of date" in response.content.decode()


# --- Headers ------------------------------------------------------------------------------------

HEADERS = {
    "Content-Security-Policy": "default-src 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=()",
}


@pytest.mark.parametrize("address", ["/", "/tokens/", "/no/such/page", "/healthz", "/admin/"])
def test_every_answer_has_the_security_headers(owner_client: Client, address: str) -> None:
    response = owner_client.get(address)
    for name, value in HEADERS.items():
        assert value in response.headers[name], name
    assert "no-store" in response.headers["Cache-Control"] or "no-cache" in response.headers["Cache-Control"]


async def test_the_async_stack_sets_them_too(db: None) -> None:
    response = await AsyncClient().get("/no/such/page")
    for name, value in HEADERS.items():
        assert value in response.headers[name], name


async def test_the_async_stack_shows_the_persons_zone_and_plain_404(owner: User) -> None:
    browser = AsyncClient()
    await browser.aforce_login(owner)
    page = (await browser.get("/accounts/profile/")).content.decode()
    assert 'value="Africa/Nairobi" selected' in page
    missing = await browser.get("/tokens/5a1e7a8c-7a35-4f0e-9b5f-0e3c7c2f5d10/")
    assert missing.status_code == 404
    assert "There is nothing here" in missing.content.decode()


def test_static_files_are_served_and_may_be_kept(client: Client, settings: Settings) -> None:
    settings.SERVESTATIC_USE_FINDERS = True
    response = client.get("/static/css/site.css")
    assert response.status_code == 200
    assert "no-store" not in response.headers["Cache-Control"]
    assert "Access-Control-Allow-Origin" not in response.headers


def test_404_of_a_view_is_the_sites_own_with_debug_on(owner_client: Client, settings: Settings) -> None:
    settings.DEBUG = True
    response = owner_client.get("/tokens/5a1e7a8c-7a35-4f0e-9b5f-0e3c7c2f5d10/")
    assert response.status_code == 404
    assert "There is nothing here" in response.content.decode()
    assert "5a1e7a8c" not in response.content.decode()


def test_reports_of_nothing_have_no_fields() -> None:
    keeper = reporting.NoValuesReporterFilter()
    assert keeper.is_active(None)
    assert keeper.get_post_parameters(None) == {}


# --- The start ----------------------------------------------------------------------------------


FACTS = (
    "import django; django.setup(); from django.conf import settings as s; print(s.DEBUG, "
    "s.SESSION_COOKIE_NAME, s.CSRF_COOKIE_NAME, s.DEVICE_COOKIE_NAME, s.SESSION_ENGINE)"
)


def start(code: str = FACTS, **environment: str) -> subprocess.CompletedProcess[str]:
    names = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "CACHE_URL"}}
    names |= {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "ENV_FILE": "",
        "DEBUG": "false",
        "SECRET_KEY": "x" * 60,
        "TOKEN_KEYS": "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "TOKEN_KEYS_FILE": "",
        "DATABASE_URL": "sqlite://:memory:",
        "LOG_FILE": "",
    }
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=names | environment, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_a_whole_production_starts() -> None:
    done = start(HTTPS="true")
    cookies = "__Host-sessionid __Host-csrftoken __Host-device"
    assert done.stdout.strip() == f"False {cookies} accounts.sessions", done.stderr
    assert start(DEBUG="true", ALLOWED_HOSTS="127.0.0.1,[::1],console.localhost").stdout.startswith("True")
    assert start(HTTPS="false").stdout.startswith("False sessionid csrftoken device")


@pytest.mark.parametrize(
    ("environment", "words", "hidden"),
    [
        ({"SECRET_KEY": "short"}, "SECRET_KEY is missing or shorter", "short\n"),
        ({"AUDIT_KEY": "too little"}, "AUDIT_KEY or one of AUDIT_KEY_FALLBACKS is shorter", "too little"),
        ({"AUDIT_KEY_FALLBACKS": "k" * 40 + ",too little"}, "is shorter than 32 characters", "too little"),
        ({"TOKEN_KEYS": ""}, "TOKEN_KEYS is missing", "\0"),
        ({"STAFF_MFA_REQUIRED": "false"}, "STAFF_MFA_REQUIRED=false is for the local demo", "\0"),
        ({"DEBUG": "true", "ALLOWED_HOSTS": "localhost,console.example"}, "for this computer alone", "console.example"),
        ({"DEBUG": "true", "ALLOWED_HOSTS": "*"}, "Set DEBUG=false on a public site.", "\0"),
        ({"TOKEN_KEYS": "k1:c2hvcnQtYW5kLWtub3du"}, "TOKEN_KEYS: the key 'k1' has 15 bytes", "c2hvcnQtYW5k"),
        ({"TOKEN_KEYS_FILE": "/no/such/file"}, "TOKEN_KEYS_FILE: the file", "\0"),
        ({"RAPIDPRO_SERVERS": "http://textit.com"}, "RAPIDPRO_SERVERS", "\0"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_half_made_one_does_not(environment: dict[str, str], words: str, hidden: str) -> None:
    done = start(**environment)
    assert done.returncode != 0
    assert words in done.stderr
    assert hidden not in done.stderr


def test_sandbox_is_no_server_of_a_production() -> None:
    command = "import django; django.setup(); from django.conf import settings as s; print(s.RAPIDPRO_SERVERS)"
    environment = dict(os.environ) | {
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "SANDBOX_ORIGIN": "http://127.0.0.1:8001",
    }
    done = subprocess.run(
        [sys.executable, "-c", command], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert "127.0.0.1" not in done.stdout


# --- .env.example -------------------------------------------------------------------------------


def test_every_setting_is_documented_and_every_documented_one_is_read() -> None:
    source = (ROOT / "config" / "settings.py").read_text("utf-8")
    read = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', source))
    documented = set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE))
    assert read == documented
