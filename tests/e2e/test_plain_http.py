"""The main job with nothing but HTTP, as a script would do it; then a search for the tokens in all that was left."""

import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from rapidpro_integration.sandbox.tokens import TOKENS
from tests.e2e.conftest import PASSWORD


@contextmanager
def sign_in(base_url: str, email: str) -> Iterator[httpx.Client]:
    """Yield a client in which the person is signed in, by the form that people use."""
    with httpx.Client(base_url=base_url, follow_redirects=True, timeout=30) as client:
        form = client.get("/accounts/login/").text
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)
        assert token is not None
        data = {"csrfmiddlewaretoken": token[1], "login": email, "password": PASSWORD}
        assert client.post("/accounts/login/", data=data).url.path == "/"
        yield client


def link(page: str, label: str) -> str:
    """Return the address behind a link."""
    found = re.search(rf'<a href="([^"]+)"><bdi>{re.escape(label)}</bdi>', page)
    assert found is not None, label
    return found[1]


@pytest.fixture(scope="module")
def owner_pages(base_url: str) -> dict[str, str]:
    """Return every page that the owner opens on the way, by address."""
    pages: dict[str, str] = {}
    with sign_in(base_url, "owner@example.org") as owner:

        def open_page(address: str, status: int = 200) -> str:
            response = owner.get(address)
            assert response.status_code == status, address
            pages[str(response.url.raw_path, "ascii")] = response.text
            return response.text

        tokens = open_page("/tokens/")
        large, small, broken = (
            link(tokens, label) for label in ("National programme", "Clinics", "Left-over of last year")
        )
        for token in (large, small, broken):
            open_page(token)
            for page in ("replace/", "rename/", "delete/"):
                open_page(token + page)
        # The first visit may find the list on its way; where this test comes first, on a busy machine, it does.
        deadline = time.monotonic() + 20
        while "so far" in open_page(f"{large}flows/") and time.monotonic() < deadline:
            time.sleep(0.2)
        assert "2,600 flows" in open_page(f"{large}flows/")
        open_page(f"{large}flows/?page=11")
        open_page(f"{broken}flows/", 424)
        open_page("/?q=a")
        flows = open_page(f"{small}flows/")
        assert "12 flows" in flows
        flow = re.search(rf'href="({small}flows/[0-9a-f-]+/)"', flows)
        assert flow is not None
        assert "<h2>Runs</h2>" in open_page(flow[1])
        open_page(f"{flow[1]}?raw=1")
        for address in ("/tokens/add/", "/accounts/profile/"):
            open_page(address)
    return pages


def test_other_tenant_gets_the_same_404_as_for_nothing(base_url: str, owner_pages: dict[str, str]) -> None:
    with sign_in(base_url, "other@example.org") as other:
        tried = 0
        for address in owner_pages:
            found = re.match(r"/tokens/([0-9a-f-]{36})/", address)
            if found is None:
                continue
            theirs = other.get(address)
            unknown = other.get(address.replace(found[1], str(uuid.uuid4()), 1))
            assert theirs.status_code == 404, address
            assert theirs.content == unknown.content
            tried += 1
        assert tried > 12


def test_tokens_are_nowhere(base_url: str, site_folder: Path, owner_pages: dict[str, str]) -> None:
    haystacks = {address: page.encode() for address, page in owner_pages.items()}
    haystacks |= {path.name: path.read_bytes() for path in site_folder.iterdir()}
    assert {"db.sqlite3", "console.log"} <= set(haystacks)
    assert b"GET /api/v2/flows.json" in haystacks["console.log"]
    for token in TOKENS.values():
        for name, haystack in haystacks.items():
            assert token.secret.encode() not in haystack, f"{token.name} in {name}"
            assert token.secret[:20].encode() not in haystack, f"{token.name} in {name}"
