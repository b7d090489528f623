"""A list that takes a while, in a real browser: its progress, Stop and going on, with and without JavaScript."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import ROOT, screenshot, sign_in
from tests.e2e.test_flow_list import plain_page  # noqa: F401  # a fixture
from tests.e2e.test_journey import OTHER, OWNER, open_token
from tests.served import HOST, environment, free_port, wait_for

# Eleven pages of the large workspace, or two of the districts'.
PAGE_MS = 400


@pytest.fixture(scope="module")
def slow_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve a demo site whose RapidPro takes its time, and return its origin."""
    folder: Path = tmp_path_factory.mktemp("slow-site")
    port, sandbox_port = free_port(), free_port()
    variables = environment(folder, SANDBOX_ORIGIN=f"http://{HOST}:{sandbox_port}", RATE_LIMIT_SIGN_IN="1000/m/ip")
    manage = [sys.executable, str(ROOT / "manage.py")]
    for command in (["migrate", "--verbosity", "0"], ["load_demo"]):
        subprocess.run([*manage, *command], env=variables, cwd=ROOT, check=True, capture_output=True, timeout=60)
    sandbox = [*manage, "rapidpro_sandbox", "--port", str(sandbox_port), "--quiet", "--delay", str(PAGE_MS)]
    web = [sys.executable, "-m", "uvicorn", "config.asgi:application", "--host", HOST, "--port", str(port)]
    with (
        subprocess.Popen(sandbox, env=variables, cwd=ROOT) as rapidpro,
        subprocess.Popen([*web, "--lifespan", "on", "--log-level", "warning"], env=variables, cwd=ROOT) as site,
    ):
        try:
            wait_for(sandbox_port, rapidpro)
            wait_for(port, site)
            yield f"http://{HOST}:{port}"
        finally:
            for process in (site, rapidpro):
                process.terminate()
                process.wait(20)


def test_list_grows_is_stopped_and_goes_on_to_its_end(page: Page, slow_url: str) -> None:
    sign_in(page, slow_url, OWNER)
    open_token(page, slow_url, "National programme")
    page.get_by_role("link", name="Flows").click()
    rows, far = page.locator("table.flows tbody tr"), page.locator(".arriving")
    expect(rows).to_have_count(250)
    expect(far).to_contain_text(re.compile(r"\d+ flows so far"))
    # The number grows by itself, and the rows that somebody reads stay where they are.
    page.evaluate("window.samePage = true")
    expect(far).to_contain_text(re.compile(r"(500|750|\d,\d+) flows so far"))
    assert page.evaluate("window.samePage")
    page.get_by_label("Name").fill("vaccine")
    expect(page.locator("#flows").get_by_role("status")).to_contain_text("that came so far")
    expect(far).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(far).to_have_count(0)
    expect(page.get_by_text("The list is not whole")).to_be_visible()
    expect(page.get_by_label("Name")).to_have_value("vaccine")
    screenshot(page, "flows-stopped")
    page.get_by_role("button", name="Go on from there").click()
    expect(far).to_contain_text("flows so far")
    page.evaluate("window.samePage = true")
    screenshot(page, "flows-arriving")
    expect(page.locator("#asof")).to_contain_text("2,600 flows")
    expect(far).to_have_count(0)
    expect(page.locator("#flows").get_by_role("status")).to_contain_text("of 2,600 flows")
    expect(page.get_by_role("button", name="Refresh")).to_be_visible()
    assert page.evaluate("window.samePage"), "the whole list came without another page"
    page.get_by_role("button", name="Refresh").click()
    expect(far).to_contain_text("A newer list is on its way")
    screenshot(page, "flows-newer-arriving")


def test_page_without_javascript_follows_by_itself(plain_page: Page, slow_url: str) -> None:  # noqa: F811
    sign_in(plain_page, slow_url, OTHER)
    open_token(plain_page, slow_url, "Districts")
    plain_page.get_by_role("link", name="Flows").click()
    expect(plain_page.locator(".arriving")).to_contain_text("250 flows so far")
    expect(plain_page.get_by_role("button", name="Stop")).to_be_visible()
    expect(plain_page.locator("#asof")).to_contain_text("251 flows")
    expect(plain_page.locator(".arriving")).to_have_count(0)
