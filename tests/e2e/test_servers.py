"""In a real browser: a person asks for a server, an administrator approves it, and the person can choose it."""

import re

from playwright.sync_api import Page, expect

from tests.e2e.conftest import screenshot, sign_in

OWNER, STAFF = "owner@example.org", "staff@example.org"


def test_server_is_asked_for_approved_and_chosen(page: Page, base_url: str) -> None:
    sign_in(page, base_url, OWNER)
    page.get_by_role("link", name="Add a token").click()
    page.get_by_role("link", name="Is your server missing?").click()
    page.get_by_label("Name").fill("Ministry of Health")
    page.get_by_label("Address").fill("https://RapidPro.Health.example/")
    page.get_by_label("Reason").fill("Our own server")
    page.get_by_role("button", name="Ask for it").click()
    expect(page.get_by_role("status")).to_contain_text("Your administrators were asked")
    expect(page.get_by_role("row", name=re.compile("rapidpro.health.example"))).to_contain_text("Not answered yet")
    screenshot(page, "servers")

    page.context.clear_cookies()
    sign_in(page, base_url, STAFF)
    page.goto(f"{base_url}/admin/rapidpro_integration/serverrequest/")
    page.get_by_role("checkbox", name=re.compile("Ministry of Health")).check()
    page.locator("select[name=action]").select_option("approve")
    page.get_by_role("button", name=re.compile("Run|Go")).click()
    expect(page.get_by_text("https://rapidpro.health.example")).to_be_visible()
    screenshot(page, "servers-approve")
    page.get_by_label("Answer to the person").fill("Welcome")
    page.get_by_role("button", name="Yes, I am sure").click()
    expect(page.get_by_text("1 request decided.")).to_be_visible()

    page.context.clear_cookies()
    sign_in(page, base_url, OWNER)
    page.goto(f"{base_url}/tokens/servers/")
    expect(page.get_by_role("row", name=re.compile("Welcome"))).to_contain_text("Approved")
    page.goto(f"{base_url}/tokens/add/")
    page.get_by_label("Server").select_option("https://rapidpro.health.example")
