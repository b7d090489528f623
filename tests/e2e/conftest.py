"""A running site and a real browser: `make e2e`. Nothing of Django's is imported into this process's event loop."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, sync_playwright

from tests.e2e.moody import moody, moody_site  # noqa: F401  # fixtures, registered here once for all
from tests.served import environment, free_port, wait_for

ROOT = Path(__file__).parent.parent.parent
SCREENSHOTS = Path(__file__).parent / "screenshots"
PASSWORD = "sandbox-only"
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# What the log tells of pages that a test means to see: what staff may not do, and a server that broke.
_EXPECTED = re.compile(
    r"^.* WARNING django\.request \[\w+\] Forbidden \(Permission denied\): (?:.*\n)+?"
    r"django\.core\.exceptions\.PermissionDenied\n"
    r"|^.* ERROR django\.request \[\w+\] Bad Gateway: /tokens/.*\n",
    re.MULTILINE,
)
# How a person may look at a page: name, width, height, colour scheme.
LOOKS = {
    "desk-light": (1280, 900, "light"),
    "desk-dark": (1280, 900, "dark"),
    "phone-light": (375, 800, "light"),
    "phone-dark": (375, 800, "dark"),
}


@pytest.fixture(scope="session")
def site_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the served site's database and log."""
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="session")
def site_environment(site_folder: Path) -> dict[str, str]:
    """Return the environment of the served site, in which a command can reach its database."""
    return environment(
        site_folder,
        LOG_FILE=str(site_folder / "console.log"),
        # All tests sign in from one address, within a few minutes.
        RATE_LIMIT_SIGN_IN="1000/m/ip",
        SANDBOX_ORIGIN=f"http://127.0.0.1:{free_port()}",
    )


@pytest.fixture(scope="session")
def base_url(site_folder: Path, site_environment: dict[str, str]) -> Iterator[str]:
    """Serve a demo site of its own, as `make run` does, and return its origin."""
    folder, variables = site_folder, site_environment
    port, sandbox_port = free_port(), int(variables["SANDBOX_ORIGIN"].rpartition(":")[2])
    manage = [sys.executable, str(ROOT / "manage.py")]
    for command in (["migrate", "--verbosity", "0"], ["load_demo"]):
        subprocess.run([*manage, *command], env=variables, cwd=ROOT, check=True, capture_output=True, timeout=60)
    serve = [*manage, "serve", "--port", str(port), "--sandbox-port", str(sandbox_port)]
    with subprocess.Popen(serve, env=variables, cwd=ROOT) as site:
        try:
            wait_for(port, site)
            yield f"http://127.0.0.1:{port}"
        finally:
            site.terminate()
            site.wait(20)
    log = _EXPECTED.sub("", (folder / "console.log").read_text("utf-8"))
    assert "Traceback" not in log, log
    assert "ERROR" not in log, log


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """Return Playwright, with the driver that its package ships."""
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """Return Debian's Chromium: Playwright's own cannot be downloaded everywhere."""
    path = os.environ.get("CHROMIUM") or "/usr/bin/chromium"
    browser = playwright.chromium.launch(executable_path=path, args=_FLAGS)
    yield browser
    browser.close()


@pytest.fixture
def expected_failures() -> list[str]:
    """Return a list that a test adds the console messages to which it means to provoke, as "404"."""
    return []


class Watch:
    """What a browser complains of: errors and warnings in the console, exceptions, and breaches of the CSP."""

    # Chromium tells of a breach in the console too, unless the policy only reports.
    SCRIPT = """addEventListener("securitypolicyviolation", (event) =>
        console.error(`CSP: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`))"""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def over(self, context: BrowserContext) -> BrowserContext:
        """Listen to each page of the context from now on; return it."""
        context.add_init_script(self.SCRIPT)
        context.on("console", self._hear)
        context.on("weberror", lambda error: self.heard.append(str(error.error)))
        return context

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.heard.append(message.text)

    def assert_silent(self, expected: list[str]) -> None:
        """Fail with all that was heard in which none of the expected words stands."""
        assert [fault for fault in self.heard if not any(words in fault for words in expected)] == []


@contextmanager
def watched(browser: Browser, expected: list[str], **options: Any) -> Iterator[BrowserContext]:
    """Yield a browser of its own; any error in its console fails the test, a breach of the CSP included."""
    look = {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light", "reduced_motion": "reduce"}
    watch = Watch()
    with browser.new_context(**(look | {"locale": "en-GB"} | options)) as context:
        context.set_default_timeout(10_000)
        yield watch.over(context)
    watch.assert_silent(expected)


@pytest.fixture
def page(browser: Browser, expected_failures: list[str]) -> Iterator[Page]:
    """Return a page of a watched browser."""
    with watched(browser, expected_failures) as context:
        yield context.new_page()


@pytest.fixture
def plain_page(browser: Browser, expected_failures: list[str]) -> Iterator[Page]:
    """Return a page of a watched browser that runs no script."""
    with watched(browser, expected_failures, java_script_enabled=False) as context:
        yield context.new_page()


def sign_in(page: Page, base_url: str, email: str) -> None:
    """Sign in by the site's own form."""
    page.goto(f"{base_url}/accounts/login/")
    page.locator("input[name=login]").fill(email)
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("main form button").first.click()
    page.wait_for_url(f"{base_url}/")


def screenshot(page: Page, name: str) -> None:
    """Save the whole page in each look, for people to look at."""
    SCREENSHOTS.mkdir(exist_ok=True)
    size = page.viewport_size
    for look, (width, height, scheme) in LOOKS.items():
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.screenshot(path=SCREENSHOTS / f"{name}-{look}.png", full_page=False)
    if size is not None:
        page.set_viewport_size(size)
    page.emulate_media(color_scheme="light")
