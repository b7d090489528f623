"""The back button, which does nothing twice, and two tabs, of which one knows nothing of the other."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import screenshot, sign_in
from tests.e2e.moody import Moody
from tests.e2e.people import add_token, prove, sign_up
from tests.e2e.test_journey import OTHER, open_token


@pytest.fixture
def posts(page: Page) -> Iterator[list[str]]:
    """Return the addresses that were posted to, of which there must be none twice."""
    found: list[str] = []
    page.on("request", lambda request: found.append(request.url) if request.method == "POST" else None)
    yield found
    assert len(found) == len(set(found))


def test_back_does_nothing_twice(page: Page, base_url: str, posts: list[str], expected_failures: list[str]) -> None:
    expected_failures += ["404", "htmx:sendAbort", "htmx:afterRequest"]
    sign_up(page, base_url)
    token = add_token(page, base_url, "clinics")
    count = len(posts)
    # After adding: the form again, and no second token in it.
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Add a token")
    expect(page.get_by_label("API token")).to_have_value("")
    page.go_forward()
    expect(page.get_by_role("heading", level=1)).to_have_text("clinics")
    # After filters put into place by htmx: one change a step.
    page.get_by_role("link", name="Flows", exact=True).click()
    rows = page.locator("table.flows tbody tr")
    expect(rows).to_have_count(12)
    page.get_by_label("Type").select_option("message")
    page.wait_for_url(re.compile("type=message"))
    expect(page.get_by_role("main").get_by_role("status")).to_contain_text("of 12 flows")
    page.get_by_role("rowheader").first.get_by_role("link").click()
    expect(page.get_by_role("heading", name="Facts")).to_be_visible()
    page.go_back()
    expect(page.get_by_label("Type")).to_have_value("message")
    page.go_back()
    expect(rows).to_have_count(12)
    expect(page.get_by_label("Type")).to_have_value("")
    # After deleting: nothing is there any more.
    page.goto(token)
    page.get_by_role("main").get_by_role("link", name="Delete").click()
    prove(page)
    page.get_by_role("main").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("status")).to_contain_text("was deleted")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("There is nothing here")
    page.go_forward()
    expect(page.get_by_role("heading", name="No token yet")).to_be_visible()
    assert len(posts) == count + 2, "the proof and the deletion"


def test_token_deleted_in_one_tab_is_gone_in_the_other(page: Page, base_url: str, expected_failures: list[str]) -> None:
    expected_failures += ["404"]
    sign_up(page, base_url)
    address = add_token(page, base_url, "clinics")
    page.goto(f"{address}rename/")
    with page.context.new_page() as tab:
        # Renamed in one and then in the other: the last word counts.
        tab.goto(f"{address}rename/")
        tab.get_by_label("Label").fill("From the second tab")
        tab.get_by_role("button", name="Rename").click()
        expect(tab.get_by_role("heading", level=1)).to_have_text("From the second tab")
        page.get_by_label("Label").fill("From the first tab")
        page.get_by_role("button", name="Rename").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("From the first tab")
        page.goto(f"{base_url}/tokens/")
        tab.goto(f"{address}delete/")
        prove(tab)
        tab.get_by_role("main").get_by_role("button", name="Delete").click()
        expect(tab.get_by_role("heading", name="No token yet")).to_be_visible()
    page.get_by_role("row").get_by_role("button", name="Check").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("There is nothing here")
    expect(page.locator("#main")).to_be_focused()
    expect(page.locator("header.site")).to_have_count(1)
    screenshot(page, "gone-in-another-tab")


def test_form_of_before_another_sign_in_says_so(page: Page, base_url: str, expected_failures: list[str]) -> None:
    expected_failures += ["403"]
    sign_in(page, base_url, OTHER)
    page.goto(f"{base_url}/tokens/")
    with page.context.new_page() as tab:
        tab.goto(f"{base_url}/accounts/logout/")
        tab.get_by_role("main").get_by_role("button", name="Sign out").click()
        sign_in(tab, base_url, OTHER)
    page.get_by_role("row").get_by_role("button", name="Check").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("This form is out of date")
    page.reload()
    page.get_by_role("row").get_by_role("button", name="Check").click()
    expect(page.get_by_role("row").nth(1)).to_contain_text("Working")


def test_two_tabs_cause_one_question_to_the_server(page: Page, moody: Moody) -> None:
    sign_up(page, moody.url)
    address = add_token(page, moody.url, "districts")
    moody.hold()
    moody.asked.clear()
    with page.context.new_page() as tab:
        for each in (page, tab):
            each.goto(f"{address}flows/")
            expect(each.locator(".arriving")).to_contain_text("250 flows so far")
        moody.open()
        for each in (page, tab):
            expect(each.locator("#asof")).to_contain_text("251 flows")
            expect(each.locator(".arriving")).to_have_count(0)
    asked = [each for each in moody.asked if "flows.json" in each]
    assert len(asked) == 2, "the first page and the second, once each"


def test_site_that_does_not_answer_is_told_of(page: Page, base_url: str, expected_failures: list[str]) -> None:
    expected_failures += ["ERR_INTERNET_DISCONNECTED", "htmx:sendError", "htmx:afterRequest"]
    sign_in(page, base_url, OTHER)
    open_token(page, base_url, "Districts")
    page.get_by_role("link", name="Flows").click()
    expect(page.locator("table.flows tbody tr").first).to_be_visible()
    page.context.set_offline(True)
    page.get_by_label("Type").select_option("background")
    expect(page.get_by_role("alert")).to_contain_text("The site did not answer.")
    screenshot(page, "offline")
    page.context.set_offline(False)
    page.get_by_role("button", name="Show").click()
    page.wait_for_url(re.compile("type=background"))
    expect(page.locator("#trouble")).to_be_hidden()
