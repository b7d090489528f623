"""Every language that a person can choose is whole, and says the same as the sources."""

import ast
import re
from pathlib import Path

import polib
import pytest
from django.conf import settings
from django.test import Client
from django.utils.translation import override
from django.utils.translation.template import templatize

from accounts.models import User
from rapidpro_integration.models import RapidProToken, TokenState

ROOT = Path(settings.BASE_DIR)
LANGUAGES = [code for code, _name in settings.LANGUAGES if code != "en"]
_PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd%]|{\w*}")
_TEMPLATE_CALL = re.compile(r"""\b(?:(?:n|p|np)?gettext|_)\((u?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"))""")
_FUNCTIONS = {"_", "gettext", "gettext_lazy", "ngettext", "ngettext_lazy"}


def catalogue(language: str) -> polib.POFile:
    return polib.pofile(str(ROOT / "config" / "locale" / language / "LC_MESSAGES" / "django.po"))


def said_in_python(path: Path) -> set[str]:
    calls = (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call) and node.args)
    return {
        node.args[0].value
        for node in calls
        if (getattr(node.func, "id", "") or getattr(node.func, "attr", "")) in _FUNCTIONS
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    }


def said_in_template(path: Path) -> set[str]:
    source = templatize(path.read_text("utf-8"), origin=str(path))
    return {ast.literal_eval(text) for text in _TEMPLATE_CALL.findall(source)}


def said() -> set[str]:
    found: set[str] = set()
    for folder in ("accounts", "config", "rapidpro_integration"):
        for path in (ROOT / folder).rglob("*.py"):
            found |= said_in_python(path)
    for path in (ROOT / "templates").rglob("*.html"):
        found |= said_in_template(path)
    return found


def test_the_finder_finds(tmp_path: Path) -> None:
    source = "{% load i18n %}{% translate 'One' %}{{ a|default:_('Three') }}"
    source += "{% blocktranslate count n=1 %}Two{% plural %}x{% endblocktranslate %}"
    (tmp_path / "a.html").write_text(source)
    assert said_in_template(tmp_path / "a.html") == {"One", "Two", "Three"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_left_untranslated(language: str) -> None:
    entries = {entry.msgid: entry for entry in catalogue(language)}
    assert said() - set(entries) == set(), "run `make messages` and translate"
    unfinished = [msgid for msgid, entry in entries.items() if not entry.translated() or entry.fuzzy]
    assert unfinished == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_placeholders_survive_the_translation(language: str) -> None:
    for entry in catalogue(language):
        wanted = set(_PLACEHOLDER.findall(entry.msgid)) | set(_PLACEHOLDER.findall(entry.msgid_plural or ""))
        for text in entry.msgstr_plural.values() if entry.msgid_plural else [entry.msgstr]:
            assert set(_PLACEHOLDER.findall(text)) == wanted, entry.msgid


@pytest.mark.parametrize("language", LANGUAGES)
def test_compiled_catalogue_is_that_of_the_sources(language: str) -> None:
    path = ROOT / "config" / "locale" / language / "LC_MESSAGES" / "django.mo"
    compiled = {(entry.msgid, entry.msgstr, str(entry.msgstr_plural)) for entry in polib.mofile(str(path))}
    source = {(entry.msgid, entry.msgstr, str(entry.msgstr_plural)) for entry in catalogue(language)}
    assert compiled == source


@pytest.mark.parametrize("language", LANGUAGES)
def test_pages_speak_the_language(client: Client, owner: User, token: RapidProToken, language: str) -> None:
    owner.language = language
    owner.save()
    client.force_login(owner)
    page = client.get("/tokens/").content.decode()
    with override(language):
        assert str(TokenState.WORKING.label) in page
        assert str(TokenState.WORKING.label) != "Working"
