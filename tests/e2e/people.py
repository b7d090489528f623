"""People whom a test makes by the site's own pages, so that nobody else's lists and tokens are in its way."""

import itertools
import os

from playwright.sync_api import Page, expect

from rapidpro_integration.sandbox.tokens import TOKENS

PASSPHRASE = "four words of its own"
_NUMBERS = itertools.count(1)


def new_name() -> str:
    """Return a user name that nobody has."""
    return f"person-{os.getpid()}-{next(_NUMBERS)}"


def sign_up(page: Page, base_url: str) -> str:
    """Make an account, which signs in; return its e-mail address."""
    name = new_name()
    page.goto(f"{base_url}/accounts/signup/")
    page.get_by_label("Email").fill(f"{name}@example.org")
    page.get_by_label("Username").fill(name)
    page.locator("input[name=password1]").fill(PASSPHRASE)
    page.locator("input[name=password2]").fill(PASSPHRASE)
    page.get_by_role("main").get_by_role("button", name="Sign up").click()
    page.wait_for_url(f"{base_url}/")
    return f"{name}@example.org"


def add_token(page: Page, base_url: str, name: str) -> str:
    """Add a token of the sandbox, labelled as it is called there; return the address of its page."""
    page.goto(f"{base_url}/tokens/add/")
    page.get_by_label("Label").fill(name)
    sandbox = page.get_by_label("Server").locator("option", has_text="127.0.0.1").get_attribute("value")
    page.get_by_label("Server").select_option(sandbox)
    page.get_by_label("API token").fill(TOKENS[name].secret)
    page.get_by_role("button", name="Check and save").click()
    page.wait_for_url("**/tokens/*/?added=1")
    return page.url.partition("?")[0]


def prove(page: Page) -> None:
    """Type the password once more: signing up is no proof of it, and what cannot be taken back asks for one."""
    expect(page.get_by_role("heading", level=1)).to_have_text("Confirm that it is you")
    page.get_by_label("Password").fill(PASSPHRASE)
    page.get_by_role("button", name="Confirm").click()
