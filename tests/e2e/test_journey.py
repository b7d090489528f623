"""The main job in a real browser: sign in, save a token, read flows; on a desk and on a phone, light and dark."""

import re

import pytest
from playwright.sync_api import Page, expect

from rapidpro_integration.sandbox.tokens import TOKENS
from tests.e2e.conftest import screenshot, sign_in

OWNER, OTHER, STAFF = "owner@example.org", "other@example.org", "staff@example.org"


def open_token(page: Page, base_url: str, label: str) -> None:
    page.goto(f"{base_url}/tokens/")
    page.get_by_role("rowheader", name=label).get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(label)


def test_stranger_reads_what_this_is_and_signs_in(page: Page, base_url: str) -> None:
    page.goto(base_url)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    screenshot(page, "home")
    page.get_by_role("main").get_by_role("link", name="Sign in").click()
    screenshot(page, "sign-in")
    page.get_by_label(re.compile("e-mail|email|username|login", re.IGNORECASE)).first.fill(OWNER)
    page.get_by_label("Password").first.fill("sandbox-only")
    page.get_by_role("main").get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Workspaces")).to_be_visible()
    screenshot(page, "workspaces")


def test_token_is_refused_then_saved_then_undone(page: Page, base_url: str) -> None:
    sign_in(page, base_url, OWNER)
    page.goto(f"{base_url}/tokens/")
    page.get_by_role("link", name="Add a token").click()
    screenshot(page, "add")
    page.get_by_label("Label").fill("Spare of the clinics")
    sandbox = page.get_by_label("Server").locator("option", has_text="127.0.0.1").get_attribute("value")
    page.get_by_label("Server").select_option(sandbox)
    page.get_by_label("API token").fill("0" * 40)
    page.get_by_role("button", name="Check and save").click()
    expect(page.get_by_role("alert")).to_contain_text("does not know this token")
    expect(page.get_by_label("API token")).to_have_value("")
    expect(page.get_by_label("Save it all the same")).to_be_visible()
    screenshot(page, "add-refused")
    page.get_by_label("API token").fill(f" Token {TOKENS['spare'].secret} ")
    page.get_by_role("button", name="Check and save").click()
    expect(page.get_by_role("status")).to_contain_text("Northern Clinics")
    screenshot(page, "added")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", name="Tokens")).to_be_visible()
    expect(page.get_by_role("rowheader", name="Spare of the clinics")).to_have_count(0)


def test_flows_of_the_large_workspace_are_read_page_by_page(page: Page, base_url: str) -> None:
    sign_in(page, base_url, OWNER)
    open_token(page, base_url, "National programme")
    screenshot(page, "token")
    page.get_by_role("link", name="Flows").click()
    expect(page.get_by_text("2,600 flows")).to_be_visible()
    screenshot(page, "flows")
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_text("251–500 of 2,600")).to_be_visible()


def test_flow_of_the_small_workspace_opens(page: Page, base_url: str) -> None:
    sign_in(page, base_url, OWNER)
    open_token(page, base_url, "Clinics")
    page.get_by_role("link", name="Flows").click()
    expect(page.get_by_text("12 flows")).to_be_visible()
    screenshot(page, "flows-small")
    page.get_by_role("table").get_by_role("rowheader").first.get_by_role("link").click()
    expect(page.get_by_role("heading", name="Facts")).to_be_visible()
    screenshot(page, "flow")
    page.get_by_role("link", name="Show what the server sent").click()
    expect(page.locator("pre.raw")).to_contain_text('"uuid"')
    screenshot(page, "flow-raw")


def test_window_of_days_filters_and_refuses_nonsense(page: Page, base_url: str, expected_failures: list[str]) -> None:
    # A change while the answer to the last one is under way takes its place, which htmx calls an error.
    expected_failures += ["htmx:sendAbort", "htmx:afterRequest"]
    sign_in(page, base_url, OWNER)
    open_token(page, base_url, "Clinics")
    page.get_by_role("link", name="Flows").click()
    page.get_by_text("More filters").click()
    page.get_by_label("Modified from").fill("2031-01-01")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("No flow fits these filters")).to_be_visible()
    page.get_by_label("Modified until").fill("2030-01-01")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("The last day is earlier than the first one")).to_be_visible()
    screenshot(page, "flows-none")


def test_broken_token_explains_itself(page: Page, base_url: str, expected_failures: list[str]) -> None:
    expected_failures.append("424")
    sign_in(page, base_url, OWNER)
    open_token(page, base_url, "Left-over of last year")
    expect(page.get_by_text("The server does not know this token")).to_be_visible()
    screenshot(page, "token-rejected")
    page.get_by_role("link", name="Flows").click()
    expect(page.get_by_role("heading", name="The server does not know this token")).to_be_visible()
    screenshot(page, "problem")


def test_check_by_htmx_replaces_the_row(page: Page, base_url: str) -> None:
    sign_in(page, base_url, OWNER)
    page.goto(f"{base_url}/tokens/")
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="Clinics"))
    with page.expect_response(re.compile("/check/$")):
        row.get_by_role("button", name="Check").click()
    expect(row).to_contain_text("Working")
    expect(page).to_have_url(f"{base_url}/tokens/")


