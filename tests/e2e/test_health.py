"""The health of a token in a real browser, with the worker and the scheduler of `make run` behind it."""

import re

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.e2e.conftest import screenshot, sign_in
from tests.e2e.test_journey import OWNER, open_token


def test_owner_reads_how_a_token_did_and_says_how_old_it_may_grow(page: Page, base_url: str) -> None:
    sign_in(page, base_url, OWNER)
    open_token(page, base_url, "National programme")
    page.get_by_role("button", name="Check now").click()
    expect(page.get_by_role("img", name=re.compile("How much of each day"))).to_be_visible()
    page.get_by_text("The same as a table").click()
    expect(page.get_by_role("columnheader", name="Worked")).to_be_visible()
    page.get_by_text("The last checks").click()
    expect(page.get_by_role("cell", name="by hand").first).to_be_visible()
    screenshot(page, "token-health")
    page.set_viewport_size({"width": 375, "height": 800})
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    page.get_by_role("link", name=re.compile("Change")).click()
    page.get_by_label(re.compile("Replace after")).fill("90")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The age of the token was saved.")).to_be_visible()
    expect(page.get_by_text("no date set")).to_have_count(0)


def test_weekly_mail_is_switched_below_the_list(page: Page, base_url: str) -> None:
    sign_in(page, base_url, OWNER)
    page.goto(f"{base_url}/tokens/")
    page.get_by_role("button", name="Mail me each week how all did").click()
    expect(page.get_by_text("You will get a mail each week.")).to_be_visible()
    page.get_by_role("button", name="Stop the weekly mail").click()
    expect(page.get_by_text("You will get no weekly mail.")).to_be_visible()
