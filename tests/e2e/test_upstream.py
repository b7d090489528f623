"""A RapidPro that is slow or broken, as the person sees it: what is missing, why, and a way on that works."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import screenshot, sign_in
from tests.e2e.moody import Moody
from tests.e2e.people import add_token, sign_up
from tests.e2e.test_journey import OWNER, open_token

# How it breaks, and what the page is called then; all of them are a 502.
FAULTS: dict[str, tuple[Callable[[Moody], None], str]] = {
    "reset in the middle": (lambda moody: moody.reset(), "The server's answer cannot be read"),
    "500": (lambda moody: moody.say(500, b"{}"), "The server broke on this request"),
    "HTML": (lambda moody: moody.say(200, b"<h1>Welcome</h1>", "text/html"), "This does not answer like RapidPro"),
    "refused": (lambda moody: moody.shut(), "The server cannot be reached"),
}


@pytest.fixture
def flow(page: Page, moody: Moody) -> str:
    """Sign in, and return the address of a flow, which is asked for anew each time."""
    sign_in(page, moody.url, OWNER)
    open_token(page, moody.url, "Clinics")
    page.get_by_role("link", name="Flows").click()
    address = page.get_by_role("table").get_by_role("rowheader").first.get_by_role("link").get_attribute("href")
    return f"{moody.url}{address}"


def test_each_fault_is_said_and_trying_again_works(
    page: Page, moody: Moody, flow: str, expected_failures: list[str]
) -> None:
    expected_failures.append("502")
    for name, (break_it, title) in FAULTS.items():
        break_it(moody)
        response = page.goto(flow)
        assert response is not None
        assert response.status == 502, name
        expect(page.get_by_role("heading", level=1)).to_have_text(title)
        expect(page.locator("dl.facts")).to_contain_text(f"127.0.0.1:{moody.port}")
        expect(page.locator("dl.facts code")).to_have_text(re.compile(r"^[0-9A-F]{8}$"))
        screenshot(page, f"problem-{name.replace(' ', '-')}")
        moody.open()
        page.get_by_role("link", name="Try again").click()
        expect(page.get_by_role("heading", name="Facts")).to_be_visible()


def test_server_that_wants_a_pause_is_given_one(
    page: Page, moody: Moody, flow: str, expected_failures: list[str]
) -> None:
    expected_failures += ["429", "503"]
    moody.say(429, b'{"detail": "slow down"}', **{"retry-after": "6"})
    page.goto(flow)
    expect(page.get_by_role("heading", level=1)).to_have_text("The workspace has used up its requests")
    countdown = page.locator(".countdown")
    expect(countdown).to_have_text(re.compile(r"You can try again in 0:0[1-6]\."))
    screenshot(page, "problem-429")
    moody.open()
    asked = len(moody.asked)
    expect(countdown).to_have_text("You can try again now.", timeout=15_000)
    assert len(moody.asked) == asked, "nobody asked while the server wanted its peace"
    page.get_by_role("link", name="Try again").click()
    expect(page.get_by_role("heading", name="Facts")).to_be_visible()


def test_list_that_breaks_off_shows_what_came_and_goes_on(page: Page, moody: Moody) -> None:
    sign_up(page, moody.url)
    address = add_token(page, moody.url, "districts")
    moody.reset(from_the_second_page=True)
    page.goto(f"{address}flows/")
    # It is tried again a few times first.
    expect(page.get_by_text("The list is not whole: 250 flows came, and older ones are missing.")).to_be_visible(
        timeout=20_000
    )
    expect(page.locator("table.flows tbody tr")).to_have_count(250)
    expect(page.locator("#flows [role=status] code")).to_have_text(re.compile(r"^[0-9A-F]{8}$"))
    screenshot(page, "flows-broke-off")
    moody.open()
    page.get_by_role("button", name="Go on from there").click()
    expect(page.locator("#asof")).to_contain_text("251 flows")
    expect(page.locator("#flows .message.warning")).to_have_count(0)
