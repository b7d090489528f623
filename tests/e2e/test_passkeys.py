"""Security keys and passkeys, by the authenticator that Chromium has for tests."""

from typing import Any

import pytest
from playwright.sync_api import CDPSession, Page, expect

from tests.e2e.conftest import PASSWORD, screenshot, sign_in
from tests.e2e.test_journey import OTHER

STAFF = "staff@example.org"


class Authenticator:
    """One in the computer, as a finger reader is; it knows its owner, until it is told not to."""

    def __init__(self, page: Page, **options: Any) -> None:
        self._devices: CDPSession = page.context.new_cdp_session(page)
        self._devices.send("WebAuthn.enable")
        facts = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
        facts |= {"isUserVerified": True, "automaticPresenceSimulation": True} | options
        self._id = self._devices.send("WebAuthn.addVirtualAuthenticator", {"options": facts})["authenticatorId"]

    def knows_its_owner(self, known: bool) -> None:
        """Let the next verification succeed or fail."""
        self._devices.send("WebAuthn.setUserVerified", {"authenticatorId": self._id, "isUserVerified": known})

    @property
    def count(self) -> int:
        """How many credentials it holds."""
        found = self._devices.send("WebAuthn.getCredentials", {"authenticatorId": self._id})
        return len(found["credentials"])


@pytest.fixture
def site(base_url: str) -> str:
    """Return the site under its name: no browser binds a key to an IP address."""
    return base_url.replace("127.0.0.1", "localhost")


def add_passkey(page: Page, site: str) -> None:
    page.goto(f"{site}/accounts/2fa/webauthn/add/")
    page.get_by_label("Name").fill("This laptop")
    page.get_by_label("Make it a passkey").check()
    page.get_by_role("button", name="Add the key").click()


def test_passkey_signs_in_alone_and_is_removed(page: Page, site: str) -> None:
    authenticator = Authenticator(page)
    sign_in(page, site, OTHER)
    add_passkey(page, site)
    # With the first second factor come codes for the day that it is lost.
    expect(page.locator("ul.codes li")).to_have_count(10)
    assert authenticator.count == 1
    # The second factor of the password too.
    page.context.clear_cookies()
    page.goto(f"{site}/accounts/login/?next=/tokens/")
    page.locator("input[name=login]").fill(OTHER)
    page.locator("input[name=password]").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("button", name="Use a security key").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Tokens")
    # Alone: back to where one wanted to go. Without its owner it does not sign in, and says what else there is.
    page.context.clear_cookies()
    authenticator.knows_its_owner(False)
    page.goto(f"{site}/tokens/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("alert").filter(has_text="The passkey did not answer")).to_be_visible()
    screenshot(page, "passkey-refused")
    authenticator.knows_its_owner(True)
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Tokens")
    # It is a fresh proof as well; gone from here, it opens nothing any more.
    page.goto(f"{site}/accounts/2fa/webauthn/")
    screenshot(page, "passkeys")
    page.get_by_role("link", name="Remove").click()
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("There is no key yet.")).to_be_visible()
    page.context.clear_cookies()
    page.goto(f"{site}/accounts/login/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("status")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    screenshot(page, "passkey-unknown")


def test_key_that_cannot_verify_its_owner_becomes_no_passkey(page: Page, site: str) -> None:
    authenticator = Authenticator(page, transport="usb", hasUserVerification=False, isUserVerified=False)
    sign_in(page, site, OTHER)
    add_passkey(page, site)
    expect(page.get_by_role("alert").filter(has_text="The key did not answer")).to_be_visible()
    assert authenticator.count == 0
    page.goto(f"{site}/accounts/2fa/webauthn/")
    expect(page.get_by_text("There is no key yet.")).to_be_visible()
