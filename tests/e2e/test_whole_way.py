"""From the front page to the picture of a flow, as a stranger goes it: with and without JavaScript."""

import re

import pytest
from playwright.sync_api import Page, expect

from rapidpro_integration.sandbox.tokens import TOKENS
from tests.e2e.conftest import screenshot
from tests.e2e.people import PASSPHRASE, new_name, prove


@pytest.mark.parametrize("browser_of", ["page", "plain_page"], ids=["with JavaScript", "without"])
def test_stranger_comes_to_the_picture_of_a_flow_and_leaves_nothing(
    request: pytest.FixtureRequest, base_url: str, expected_failures: list[str], browser_of: str
) -> None:
    page: Page = request.getfixturevalue(browser_of)
    # A search that its successor takes the place of is an error to htmx.
    expected_failures += ["htmx:sendAbort", "htmx:afterRequest"]
    name, main = new_name(), page.get_by_role("main")
    page.goto(base_url)
    main.get_by_role("link", name="Create an account").click()
    page.get_by_label("Email").fill(f"{name}@example.org")
    page.get_by_label("Username").fill(name)
    page.locator("input[name=password1]").fill(PASSPHRASE)
    page.locator("input[name=password2]").fill(PASSPHRASE)
    main.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("heading", name="No workspace yet")).to_be_visible()
    screenshot(page, f"way-{browser_of}-first")
    page.get_by_role("link", name="Add your first token").click()
    page.get_by_label("Label").fill("My first")
    sandbox = page.get_by_label("Server").locator("option", has_text="127.0.0.1").get_attribute("value")
    page.get_by_label("Server").select_option(sandbox)
    page.get_by_label("API token").fill(TOKENS["gallery"].secret)
    page.get_by_role("button", name="Check and save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("My first")
    page.get_by_role("link", name="Flows", exact=True).click()
    page.get_by_label("Name").fill("hive")
    page.get_by_role("button", name="Show").click()
    expect(main.get_by_role("status")).to_contain_text("fit")
    page.get_by_role("rowheader", name=re.compile("hive", re.IGNORECASE)).first.get_by_role("link").click()
    page.get_by_role("link", name="Picture", exact=True).click()
    expect(page.locator(".flow-view svg")).to_be_visible()
    assert page.locator(".flow-view g.step").count() > 1
    screenshot(page, f"way-{browser_of}-picture")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Tokens").click()
    page.get_by_role("rowheader", name="My first").get_by_role("link").click()
    main.get_by_role("link", name="Delete").click()
    prove(page)
    main.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="No token yet")).to_be_visible()
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Sign out").click()
    main.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("navigation", name="Main").get_by_role("link", name="Sign in")).to_be_visible()
