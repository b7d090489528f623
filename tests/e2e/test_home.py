"""The home page in a real browser: cards out of what is kept, one search, and a broken token beside the others."""

import re

from playwright.sync_api import Page, expect

from tests.e2e.conftest import screenshot, sign_in
from tests.e2e.test_journey import OWNER


def open_home(page: Page, base_url: str) -> None:
    sign_in(page, base_url, OWNER)
    page.get_by_role("link", name="Workspaces").click()
    page.wait_for_url(f"{base_url}/")


def get_the_flows(page: Page, name: str) -> None:
    """Press the button of that card, unless another test has."""
    button = page.get_by_role("article").filter(has_text=name).get_by_role("button", name=re.compile("Get the flows"))
    if button.count():
        button.click()
    expect(page.get_by_role("article").filter(has_text=name).get_by_text("Changed since yesterday")).to_be_visible()


def test_cards_fill_one_by_one_and_the_search_answers_while_one_types(
    page: Page, base_url: str, expected_failures: list[str]
) -> None:
    # A change while the answer to the last one is under way takes its place, which htmx calls an error.
    expected_failures += ["htmx:sendAbort", "htmx:afterRequest"]
    open_home(page, base_url)
    page.evaluate("window.samePage = true")
    screenshot(page, "workspaces-empty")
    for name in ("National programme", "Bee school"):
        get_the_flows(page, name)
    national = page.get_by_role("article").filter(has_text="National programme")
    expect(national).to_contain_text("2,600")
    expect(national).to_contain_text("as of")
    broken = page.get_by_role("article").filter(has_text="Left-over of last year")
    expect(broken).to_contain_text("Refused by the server")
    expect(broken.get_by_role("link", name="Replace the token")).to_be_visible()
    page.get_by_role("searchbox").press_sequentially("school")
    found = page.get_by_role("region", name="Flows found")
    expect(found.get_by_role("link", name=re.compile("^All .* in this workspace"))).to_be_visible()
    expect(found).to_contain_text("Left-over of last year: Refused by the server")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.wait_for_url(re.compile("q=school"))
    assert page.evaluate("window.samePage")
    screenshot(page, "workspaces-found")
    page.get_by_role("searchbox").fill("no such flow anywhere")
    expect(found).to_contain_text("No flow found")
    screenshot(page, "workspaces-nothing")
    page.go_back()
    # Nothing is kept of what was shown: htmx fetches the whole page anew, and what is typed before that goes with it.
    page.wait_for_function("!window.samePage")
    expect(page.get_by_role("searchbox")).to_have_value("school")
    page.get_by_role("searchbox").fill("")
    expect(page.get_by_role("region", name="Flows found")).not_to_contain_text("found")


def test_search_works_without_javascript_and_leads_to_the_flow_and_to_the_rest(plain_page: Page, base_url: str) -> None:
    page = plain_page
    open_home(page, base_url)
    get_the_flows(page, "National programme")
    page.get_by_role("searchbox").fill("school")
    page.get_by_role("button", name="Search").click()
    page.wait_for_url(re.compile(r"\?q=school"))
    more = page.get_by_role("link", name=re.compile("^All .* in this workspace"))
    number = more.inner_text().split()[1]
    more.click()
    expect(page.locator("#flows").get_by_role("status")).to_contain_text(f"{number} of 2,600 flows fit")
    page.go_back()
    first = page.get_by_role("region", name="Flows found").locator("li a").first
    name = first.inner_text()
    first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
