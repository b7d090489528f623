"""The picture of a flow in a real browser: by keyboard, on paper, without JavaScript, as a file, and in each look."""

import re

import pytest
from playwright.sync_api import Page, expect

from rapidpro_integration.sandbox.data import load
from rapidpro_integration.sandbox.script import stable_uuid
from tests.e2e.conftest import screenshot, sign_in
from tests.e2e.test_journey import OWNER, open_token

DRAWN = sorted(definition["name"] for definition in load()["gallery"].definitions.values() if definition.get("nodes"))


def open_picture(page: Page, base_url: str, key: str) -> None:
    sign_in(page, base_url, OWNER)
    open_token(page, base_url, "Bee school")
    uuid = stable_uuid("gallery", "flow", key)
    page.goto(f"{page.url}flows/{uuid}/")
    page.get_by_role("link", name="Picture", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Picture")


def pages_of(pdf: bytes) -> list[tuple[float, float]]:
    """Return the size of each page in points."""
    boxes = re.findall(rb"/MediaBox\s*\[\s*0 0 ([\d.]+) ([\d.]+)\s*\]", pdf)
    return [(float(width), float(height)) for width, height in boxes]


def test_picture_is_zoomed_and_moved_by_keyboard(page: Page, base_url: str) -> None:
    open_picture(page, base_url, "menu")
    view = page.get_by_role("region", name="Picture of the flow")
    expect(view.get_by_role("img")).to_be_visible()
    view.focus()
    page.keyboard.press("1")
    expect(page.locator("[data-zoom-level]")).to_have_text("100 %")
    width = view.evaluate("view => view.querySelector('svg').getBoundingClientRect().width")
    page.keyboard.press("+")
    expect(page.locator("[data-zoom-level]")).to_have_text("125 %")
    assert view.evaluate("view => view.querySelector('svg').getBoundingClientRect().width") == pytest.approx(
        width * 1.25
    )
    before = view.evaluate("view => view.scrollTop")
    page.keyboard.press("ArrowDown")
    page.wait_for_function("before => document.querySelector('.flow-view').scrollTop > before", arg=before)
    page.keyboard.press("0")
    assert view.evaluate(
        "view => view.scrollHeight <= view.clientHeight + 1 && view.scrollWidth <= view.clientWidth + 1"
    )


def test_picture_is_moved_by_mouse(page: Page, base_url: str) -> None:
    open_picture(page, base_url, "menu")
    view = page.locator(".flow-view")
    page.get_by_role("button", name="Larger").click()
    before = view.evaluate("view => view.scrollTop")
    box = view.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 300, box["y"] + 300)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + 150, steps=5)
    page.mouse.up()
    assert view.evaluate("view => view.scrollTop") == pytest.approx(before + 150, abs=2)


def test_picture_is_saved_as_png_and_svg(page: Page, base_url: str) -> None:
    open_picture(page, base_url, "menu")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download as PNG").click()
    assert saved.value.suggested_filename.startswith("weekly-hive-report-")
    png = saved.value.path().read_bytes()
    assert png.startswith(b"\x89PNG")
    assert int.from_bytes(png[16:20]) > 2_000
    with page.expect_download() as saved:
        page.get_by_role("link", name="Download as SVG").click()
    assert saved.value.suggested_filename.endswith(".svg")
    assert saved.value.path().read_text("utf-8").startswith("<?xml")


@pytest.mark.parametrize(("paper", "width"), [("A4", 595), ("A3", 842)])
def test_picture_is_printed_over_several_pages(page: Page, base_url: str, paper: str, width: int) -> None:
    open_picture(page, base_url, "scripts")
    page.get_by_role("link", name=paper, exact=True).click()
    sheets = page.locator("figure.sheet").count()
    sizes = pages_of(page.pdf(prefer_css_page_size=True))
    assert sheets >= 2
    assert [round(one) for one, _ in sizes].count(width) == sheets
    assert len(sizes) == sheets + 1  # the first says what it is


def test_picture_works_without_javascript(plain_page: Page, base_url: str) -> None:
    plain_page.set_viewport_size({"width": 375, "height": 800})
    open_picture(plain_page, base_url, "menu")
    expect(plain_page.locator(".flow-view svg")).to_be_visible()
    expect(plain_page.get_by_role("button", name="Larger")).to_have_count(0)
    expect(plain_page.get_by_role("heading", name="The same in words")).to_be_visible()
    plain_page.get_by_role("link", name="step 6").first.click()
    expect(plain_page.locator("#step-6")).to_be_in_viewport()


def test_languages_script_and_definition(page: Page, base_url: str) -> None:
    open_picture(page, base_url, "welcome")
    page.get_by_role("link", name="fra", exact=True).click()
    expect(page.locator(".flow-view")).to_contain_text("Bienvenue")
    page.get_by_role("link", name="Script", exact=True).click()
    expect(page.get_by_text("6 texts are not translated")).to_be_visible()
    screenshot(page, "flow-script")
    assert len(pages_of(page.pdf(prefer_css_page_size=True))) >= 3
    page.go_back()
    page.get_by_role("navigation", name="Breadcrumb").get_by_role("link").last.click()
    page.get_by_role("link", name="Definition", exact=True).click()
    screenshot(page, "flow-definition")
    with page.expect_download() as saved:
        page.get_by_role("link", name="Download for an import into RapidPro").click()
    assert '"spec_version"' in saved.value.path().read_text("utf-8")


@pytest.mark.parametrize("name", ["Nothing in it yet", "From 2015"])
def test_what_cannot_be_drawn_says_why(page: Page, base_url: str, expected_failures: list[str], name: str) -> None:
    expected_failures.append("422")
    sign_in(page, base_url, OWNER)
    open_token(page, base_url, "Bee school")
    page.get_by_role("link", name="Flows").click()
    page.get_by_role("rowheader", name=name).get_by_role("link").click()
    page.get_by_role("link", name="Picture", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("no steps yet|old version of RapidPro"))


@pytest.mark.parametrize("name", DRAWN, ids=lambda name: re.sub(r"\W+", "-", name)[:30])
def test_every_flow_of_the_gallery_has_a_picture_in_each_look(page: Page, base_url: str, name: str) -> None:
    sign_in(page, base_url, OWNER)
    open_token(page, base_url, "Bee school")
    uuid = next(uuid for uuid, one in load()["gallery"].definitions.items() if one["name"] == name)
    page.goto(f"{page.url}flows/{uuid}/picture/")
    expect(page.locator(".flow-view svg")).to_be_visible()
    # Text that is wider than its box would stand over the line beside it.
    wide = page.evaluate(
        """() => [...document.querySelectorAll('.flow-view g.step')].flatMap((step) => {
          const box = step.querySelector('rect').getBoundingClientRect();
          return [...step.querySelectorAll('text')].filter((text) => {
            const own = text.getBoundingClientRect();
            return own.right > box.right + 1 || own.left < box.left - 1;
          }).map((text) => text.textContent);
        })"""
    )
    assert wide == []
    screenshot(page, f"picture-{uuid[:8]}")
    page.set_viewport_size({"width": 375, "height": 800})
    page.reload()
    page.locator(".flow-view").scroll_into_view_if_needed()
    start = page.locator(".flow-view g[data-step='1'] rect").bounding_box()
    assert start is not None
    assert 0 <= start["x"] < 375 - 100
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
