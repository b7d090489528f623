"""The second factor in a real browser, with a security key of Chromium's own, under the strict CSP."""

import re
import time

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from playwright.sync_api import CDPSession, Page, expect

from tests.e2e.conftest import PASSWORD, screenshot, sign_in

OTHER = "other@example.org"


@pytest.fixture
def site(base_url: str) -> str:
    """Return the site under its name: no browser binds a key to an IP address."""
    return base_url.replace("127.0.0.1", "localhost")


@pytest.fixture
def key(page: Page) -> CDPSession:
    """Put a security key into the browser, one that is touched at once."""
    devices = page.context.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "usb", "automaticPresenceSimulation": True}
    devices.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return devices


def look(page: Page, name: str) -> None:
    """Save the page for people to look at, and fail where it is wider than a phone."""
    screenshot(page, name)
    page.set_viewport_size({"width": 375, "height": 800})
    excess = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert excess <= 0, f"{name} is {excess}px too wide"
    page.set_viewport_size({"width": 1280, "height": 900})


def code_of(secret: str) -> str:
    # In the last seconds of a half minute the code could be over before it arrives.
    if time.time() % 30 > 25:
        time.sleep(6)
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30))


def sign_in_to_the_second_step(page: Page, site: str) -> None:
    page.context.clear_cookies()
    page.goto(f"{site}/accounts/login/")
    page.locator("input[name=login]").fill(OTHER)
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("main form button").first.click()
    expect(page.get_by_role("heading", name="One more step")).to_be_visible()


def test_app_and_key_are_set_up_used_and_taken_away(page: Page, site: str, key: CDPSession) -> None:
    sign_in(page, site, OTHER)
    page.goto(f"{site}/accounts/profile/")
    page.get_by_role("link", name="App, security keys and recovery codes").click()
    look(page, "mfa")
    # The app: the QR code is drawn, the code of its key is taken.
    page.get_by_role("link", name="Set up an app").click()
    drawn = page.locator("img.qr").evaluate("image => image.complete && image.naturalWidth > 50")
    assert drawn
    look(page, "mfa-app")
    secret = page.locator("code.key").inner_text()
    page.get_by_label("Code").fill(code_of(secret))
    page.get_by_role("button", name="Turn on").click()
    expect(page.locator("ul.codes li")).to_have_count(10)
    recovery_code = page.locator("ul.codes li").first.inner_text()
    look(page, "mfa-codes")
    # The key.
    page.get_by_role("link", name="Done").click()
    page.get_by_role("link", name="Add a key").click()
    look(page, "mfa-key-add")
    page.get_by_label("Name").fill("Blue key")
    page.get_by_role("button", name="Add the key").click()
    expect(page.get_by_role("heading", name="Second factor")).to_be_visible()
    expect(page.get_by_text("1 key")).to_be_visible()
    look(page, "mfa-on")
    page.get_by_role("link", name="Show the keys").click()
    expect(page.get_by_role("rowheader", name="Blue key")).to_be_visible()
    look(page, "mfa-keys")
    # Signing in with the key, then with a recovery code.
    sign_in_to_the_second_step(page, site)
    look(page, "mfa-sign-in")
    page.get_by_role("button", name="Use a security key").click()
    expect(page.get_by_role("heading", name="Workspaces")).to_be_visible()
    sign_in_to_the_second_step(page, site)
    page.get_by_label("Code").fill(recovery_code)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Workspaces")).to_be_visible()
    # The list of sessions: the two that were left behind, and this one.
    page.goto(f"{site}/accounts/sessions/")
    look(page, "sessions")
    page.get_by_role("button", name="End all others").click()
    expect(page.get_by_role("status")).to_contain_text(re.compile(r"other sessions? ha(s|ve) ended"))
    # A fresh proof by the key.
    page.goto(f"{site}/accounts/2fa/webauthn/reauthenticate/?next=/accounts/2fa/webauthn/")
    look(page, "confirm")
    page.get_by_role("button", name="Use a security key").click()
    page.get_by_role("link", name="Remove").click()
    look(page, "mfa-key-remove")
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("There is no key yet.")).to_be_visible()
    page.goto(f"{site}/accounts/2fa/totp/deactivate/")
    look(page, "mfa-app-off")
    page.get_by_role("button", name="Turn off").click()
    expect(page.get_by_role("link", name="Set up an app")).to_be_visible()


def test_key_that_does_not_answer_is_said_and_tried_again(page: Page, site: str) -> None:
    sign_in(page, site, OTHER)
    page.goto(f"{site}/accounts/2fa/webauthn/add/")
    refuse = "() => Promise.reject(new DOMException('no', 'NotAllowedError'))"
    page.evaluate(f"() => {{ navigator.credentials.create = {refuse}; }}")
    page.get_by_role("button", name="Add the key").click()
    expect(page.get_by_role("alert")).to_contain_text("The key did not answer")
    expect(page.get_by_role("button", name="Add the key")).to_be_enabled()


def test_lapsed_proof_page(page: Page, site: str) -> None:
    sign_in(page, site, OTHER)
    page.goto(f"{site}/accounts/reauthenticate/?next=/accounts/close/")
    look(page, "confirm-password")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_role("heading", name="Close your account?")).to_be_visible()
