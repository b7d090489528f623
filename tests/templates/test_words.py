"""Every word that a person reads goes through gettext; no template breaks the CSP."""

import ast
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
SOURCES = sorted(
    path
    for folder in ("accounts", "config", "rapidpro_integration")
    for path in (ROOT / folder).rglob("*.py")
    if not {"migrations", "sandbox", "commands", "client"} & set(path.parts)
)

# Words that stay as they are in every language.
PROPER = {"RapidPro", "UUID", "HTTP", "JSON", "UTC"}
_TAG = re.compile(r"{%.*?%}|{{.*?}}|{#.*?#}", re.DOTALL)
_BLOCK = re.compile(r"{%\s*blocktrans(?:late)?\b.*?{%\s*endblocktrans(?:late)?\s*%}", re.DOTALL)
_COMMENT = re.compile(r"{%\s*comment\b.*?{%\s*endcomment\s*%}", re.DOTALL)
_READ_ATTRIBUTES = {"title", "alt", "placeholder", "aria-label", "data-label", "data-ready", "data-waiting"}
_LETTERS = re.compile(r"[^\W\d_]{2,}")


class Words(HTMLParser):
    """Collects the texts of a page that do not come out of a tag of the template language."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.csp: list[str] = []
        self.skip = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        self.found += [value for name, value in attrs if name in _READ_ATTRIBUTES and value]
        self.csp += [f"{tag} {name}" for name in names if name.startswith("on") or name == "style"]
        if tag == "style" or (tag == "script" and "src" not in names):
            self.csp.append(f"inline {tag}")
        self.skip += tag in {"script", "style"}

    def handle_endtag(self, tag: str) -> None:
        self.skip -= tag in {"script", "style"}

    def handle_data(self, data: str) -> None:
        if not self.skip:
            self.found.append(data)


def read(source: str) -> Words:
    source = _COMMENT.sub("", _BLOCK.sub("", source))
    words = Words()
    words.feed(_TAG.sub("", source))
    words.close()
    return words


def bare_words(source: str) -> list[str]:
    return [
        word
        for text in read(source).found
        for word in _LETTERS.findall(re.sub(r"&\w+;", "", text))
        if word not in PROPER
    ]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_template_has_no_bare_string(path: Path) -> None:
    assert bare_words(path.read_text("utf-8")) == []


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_template_has_nothing_inline(path: Path) -> None:
    source = path.read_text("utf-8")
    assert read(source).csp == []
    assert "|safe" not in source
    assert "autoescape off" not in source


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("<p>{% translate 'Fine' %}</p>", []),
        ("<p>Bare</p>", ["Bare"]),
        ('<a title="Bare">{{ x }}</a>', ["Bare"]),
        ("{% blocktranslate count n=1 %}a{% plural %}b{% endblocktranslate %}", []),
        ("{% if x %}Bare words{% endif %}", ["Bare", "words"]),
        ("&nbsp;·&amp; 12 ›", []),
    ],
)
def test_the_finder_finds(source: str, words: list[str]) -> None:
    assert bare_words(source) == words


# --- Python -------------------------------------------------------------------------------------

# Where people read what Python passes on. A plain string there is a bare one.
_SHOWN = {
    "ValidationError": 0,
    "success": 1,
    "warning": 1,
    "error": 1,
    "info": 1,
    "Problem": 0,
    "_error_page": 2,
    "message_user": 1,
}
_SHOWN_KEYWORDS = {
    "label",
    "help_text",
    "verbose_name",
    "verbose_name_plural",
    "description",
    "violation_error_message",
}
_LOGGERS = {"logger", "logging"}


def bare_strings(source: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        owner = function.value if isinstance(function, ast.Attribute) else None
        if isinstance(owner, ast.Name) and owner.id in _LOGGERS:
            continue
        shown = [keyword.value for keyword in node.keywords if keyword.arg in _SHOWN_KEYWORDS]
        if name in _SHOWN:
            shown += node.args[_SHOWN[name] : _SHOWN[name] + 2]
        found += [
            value.value
            for value in shown
            if isinstance(value, ast.Constant) and isinstance(value.value, str) and _LETTERS.search(value.value)
        ]
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_source_shows_no_bare_string(path: Path) -> None:
    assert bare_strings(path.read_text("utf-8")) == []


def test_the_finder_of_python_strings_finds() -> None:
    assert bare_strings('forms.ValidationError("Bare")') == ["Bare"]
    assert bare_strings('messages.success(request, "Bare")') == ["Bare"]
    assert bare_strings('models.CharField(verbose_name="bare")') == ["bare"]
    assert bare_strings('messages.success(request, _("Fine"))') == []
    assert bare_strings('logger.warning("a log is %s", "English")') == []
