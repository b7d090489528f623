"""The staff pages in a real browser: readable by everybody, fresh by themselves, and never under somebody's hands."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.e2e.conftest import sign_in

STAFF = "staff@example.org"
PAGES = ("overview", "tokens", "checks", "servers", "workspaces", "users", "work", "audit")


def test_every_page_fits_a_phone_and_is_read_aloud_well(page: Page, base_url: str) -> None:
    sign_in(page, base_url, STAFF)
    page.set_viewport_size({"width": 375, "height": 800})
    for name in PAGES:
        page.goto(f"{base_url}/staff/{name}/")
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth"), name
        found = Axe().run(page)
        assert found.violations_count == 0, f"{name}: {found.generate_report()}"


def test_tokens_are_disabled_and_that_is_undone(page: Page, base_url: str) -> None:
    sign_in(page, base_url, STAFF)
    page.goto(f"{base_url}/staff/tokens/?q=Bee")
    page.get_by_role("checkbox", name="Choose Bee school").check()
    page.get_by_role("button", name="Disable…").click()
    expect(page.get_by_role("heading", name="Disable 1 token?")).to_be_visible()
    page.get_by_role("button", name="Yes, do it").click()
    expect(page.get_by_text("1 of 1 token dealt with.")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", name="Enable: done")).to_be_visible()
    page.goto(f"{base_url}/staff/tokens/?q=Bee&state=unchecked")
    expect(page.get_by_role("rowheader", name=re.compile("Bee school"))).to_be_visible()


@pytest.mark.parametrize("busy", [False, True])
def test_an_open_page_asks_again_but_not_under_somebodys_hands(page: Page, base_url: str, busy: bool) -> None:
    sign_in(page, base_url, STAFF)
    page.clock.install()
    page.goto(f"{base_url}/staff/tokens/")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/staff/" in request.url else None)
    if busy:
        page.get_by_role("checkbox", name="Choose all on this page").check()
    if busy:
        page.clock.run_for(31_000)
        assert page.locator("input[name=token]:checked").count() >= 4
        assert asked == []
        return
    with page.expect_response(f"{base_url}/staff/tokens/"):
        page.clock.run_for(31_000)
    # The new part is put in place by a timer, too.
    page.clock.run_for(1_000)
    expect(page.get_by_role("checkbox", name="Choose all on this page")).to_be_visible()
    assert asked == [f"{base_url}/staff/tokens/"]
