"""The main job by keyboard alone: no mouse, no jump by script; what has the focus can be seen at each step."""

import itertools
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from rapidpro_integration.sandbox.tokens import TOKENS
from tests.e2e.conftest import screenshot, sign_in
from tests.e2e.people import PASSPHRASE, new_name
from tests.e2e.test_journey import OWNER, open_token

# What has the focus: its words, and how the browser shows that it has it, compared with how it looks without.
_FOCUS = """() => {
    const element = document.activeElement;
    if (!element || element === document.body) return null;
    const look = () => {
        const style = getComputedStyle(element);
        return [style.outlineStyle === "none" ? "" : [style.outlineStyle, style.outlineWidth, style.outlineColor],
            style.boxShadow, style.borderColor, style.backgroundColor, style.textDecorationLine].join("|");
    };
    document.getAnimations().forEach((animation) => animation.finish());
    const focused = look(), box = element.getBoundingClientRect();
    element.blur();
    document.getAnimations().forEach((animation) => animation.finish());
    const without = look();
    element.focus({ focusVisible: true, preventScroll: true });
    const label = element.labels && element.labels[0] ? element.labels[0].innerText : "";
    return { words: (label || element.getAttribute("aria-label") || element.innerText || element.name || "").trim(),
        tag: element.tagName, is_seen: focused !== without,
        is_in_view: box.bottom > 0 && box.top < innerHeight && box.width > 1 && box.height > 1 };
}"""
_MOST_STEPS = 80


class Keyboard:
    """Somebody who has no mouse."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.unseen: list[str] = []

    def steps(self, key: str = "Tab") -> Iterator[dict[str, str]]:
        """Go on with Tab, and yield what has the focus each time, until one is round the page."""
        for _ in range(_MOST_STEPS):
            self.page.keyboard.press(key)
            found = self.page.evaluate(_FOCUS)
            if found is None:
                continue
            if not (found["is_seen"] and found["is_in_view"]):
                self.unseen.append(f"{self.page.url}: {found['tag']} {found['words'][:40]!r}: {found}")
            yield found

    def to(self, words: str, key: str = "Tab") -> None:
        """Go on until what matches `words` has the focus."""
        passed = []
        for found in self.steps(key):
            if re.search(words, found["words"]):
                return
            passed.append(found["words"][:30])
        pytest.fail(f"No way by keyboard to {words!r} at {self.page.url}: only {passed}")

    def press(self, words: str, key: str = "Enter") -> None:
        """Go to what matches `words`, and press it."""
        self.to(words)
        with self.page.expect_navigation():
            self.page.keyboard.press(key)

    def type(self, words: str, text: str) -> None:
        """Go to the field that matches `words`, and type."""
        self.to(words)
        self.page.keyboard.type(text)


def test_main_job_is_done_by_keyboard_alone(page: Page, base_url: str) -> None:
    keys, name = Keyboard(page), new_name()
    page.goto(base_url)
    # The first stop leads past the menu.
    first = next(keys.steps())
    assert first["words"] == "Skip to the content"
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    keys.press("^Create an account$")
    keys.type("^Email", f"{name}@example.org")
    keys.type("^Username", name)
    keys.type("^Password", PASSPHRASE)
    keys.type("again", PASSPHRASE)
    with page.expect_navigation():
        page.keyboard.press("Enter")
    keys.press("^Add your first token$")
    keys.type("^Label", "By keyboard")
    keys.to("^Server")
    # A list is chosen from by typing what it says.
    page.keyboard.type(page.get_by_label("Server").locator("option", has_text="127.0.0.1").inner_text().strip()[:12])
    assert "127.0.0.1" in page.get_by_label("Server").evaluate("select => select.selectedOptions[0].text")
    keys.type("^API token", TOKENS["gallery"].secret)
    with page.expect_navigation():
        page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("By keyboard")
    screenshot(page, "keyboard-token")
    keys.press("^Flows$")
    keys.type("^Name", "hive")
    page.wait_for_url(re.compile("q=hive"))
    expect(page.get_by_label("Name")).to_be_focused()
    keys.press("(?i)hive")
    keys.press("^Picture$")
    # The picture is one stop, moved and zoomed by keys, and one leaves it again.
    keys.to("^Picture of the flow")
    before = page.locator("[data-zoom-level]").inner_text()
    page.keyboard.press("+")
    expect(page.locator("[data-zoom-level]")).not_to_have_text(before)
    screenshot(page, "keyboard-picture")
    page.keyboard.press("Tab")
    expect(page.locator(".flow-view")).not_to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(page.locator(".flow-view")).to_be_focused()
    page.goto(f"{base_url}/tokens/")
    keys.press("^By keyboard$")
    keys.press("^Delete$")
    keys.type("^Password", PASSPHRASE)
    with page.expect_navigation():
        page.keyboard.press("Enter")
    # On the page that asks, the way back comes right after the deed.
    keys.to("^Delete$")
    assert next(keys.steps())["words"] == "Cancel"
    page.keyboard.press("Shift+Tab")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="No token yet")).to_be_visible()
    assert keys.unseen == []


def test_keyboard_goes_round_the_list_without_a_trap(page: Page, base_url: str) -> None:
    sign_in(page, base_url, OWNER)
    open_token(page, base_url, "Clinics")
    page.get_by_role("link", name="Flows").click()
    page.get_by_text("More filters").click()
    keys = Keyboard(page)
    page.goto(page.url)
    tags, positions = [], []
    for found in keys.steps():
        tags.append(found["words"])
        positions.append(page.evaluate("document.activeElement.getBoundingClientRect().top + scrollY"))
        if found["words"] == "XLSX":
            break
    assert tags[-1] == "XLSX", tags
    # From top to bottom: nothing is reached before what stands above it.
    assert all(after > before - 120 for before, after in itertools.pairwise(positions)), positions
    assert keys.unseen == []
