"""Every page of the site: nothing that axe-core finds, no error in the console, nothing wider than a phone.

The pages stand in pages.txt, a line each; an address without a line fails. Each is looked at on a desk and on a phone,
light and dark, and from right to left.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.e2e import axe
from tests.e2e.conftest import PASSWORD, ROOT, SCREENSHOTS, Watch
from tests.security.urls import UNKNOWN, address, routes

TABLE = Path(__file__).with_name("pages.txt")
NOT_PAGES = frozenset({"post", "door", "file"})
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 375, "height": 800}
# `SCREENSHOTS=all make e2e` keeps a picture of each page in each look in screenshots/pages, for people to look at.
WITH_SCREENSHOTS = os.environ.get("SCREENSHOTS") == "all"
_EXCESS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@dataclass(frozen=True)
class Line:
    """A line of pages.txt."""

    route: str
    who: str
    status: int = 200
    query: str = ""
    ids: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return what to call the page in a list of faults and in the name of a file."""
        return f"/{self.route}{self.query} {' '.join(self.ids.values())}".strip() + f" as {self.who}"


def lines() -> Iterator[Line]:
    """Yield the lines of pages.txt."""
    for text in TABLE.read_text("utf-8").splitlines():
        if text.startswith("#"):
            continue
        route, who, *how = text.split(" | ")
        words = how[0].split() if how else []
        yield Line(
            route.strip(),
            who,
            next((int(word) for word in words if word.isdigit()), 200),
            next((word for word in words if word[0] == "?"), ""),
            dict(word.split("=", 1) for word in words if word[0] != "?" and "=" in word),
        )


LINES = list(lines())


def test_every_address_is_looked_at_or_said_to_be_no_page() -> None:
    assert {line.route for line in LINES} ^ set(routes()) == set()


class Looks:
    """One browser, a context for each person, and all faults that were found in it."""

    def __init__(self, browser: Browser, origin: str, stage: dict[str, Any]) -> None:
        self._browser, self.origin, self.stage = browser, origin, stage
        self._pages: dict[tuple[str, str], Page] = {}
        self._watch = Watch()
        self.faults: list[str] = []

    def where(self, line: Line) -> str:
        """Return the address of a line, with the ids of the rows that it names."""
        own = {name: self.stage["names"].get(value) or UNKNOWN[name] for name, value in line.ids.items()}
        query = line.query.format_map(self.stage["names"])
        return self.origin + address(line.route, self.stage["ids"] | own) + query

    def context(self, who: str, language: str = "en-GB") -> BrowserContext:
        """Return a context of the person: signed in, and with axe-core in each page."""
        context = self._browser.new_context(viewport=DESK, locale=language, reduced_motion="reduce")  # type: ignore[arg-type]
        context.set_default_timeout(10_000)
        self._watch.over(context).add_init_script(axe.SCRIPT)
        if cookie := self.stage["cookies"].get(who):
            context.add_cookies([cookie | {"url": self.origin}])
        return context

    def page(self, who: str, language: str = "en-GB") -> Page:
        """Return the one page of a person in a language, made at the first call."""
        key = (who, language)
        if key not in self._pages:
            self._pages[key] = self.context(who, language).new_page()
        return self._pages[key]

    def look(self, page: Page, name: str, *, status: int) -> None:
        """Look at what the page shows, on a desk and on a phone, light and dark."""
        self._take(page, name, "desk-light", axe.EVERYTHING)
        page.emulate_media(color_scheme="dark")
        self._take(page, name, "desk-dark", axe.COLOURS)
        page.set_viewport_size(PHONE)  # type: ignore[arg-type]
        self._take(page, name, "phone-dark", axe.COLOURS)
        page.emulate_media(color_scheme="light")
        self._take(page, name, "phone-light", axe.EVERYTHING)
        page.set_viewport_size(DESK)  # type: ignore[arg-type]
        self._end(name, status)

    def look_from_right_to_left(self, page: Page, name: str, *, status: int) -> None:
        """Look at what the page shows to somebody who reads Arabic, on a phone."""
        page.set_viewport_size(PHONE)  # type: ignore[arg-type]
        if page.locator("html").get_attribute("dir") != "rtl":
            self.faults.append(f"{name}: not from right to left")
        self._take(page, name, "phone-rtl", axe.SHAPE)
        self._end(name, status)

    def _take(self, page: Page, name: str, look: str, options: dict[str, Any]) -> None:
        self.faults += [f"{name}, {look}: {found}" for found in axe.findings(page, options)]
        excess = page.evaluate(_EXCESS)
        if excess > 0:
            self.faults.append(f"{name}, {look}: {excess} px too wide")
        if WITH_SCREENSHOTS:
            file = re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")
            page.screenshot(path=SCREENSHOTS / "pages" / f"{file}-{look}.png", full_page=True)

    def _end(self, name: str, status: int) -> None:
        # The browser itself says so when a page is not a 200.
        said = f"the server responded with a status of {status} "
        self.faults += [f"{name}: console: {text}" for text in self._watch.heard if status == 200 or said not in text]
        self._watch.heard.clear()

    def fail_of_faults(self) -> None:
        """Fail with a line for each fault that was found, if there is one."""
        found, self.faults = self.faults, []
        if found:
            pytest.fail("\n".join(found), pytrace=False)


