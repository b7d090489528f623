"""A list that takes a while, in a real browser: its progress, Stop and going on, with and without JavaScript."""

from playwright.sync_api import Page, expect

from tests.e2e.conftest import screenshot, sign_in
from tests.e2e.moody import Moody
from tests.e2e.people import add_token, sign_up
from tests.e2e.test_journey import OWNER, open_token


def test_list_grows_is_stopped_and_goes_on_to_its_end(page: Page, moody: Moody) -> None:
    moody.hold()
    sign_in(page, moody.url, OWNER)
    open_token(page, moody.url, "National programme")
    page.get_by_role("link", name="Flows").click()
    rows, far = page.locator("table.flows tbody tr"), page.locator(".arriving")
    expect(rows).to_have_count(250)
    expect(far).to_contain_text("250 flows so far")
    screenshot(page, "flows-arriving")
    # The number grows by itself, and the rows that somebody reads stay where they are.
    page.evaluate("window.samePage = true")
    moody.let(2)
    expect(far).to_contain_text("750 flows so far")
    page.get_by_label("Name").fill("vaccine")
    expect(page.locator("#flows").get_by_role("status")).to_contain_text("of the 750 flows that came so far")
    assert page.evaluate("window.samePage")
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("The list is not whole: 750 flows came")).to_be_visible()
    expect(far).to_have_count(0)
    expect(page.get_by_label("Name")).to_have_value("vaccine")
    screenshot(page, "flows-stopped")
    page.get_by_role("button", name="Go on from there").click()
    expect(far).to_contain_text("750 flows so far")
    page.evaluate("window.samePage = true")
    moody.open()
    expect(page.locator("#asof")).to_contain_text("2,600 flows")
    expect(far).to_have_count(0)
    expect(page.locator("#flows").get_by_role("status")).to_contain_text("of 2,600 flows")
    assert page.evaluate("window.samePage"), "the whole list came without another page"
    moody.hold()
    page.get_by_role("button", name="Refresh").click()
    expect(far).to_contain_text("A newer list is on its way")
    expect(far).to_contain_text("250 flows so far")
    screenshot(page, "flows-newer-arriving")


def test_page_without_javascript_follows_by_itself(plain_page: Page, moody: Moody) -> None:
    moody.hold()
    sign_up(plain_page, moody.url)
    add_token(plain_page, moody.url, "districts")
    plain_page.get_by_role("link", name="Flows").click()
    expect(plain_page.locator(".arriving")).to_contain_text("250 flows so far")
    expect(plain_page.get_by_role("button", name="Stop")).to_be_visible()
    moody.open()
    expect(plain_page.locator("#asof")).to_contain_text("251 flows")
    expect(plain_page.locator(".arriving")).to_have_count(0)
