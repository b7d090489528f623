"""The list of flows in a real browser: with and without JavaScript."""

import re
from pathlib import Path

from openpyxl import load_workbook
from playwright.sync_api import Page, expect

from tests.e2e.conftest import screenshot, sign_in
from tests.e2e.test_journey import OWNER, open_token


def open_flows(page: Page, base_url: str) -> str:
    sign_in(page, base_url, OWNER)
    open_token(page, base_url, "National programme")
    page.get_by_role("link", name="Flows").click()
    expect(page.get_by_text("2,600 flows")).to_be_visible()
    return page.url


def test_filter_by_address_works_without_javascript(plain_page: Page, base_url: str) -> None:
    page, address = plain_page, open_flows(plain_page, base_url)
    page.goto(f"{address}?type=background&sort=-runs")
    expect(page.get_by_label("Type")).to_have_value("background")
    rows = page.locator("table.flows tbody tr")
    kinds = rows.locator("td:nth-child(2)").all_inner_texts()
    assert set(kinds) == {"Background"}
    runs = [int(text.replace(",", "")) for text in rows.locator("td:nth-child(4)").all_inner_texts()]
    assert runs == sorted(runs, reverse=True)
    # The form keeps the order, adds a filter and lands in an address of its own.
    page.get_by_label("State").select_option("yes")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url(re.compile("type=background.*archived=yes.*sort=-runs"))
    expect(page.locator("table.flows tbody tr .tag", has_text="Archived").first).to_be_visible()
    page.get_by_role("link", name="Name", exact=True).click()
    page.wait_for_url(re.compile("sort=name"))
    page.get_by_role("link", name="Clear").click()
    page.wait_for_url(address)
    page.get_by_role("button", name="Refresh").click()
    # At once, or after the page has reloaded itself.
    expect(page.locator(".arriving")).to_have_count(0)
    expect(page.locator("#asof")).to_contain_text("2,600 flows")


def test_typing_swaps_the_table_alone_and_keeps_the_address(
    page: Page, base_url: str, expected_failures: list[str]
) -> None:
    # A change while the answer to the last one is under way takes its place, which htmx calls an error.
    expected_failures += ["htmx:sendAbort", "htmx:afterRequest"]
    open_flows(page, base_url)
    page.evaluate("window.samePage = true")
    page.get_by_label("Name").press_sequentially("VACCINE")
    page.wait_for_url(re.compile("q=VACCINE"))
    expect(page.locator("#flows").get_by_role("status")).to_contain_text("of 2,600")
    expect(page.get_by_label("Name")).to_be_focused()
    page.get_by_label("Name").fill("")
    expect(page.locator("#flows").get_by_role("status")).to_have_count(0)
    page.get_by_role("link", name="Runs").click()
    expect(page.locator("th[aria-sort=descending]")).to_contain_text("Runs")
    page.wait_for_url(re.compile("sort=-runs"))
    page.get_by_text("More filters").click()
    page.get_by_label("Completed from %").fill("80")
    page.get_by_label("Completed to %").fill("20")
    page.get_by_label("Completed to %").blur()
    expect(page.locator("#slot_rate_to")).to_contain_text("lower than the lowest")
    assert page.evaluate("window.samePage")
    screenshot(page, "flows-bad-filter")


def test_saved_file_opens_again_with_exactly_the_filtered_rows(plain_page: Page, base_url: str, tmp_path: Path) -> None:
    address = open_flows(plain_page, base_url)
    plain_page.goto(f"{address}?type=background&sort=name")
    said = plain_page.locator("#flows").get_by_role("status").inner_text()
    with plain_page.expect_download() as saved:
        plain_page.get_by_role("link", name="XLSX").click()
    file = tmp_path / saved.value.suggested_filename
    saved.value.save_as(file)
    assert re.fullmatch(r"flows-.*National-Health-Messaging-\d{4}-\d\d-\d\d-\d{4}-UTC\.xlsx", file.name)
    heading, *rows = load_workbook(file).active.values
    assert f"{len(rows)} of 2,600" in said
    assert {row[heading.index("type")] for row in rows} == {"background"}
    shown = plain_page.locator("table.flows tbody th bdi").all_inner_texts()
    assert [row[heading.index("name")] or "(no name)" for row in rows][: len(shown)] == shown