def test_delete_asks_and_rename_and_replace_have_pages(page: Page, base_url: str) -> None:
    sign_in(page, base_url, OWNER)
    for action in ("Rename", "Replace", "Delete"):
        open_token(page, base_url, "Clinics")
        page.get_by_role("link", name=action, exact=True).click()
        screenshot(page, action.lower())
        page.get_by_role("main").get_by_role("link", name="Cancel").click()
    expect(page.get_by_role("heading", name="Clinics")).to_be_visible()


def test_other_tenant_gets_a_404(page: Page, base_url: str, expected_failures: list[str]) -> None:
    expected_failures.append("404")
    sign_in(page, base_url, OWNER)
    open_token(page, base_url, "Clinics")
    address = page.url
    page.context.clear_cookies()
    sign_in(page, base_url, OTHER)
    response = page.goto(address)
    assert response is not None
    assert response.status == 404
    screenshot(page, "not-found")


def test_account_pages_look_right(page: Page, base_url: str) -> None:
    sign_in(page, base_url, OWNER)
    for name, path in {
        "profile": "/accounts/profile/",
        "close": "/accounts/close/",
        "email": "/accounts/email/",
        "password": "/accounts/password/change/",
        "sign-out": "/accounts/logout/",
    }.items():
        page.goto(base_url + path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        screenshot(page, name)
    page.context.clear_cookies()
    for name, path in {"sign-up": "/accounts/signup/", "reset": "/accounts/password/reset/"}.items():
        page.goto(base_url + path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        screenshot(page, name)


def test_right_to_left(page: Page, base_url: str) -> None:
    sign_in(page, base_url, OTHER)
    page.goto(f"{base_url}/accounts/profile/")
    page.locator("select[name=language]").select_option("ar")
    page.locator("main form button").click()
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    screenshot(page, "profile-rtl")
    page.goto(f"{base_url}/tokens/")
    screenshot(page, "tokens-rtl")
    page.goto(f"{base_url}/accounts/profile/")
    page.locator("select[name=language]").select_option("")
    page.locator("main form button").click()
    expect(page.locator("html")).to_have_attribute("dir", "ltr")


def test_admin_manages_tokens_without_seeing_one(page: Page, base_url: str) -> None:
    sign_in(page, base_url, STAFF)
    page.goto(f"{base_url}/admin/rapidpro_integration/rapidprotoken/")
    expect(page.get_by_text(re.compile(r"\d+ RapidPro tokens"))).to_be_visible()
    for token in TOKENS.values():
        assert token.secret not in page.content()
    screenshot(page, "admin-tokens")


def test_log_tells_what_was_done_and_is_read_by_token(page: Page, base_url: str) -> None:
    sign_in(page, base_url, OWNER)
    open_token(page, base_url, "Clinics")
    page.get_by_role("button", name="Check now").click()
    page.get_by_role("link", name="Flows").click()
    open_token(page, base_url, "Clinics")
    page.get_by_role("link", name="Log of this token").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Log of “Clinics”")
    rows = page.get_by_role("table").get_by_role("row")
    expect(rows.filter(has_text="Token used").filter(has_text="list of flows").first).to_be_visible()
    expect(rows.filter(has_text="Token checked").first).to_contain_text("127.0.0.1")
    screenshot(page, "log-token")
    page.get_by_role("link", name="Log of everything").click()
    expect(page.get_by_role("table")).to_contain_text("Signed in")
    screenshot(page, "log")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as CSV").click()
    assert download.value.suggested_filename == "audit-log.csv"
    assert "token_opened" in download.value.path().read_text("utf-8")


def test_staff_read_the_whole_log_and_cannot_change_it(page: Page, base_url: str) -> None:
    sign_in(page, base_url, STAFF)
    page.goto(f"{base_url}/admin/accounts/auditentry/")
    expect(page.get_by_role("heading", name="Select audit entry to view")).to_be_visible()
    expect(page.locator("#changelist")).to_contain_text("owner@example.org")
    screenshot(page, "admin-log")
    page.locator("#result_list tbody th a").first.click()
    expect(page.get_by_role("button", name="Save")).to_have_count(0)
    screenshot(page, "admin-log-entry")


@pytest.mark.parametrize("width", [320, 375, 768])
def test_nothing_is_wider_than_the_screen(page: Page, base_url: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    sign_in(page, base_url, OWNER)
    addresses = ["/", "/?q=school", "/tokens/", "/tokens/add/", "/accounts/profile/", "/accounts/log/"]
    page.goto(f"{base_url}/tokens/")
    first = page.get_by_role("rowheader").first.get_by_role("link").get_attribute("href")
    addresses += [str(first), f"{first}flows/"]
    for address in addresses:
        page.goto(base_url + address)
        excess = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert excess <= 0, f"{address} is {excess}px too wide at {width}px"
