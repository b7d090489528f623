"""A session that ended while its pages are open: each kind of request leads to a whole sign-in, and back.

It ends as it does for people: in another tab.
"""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import PASSWORD, screenshot, sign_in
from tests.e2e.moody import Moody
from tests.e2e.people import PASSPHRASE, add_token, sign_up
from tests.e2e.test_journey import OWNER, STAFF, open_token


def sign_out_in_another_tab(page: Page, base_url: str) -> None:
    with page.context.new_page() as tab:
        tab.goto(f"{base_url}/accounts/logout/")
        tab.get_by_role("main").get_by_role("button", name="Sign out").click()
        tab.wait_for_url(f"{base_url}/")


def sign_in_again(page: Page, email: str, password: str = PASSWORD) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    # The whole page, not a part in the middle of another one.
    expect(page.locator("header.site")).to_have_count(1)
    expect(page.locator("table, .card")).to_have_count(0)
    page.locator("input[name=login]").fill(email)
    page.locator("input[name=password]").fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def filter_flows(page: Page) -> None:
    page.get_by_label("Name").fill("nutrition")


def search_all(page: Page) -> None:
    page.get_by_role("searchbox").fill("nutrition")


def check_a_row(page: Page) -> None:
    page.get_by_role("row").filter(has_text="Clinics").get_by_role("button", name="Check").click()


def rename(page: Page) -> None:
    page.get_by_label("Label").fill("Another name")
    page.get_by_role("button", name="Rename").click()


def refresh(page: Page) -> None:
    page.get_by_role("button", name="Refresh").click()


# Where one is, what one does there, and what one finds again after signing in.
ASKS: dict[Callable[[Page], None], tuple[str, str]] = {
    filter_flows: ("flows/", r"/flows/\?q=nutrition"),
    search_all: ("/", r"/\?q=nutrition"),
}
POSTS: dict[Callable[[Page], None], tuple[str, str]] = {
    check_a_row: ("/tokens/", r"/tokens/$"),
    rename: ("rename/", r"/rename/$"),
    refresh: ("flows/?q=nutrition", r"/flows/\?q=nutrition"),
}


def go(page: Page, base_url: str, where: str) -> None:
    if where.startswith("/"):
        page.goto(base_url + where)
        return
    open_token(page, base_url, "Clinics")
    page.goto(page.url + where)


def test_filters_and_searches_are_there_again_after_signing_in(page: Page, base_url: str) -> None:
    sign_in(page, base_url, OWNER)
    for act, (where, back) in ASKS.items():
        go(page, base_url, where)
        sign_out_in_another_tab(page, base_url)
        act(page)
        sign_in_again(page, OWNER)
        page.wait_for_url(re.compile(back))
        expect(page.get_by_role("main").locator("input[name=q]")).to_have_value("nutrition")


def test_what_was_posted_is_not_done_and_the_person_is_told(page: Page, base_url: str) -> None:
    sign_in(page, base_url, OWNER)
    for act, (where, back) in POSTS.items():
        go(page, base_url, where)
        sign_out_in_another_tab(page, base_url)
        act(page)
        expect(page.get_by_role("status")).to_contain_text("Nothing was changed: you are not signed in any more.")
        screenshot(page, "session-ended")
        sign_in_again(page, OWNER)
        page.wait_for_url(re.compile(back))
    open_token(page, base_url, "Clinics")


def test_page_that_asks_by_itself_leads_to_the_sign_in(page: Page, base_url: str) -> None:
    sign_in(page, base_url, STAFF)
    page.clock.install()
    page.goto(f"{base_url}/staff/tokens/")
    page.context.clear_cookies(name="sessionid")
    page.clock.run_for(31_000)
    sign_in_again(page, STAFF)
    page.wait_for_url(f"{base_url}/staff/tokens/")


def test_list_on_its_way_is_found_again(page: Page, moody: Moody) -> None:
    moody.hold()
    email = sign_up(page, moody.url)
    add_token(page, moody.url, "districts")
    page.get_by_role("link", name="Flows", exact=True).click()
    expect(page.locator(".arriving")).to_contain_text("250 flows so far")
    page.context.clear_cookies(name="sessionid")
    sign_in_again(page, email, PASSPHRASE)
    page.wait_for_url(re.compile("/flows/$"))
    moody.open()
    expect(page.locator("#asof")).to_contain_text("251 flows")


@pytest.mark.parametrize("way", ["back", "address"])
def test_who_signed_out_leaves_no_page_behind(page: Page, base_url: str, way: str) -> None:
    sign_in(page, base_url, OWNER)
    open_token(page, base_url, "Clinics")
    private = page.url
    page.get_by_role("link", name="Sign out").click()
    page.get_by_role("main").get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{base_url}/")
    if way == "address":
        page.goto(private)
    else:
        page.go_back()
        page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    expect(page.get_by_text("Clinics")).to_have_count(0)