@pytest.fixture(scope="module")
def looks(browser: Browser, base_url: str, site_environment: dict[str, str]) -> Looks:
    """Return the browser, with everybody in it signed in who is to look at something."""
    command = [sys.executable, "-m", "tests.e2e.stage", site_environment["SANDBOX_ORIGIN"]]
    made = subprocess.run(command, env=site_environment, cwd=ROOT, check=True, stdout=subprocess.PIPE, timeout=60)
    # Under its name: no browser binds a key to an IP address.
    looks = Looks(browser, base_url.replace("127.0.0.1", "localhost"), json.loads(made.stdout.splitlines()[-1]))
    keyed = looks.page("keyed")
    devices = keyed.context.new_cdp_session(keyed)
    devices.send("WebAuthn.enable")
    key = {"protocol": "ctap2", "transport": "usb", "automaticPresenceSimulation": True}
    devices.send("WebAuthn.addVirtualAuthenticator", {"options": key})
    keyed.goto(f"{looks.origin}/accounts/2fa/webauthn/add/")
    keyed.get_by_label("Name").fill("Blue key")
    keyed.get_by_role("button", name="Add the key").click()
    keyed.wait_for_url("**/accounts/2fa/")
    keyed.goto(f"{looks.origin}/accounts/2fa/webauthn/")
    edit = keyed.get_by_role("link", name="Rename").get_attribute("href") or ""
    looks.stage["ids"]["pk"] = edit.split("/")[-3]
    halfway = looks.page("halfway")
    halfway.goto(f"{looks.origin}/accounts/login/")
    halfway.locator("input[name=login]").fill("look-keyed@example.org")
    halfway.locator("input[name=password]").fill(PASSWORD)
    halfway.locator("main form button").first.click()
    halfway.wait_for_url("**/2fa/authenticate/")
    return looks


# --- Pages that are the answer to a form ---------------------------------------------------------


def send(page: Page, button: str = "main form button") -> int:
    """Press a button; return the status of the page that follows, when it is there."""
    with page.expect_navigation() as following:
        page.locator(button).first.click()
    return following.value.status


def out_of_date(page: Page, origin: str) -> int:
    """Send a form that another visit has made invalid."""
    page.goto(f"{origin}/accounts/password/reset/")
    page.locator("main input[name=csrfmiddlewaretoken]").evaluate("field => field.remove()")
    page.get_by_label("Email").fill("nobody@example.org")
    return send(page)


def tried_too_often(page: Page, origin: str) -> int:
    """Ask for a new password more often than is allowed."""
    status = 200
    for _ in range(6):
        page.goto(f"{origin}/accounts/password/reset/")
        page.get_by_label("Email").fill("nobody@example.org")
        status = send(page)
    return status


def wrong_password(page: Page, origin: str) -> int:
    """Sign in with a password that is not the person's."""
    page.goto(f"{origin}/accounts/login/")
    page.locator("input[name=login]").fill("look-owner@example.org")
    page.locator("input[name=password]").fill("not the password")
    return send(page)


def refused_token(page: Page, origin: str) -> int:
    """Add a token that the server does not know."""
    page.goto(f"{origin}/tokens/add/")
    page.get_by_label("Label").fill("Mistyped")
    sandbox = page.get_by_label("Server").locator("option", has_text="127.0.0.1").get_attribute("value")
    page.get_by_label("Server").select_option(sandbox)
    page.get_by_label("API token").fill("0" * 40)
    return send(page)


def approval(page: Page, origin: str) -> int:
    """Choose to approve a server, which asks once more."""
    page.goto(f"{origin}/admin/rapidpro_integration/serverrequest/?state__exact=waiting")
    page.get_by_role("checkbox", name="Ministry of the north").check()
    page.locator("select[name=action]").select_option("approve")
    return send(page, "button[name=index]")


def deletion_in_the_admin(page: Page, origin: str) -> int:
    """Choose to delete rows in the admin, which asks once more."""
    page.goto(f"{origin}/admin/auth/group/")
    page.locator("input.action-select").first.check()
    page.locator("select[name=action]").select_option("delete_selected")
    return send(page, "button[name=index]")


# What to do, who does it, and the status that the page has then.
ANSWERS: dict[Callable[[Page, str], int], tuple[str, int]] = {
    out_of_date: ("stranger", 403),
    tried_too_often: ("stranger", 429),
    wrong_password: ("stranger", 200),
    refused_token: ("owner", 200),
    approval: ("staff", 200),
    deletion_in_the_admin: ("staff", 200),
}


def test_every_page_is_without_findings(looks: Looks) -> None:
    for line in LINES:
        if line.who in NOT_PAGES:
            continue
        page = looks.page(line.who)
        response = page.goto(looks.where(line))
        assert response is not None
        if response.status != line.status:
            looks.faults.append(f"{line.name}: a {response.status} instead of a {line.status}")
        looks.look(page, line.name, status=line.status)
    for step, (who, status) in ANSWERS.items():
        page = looks.page(who)
        assert step(page, looks.origin) == status, step
        looks.look(page, step.__name__.replace("_", " "), status=status)
    looks.fail_of_faults()


def test_every_page_from_right_to_left(looks: Looks) -> None:
    for line in LINES:
        # Halfway through signing in is one session, and the language is the same there.
        if line.who in NOT_PAGES or line.who == "halfway":
            continue
        page = looks.page(line.who, "ar")
        page.goto(looks.where(line))
        looks.look_from_right_to_left(page, line.name, status=line.status)
    looks.fail_of_faults()


def test_what_is_no_page_is_none(looks: Looks) -> None:
    wrong = {"post": lambda answer: answer.status != 405, "door": lambda answer: answer.status != 302}
    wrong["file"] = lambda answer: answer.status == 200 and "text/html" in answer.headers["content-type"]
    for line in [line for line in LINES if line.who in NOT_PAGES]:
        person = looks.page("staff" if line.route.startswith(("admin/", "staff/")) else "owner")
        answer = person.request.get(looks.where(line), max_redirects=0)
        if wrong[line.who](answer):
            looks.faults.append(f"{line.name}: a {answer.status}, {answer.headers.get('content-type')}")
    looks.fail_of_faults()
