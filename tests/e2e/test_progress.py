"""A list that takes a while, in a real browser: its progress, Stop and going on, with and without JavaScript."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from rapidpro_integration.sandbox.app import create_app
from rapidpro_integration.sandbox.serve import serving
from tests.e2e.conftest import ROOT, screenshot, sign_in
from tests.e2e.test_flow_list import plain_page  # noqa: F401  # a fixture
from tests.e2e.test_journey import OTHER, OWNER, open_token
from tests.served import HOST, environment, free_port, wait_for


class Paced:
    """The sandbox, whose pages of flows after the first one wait until the test lets them come."""

    def __init__(self) -> None:
        self.url = ""
        self._sandbox = create_app()
        self._let, self._is_open = 0, True

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request of the site's."""
        if scope["path"].endswith("/flows.json") and b"cursor=" in scope["query_string"]:
            while not self._may_come():  # noqa: ASYNC110  # the test is in another thread
                await asyncio.sleep(0.02)
        await self._sandbox(scope, receive, send)

    def _may_come(self) -> bool:
        self._let -= 1
        if not (self._is_open or self._let >= 0):
            self._let = 0
            return False
        return True

    def hold(self) -> None:
        """Let none come from now on."""
        self._is_open, self._let = False, 0

    def let(self, count: int) -> None:
        """Let so many come."""
        self._let = count

    def open(self) -> None:
        """Let all come."""
        self._is_open = True


@pytest.fixture(scope="module")
def paced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Paced]:
    """Serve a demo site whose RapidPro is as slow as the test wants."""
    folder: Path = tmp_path_factory.mktemp("paced-site")
    port, sandbox_port = free_port(), free_port()
    variables = environment(folder, SANDBOX_ORIGIN=f"http://{HOST}:{sandbox_port}", RATE_LIMIT_SIGN_IN="1000/m/ip")
    manage = [sys.executable, str(ROOT / "manage.py")]
    for command in (["migrate", "--verbosity", "0"], ["load_demo"]):
        subprocess.run([*manage, *command], env=variables, cwd=ROOT, check=True, capture_output=True, timeout=60)
    web = [sys.executable, "-m", "uvicorn", "config.asgi:application", "--host", HOST, "--port", str(port)]
    rapidpro = Paced()
    with (
        serving(rapidpro, port=sandbox_port),
        subprocess.Popen([*web, "--lifespan", "on", "--log-level", "warning"], env=variables, cwd=ROOT) as site,
    ):
        try:
            wait_for(port, site)
            rapidpro.url = f"http://{HOST}:{port}"
            yield rapidpro
        finally:
            rapidpro.open()
            site.terminate()
            site.wait(20)


def test_list_grows_is_stopped_and_goes_on_to_its_end(page: Page, paced: Paced) -> None:
    paced.hold()
    sign_in(page, paced.url, OWNER)
    open_token(page, paced.url, "National programme")
    page.get_by_role("link", name="Flows").click()
    rows, far = page.locator("table.flows tbody tr"), page.locator(".arriving")
    expect(rows).to_have_count(250)
    expect(far).to_contain_text("250 flows so far")
    screenshot(page, "flows-arriving")
    # The number grows by itself, and the rows that somebody reads stay where they are.
    page.evaluate("window.samePage = true")
    paced.let(2)
    expect(far).to_contain_text("750 flows so far")
    page.get_by_label("Name").fill("vaccine")
    expect(page.locator("#flows").get_by_role("status")).to_contain_text("of the 750 flows that came so far")
    assert page.evaluate("window.samePage")
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("The list is not whole: 750 flows came")).to_be_visible()
    expect(far).to_have_count(0)
    expect(page.get_by_label("Name")).to_have_value("vaccine")
    screenshot(page, "flows-stopped")
    page.get_by_role("button", name="Go on from there").click()
    expect(far).to_contain_text("750 flows so far")
    page.evaluate("window.samePage = true")
    paced.open()
    expect(page.locator("#asof")).to_contain_text("2,600 flows")
    expect(far).to_have_count(0)
    expect(page.locator("#flows").get_by_role("status")).to_contain_text("of 2,600 flows")
    assert page.evaluate("window.samePage"), "the whole list came without another page"
    paced.hold()
    page.get_by_role("button", name="Refresh").click()
    expect(far).to_contain_text("A newer list is on its way")
    expect(far).to_contain_text("250 flows so far")
    screenshot(page, "flows-newer-arriving")


def test_page_without_javascript_follows_by_itself(plain_page: Page, paced: Paced) -> None:  # noqa: F811
    paced.hold()
    sign_in(plain_page, paced.url, OTHER)
    open_token(plain_page, paced.url, "Districts")
    plain_page.get_by_role("link", name="Flows").click()
    expect(plain_page.locator(".arriving")).to_contain_text("250 flows so far")
    expect(plain_page.get_by_role("button", name="Stop")).to_be_visible()
    paced.open()
    expect(plain_page.locator("#asof")).to_contain_text("251 flows")
    expect(plain_page.locator(".arriving")).to_have_count(0)
