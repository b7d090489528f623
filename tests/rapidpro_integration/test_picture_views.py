"""A flow's picture, script and definition: what they show, to whom, and what they say when there is nothing to show."""

import json
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import respx
from django.test import Client

from accounts.models import AuditEntry, User
from rapidpro_integration.client.errors import Kind
from rapidpro_integration.models import RapidProToken
from rapidpro_integration.picture_views import UNDRAWN
from rapidpro_integration.pictures.model import Reason
from rapidpro_integration.problems import PROBLEMS
from rapidpro_integration.sandbox.data import load
from rapidpro_integration.sandbox.script import stable_uuid
from tests.conftest import SECRET, SERVER, just_proved
from tests.rapidpro_integration.test_flow_views import PROBLEM_ANSWERS, page_of

type Answer = Callable[..., respx.Route]
type Serve = Callable[..., str]

PAGES = ("picture/", "script/", "definition/")
FILES = ("picture.svg", "definition.json")
GALLERY = load()["gallery"]


def export(*definitions: Any) -> dict[str, Any]:
    nothing: dict[str, Any] = {kind: [] for kind in ("campaigns", "triggers", "fields", "groups")}
    return {"version": "13", "site": "https://rapidpro.example", "flows": list(definitions), **nothing}


@pytest.fixture
def serve(rapidpro: Answer, token: RapidProToken) -> Serve:
    """Return a function that makes the server answer with a flow of the gallery; it returns the flow's address."""

    def make(key: str = "welcome", **changes: Any) -> str:
        uuid = stable_uuid("gallery", "flow", key)
        row = next(row.body for row in GALLERY.tables["flows"] if row.body["uuid"] == uuid)
        definition = GALLERY.definitions.get(uuid, {"uuid": uuid}) | changes.pop("definition", {})
        for path, body in (("flows.json", page_of(row | changes)), ("definitions.json", export(definition))):
            rapidpro(path, content=json.dumps(body), headers={"Content-Type": "application/json"})
        return f"/tokens/{token.pk}/flows/{uuid}/"

    return make


def get(client: Client, address: str, status: int = 200) -> str:
    response = client.get(address)
    assert response.status_code == status
    return response.content.decode()


def test_picture_shows_the_flow_its_runs_and_the_same_in_words(owner_client: Client, serve: Serve) -> None:
    page = get(owner_client, f"{serve()}picture/")
    assert page.count('<g class="step"') == 4
    assert '<svg xmlns="http://www.w3.org/2000/svg" class="flow-picture"' in page
    assert "Completion rate" in page
    assert page.count('<li id="step-') == 4
    assert 'href="#step-3">step 3</a>' in page
    assert "?language=fra" in page
    assert page.count('<figure class="sheet">') == 1
    assert SECRET not in page


def test_picture_speaks_the_language_that_was_chosen(owner_client: Client, serve: Serve) -> None:
    address = serve()
    assert "Bienvenue à" in get(owner_client, f"{address}picture/?language=fra")
    arabic = get(owner_client, f"{address}picture/?language=ara")
    assert "أهلاً" in arabic
    assert "not translated" in arabic
    for nonsense in ("xyz", "%00", "eng%27"):
        assert "Welcome to the bee" in get(owner_client, f"{address}picture/?language={nonsense}")


def test_picture_of_hostile_texts_holds_no_markup_of_theirs(owner_client: Client, serve: Serve) -> None:
    address = serve("scripts", name="<script>alert(0)</script>")
    for page in (*PAGES, "picture.svg"):
        body = get(owner_client, address + page)
        assert "<script>alert" not in body
        assert "<svg onload" not in body
        assert "&lt;script&gt;alert" in body


@pytest.mark.parametrize(("paper", "sheets"), [("", 28), ("a4", 28), ("a3", 18), ("a0", 28)])
def test_paper_says_how_many_sheets(owner_client: Client, serve: Serve, paper: str, sheets: int) -> None:
    page = get(owner_client, f"{serve('national')}picture/?paper={paper}")
    assert page.count('<figure class="sheet">') == sheets


def test_picture_file_is_an_attachment_with_a_safe_name(owner_client: Client, serve: Serve) -> None:
    response = owner_client.get(f"{serve('welcome', name='نحل/../"x".exe')}picture.svg?language=fra")
    assert response.headers["Content-Type"] == "image/svg+xml"
    disposition = response.headers["Content-Disposition"]
    assert disposition.startswith("attachment; filename*=utf-8''%D9%86%D8%AD%D9%84xexe-")
    assert disposition.endswith(".svg")
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert response.content.decode().startswith('<?xml version="1.0" encoding="UTF-8"?>\n<svg ')
    assert "Bienvenue à" in response.content.decode()


def test_script_tells_each_language_and_marks_what_is_missing(owner_client: Client, serve: Serve) -> None:
    address = serve()
    page = get(owner_client, f"{address}script/")
    assert page.count('<section class="script"') == 3
    assert "Quick replies: \u2068Ruches\u2069" in page
    assert "image:https://bees.sandbox.example/hive.jpg" in page
    assert "6 texts are not translated" in page
    assert 'href="#fra-3"' in page
    assert "Signature" in page
    assert get(owner_client, f"{address}script/?language=fra").count('<section class="script"') == 1


def test_definition_is_shown_and_downloaded_as_an_import(owner_client: Client, serve: Serve) -> None:
    address = serve()
    assert "&quot;spec_version&quot;: &quot;14.4.1&quot;" in get(owner_client, f"{address}definition/")
    response = owner_client.get(f"{address}definition.json")
    assert response.headers["Content-Disposition"].startswith('attachment; filename="welcome-to-the-bee-school-')
    imported = json.loads(response.content)
    assert imported["version"] == "13"
    assert imported["flows"] == [GALLERY.definitions[stable_uuid("gallery", "flow", "welcome")]]


def test_flow_page_leads_to_all_three(owner_client: Client, serve: Serve) -> None:
    address = serve()
    page = get(owner_client, address)
    assert all(f'href="{address}{name}"' in page for name in PAGES)


def test_definition_is_asked_without_what_it_depends_on_and_noted_in_the_log(
    owner_client: Client, owner: User, serve: Serve, respx_mock: respx.MockRouter
) -> None:
    get(owner_client, f"{serve()}picture/")
    asked = respx_mock.calls.last.request.url
    assert asked.path == "/api/v2/definitions.json"
    assert asked.params["dependencies"] == "none"
    entry = AuditEntry.objects.filter(action="token_opened").latest("pk")
    assert entry.details == {"purpose": "definition"}


# --- Nothing to draw ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "definition", "reason"),
    [
        ("empty", {}, Reason.EMPTY),
        ("legacy", {}, Reason.LEGACY),
        ("welcome", {"uuid": "00000000-0000-4000-8000-000000000000"}, Reason.MISSING),
        ("welcome", {"nodes": {"a": 1}}, Reason.UNREADABLE),
        ("welcome", {"nodes": [{"uuid": f"n{n}"} for n in range(2_001)]}, Reason.TOO_LARGE),
    ],
    ids=lambda value: str(value)[:20],
)
def test_each_reason_not_to_draw_has_its_sentence(
    owner_client: Client, serve: Serve, key: str, definition: Any, reason: Reason
) -> None:
    address = serve(key, definition=definition)
    for name in ("picture/", "picture.svg", "script/"):
        page = get(owner_client, address + name, 422)
        assert f"<h1>{UNDRAWN[reason][0]}</h1>" in page
    status = 422 if reason is Reason.MISSING else 200
    assert owner_client.get(f"{address}definition.json").status_code == status


def test_every_reason_has_words() -> None:
    assert set(UNDRAWN) == set(Reason)


def test_flow_that_is_not_there_is_a_404(owner_client: Client, serve: Serve, rapidpro: Answer) -> None:
    address = serve()
    rapidpro("flows.json", json=page_of())
    for name in (*PAGES, *FILES):
        assert "no such flow" in get(owner_client, address + name, 404)


@pytest.mark.parametrize("path", ["flows.json", "definitions.json"])
@pytest.mark.parametrize(("answer", "kind"), PROBLEM_ANSWERS, ids=lambda value: str(value)[:40])
def test_every_problem_has_its_page(
    owner_client: Client,
    serve: Serve,
    rapidpro: Answer,
    caplog: pytest.LogCaptureFixture,
    answer: dict[str, Any],
    kind: Kind,
    path: str,
) -> None:
    address = serve()
    rapidpro(path, **answer)
    page = get(owner_client, f"{address}picture/", PROBLEMS[kind].status)
    assert str(PROBLEMS[kind].title).replace("'", "&#x27;") in page
    assert re.search(r"<dt>Reference</dt><dd><code>[0-9A-F]{8}</code>", page)
    assert SECRET not in page + caplog.text


# --- Who may see it -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*PAGES, *FILES])
def test_strangers_and_other_tenants_get_nothing_and_nothing_is_sent(
    client: Client, other: User, token: RapidProToken, respx_mock: respx.MockRouter, name: str
) -> None:
    address = f"/tokens/{token.pk}/flows/{stable_uuid('gallery', 'flow', 'welcome')}/{name}"
    assert client.get(address).status_code == 302
    assert just_proved(client, other).get(address).status_code == 404
    assert client.post(address).status_code == 405
    assert not respx_mock.calls


def test_locked_token_is_a_page_and_no_request(
    owner_client: Client, token: RapidProToken, serve: Serve, respx_mock: respx.MockRouter
) -> None:
    RapidProToken.objects.filter(pk=token.pk).update(key_id="k9")
    for name in (*PAGES, *FILES):
        assert "ask your administrator" in get(owner_client, serve() + name, 423)
    assert not respx_mock.calls


def test_hostile_definition_is_a_page(owner_client: Client, serve: Serve, respx_mock: respx.MockRouter) -> None:
    address = serve(name="\ud800" + "n" * 100_000)
    deep = json.loads("[" * 500 + "]" * 500)
    node = {"uuid": "a", "actions": [{"type": "send_msg", "text": "\ud800\x00" * 9_000, "deep": deep}], "exits": deep}
    uuid = stable_uuid("gallery", "flow", "welcome")
    body = json.dumps(export({"uuid": uuid, "nodes": [node], "_ui": deep, "localization": {"\ud800": {}}}))
    respx_mock.get(f"{SERVER}/api/v2/definitions.json").mock(
        return_value=httpx.Response(200, content=body, headers={"Content-Type": "application/json"})
    )
    for name in (*PAGES, *FILES):
        get(owner_client, address + name)
