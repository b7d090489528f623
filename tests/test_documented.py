"""Whatever has a name is in the documentation, and what is there exists: settings, addresses, commands, links."""

import re
import tomllib
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import get_commands, load_command_class

from tests.security.urls import routes

ROOT = Path(settings.BASE_DIR)
PAGES = sorted(
    [*ROOT.glob("*.md")]
    + [page for folder in ("docs", "rapidpro_integration", "benchmarks") for page in (ROOT / folder).rglob("*.md")]
)
REFERENCE = (ROOT / "docs" / "reference.md").read_text("utf-8")
DOCUMENTED = "\n".join(page.read_text("utf-8") for page in PAGES if page.name != "CHANGELOG.md")
_CODE = re.compile(r"^( *)```.*?^\1```$", re.DOTALL | re.MULTILINE)


def rows(section: str) -> set[str]:
    """Return the first cells of the table in a section of the reference."""
    text = REFERENCE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return {cell.replace("\\|", "|") for cell in re.findall(r"^\| `(.*?)` \|", text, re.MULTILINE)}


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.*)$", _CODE.sub("", page.read_text("utf-8")), re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        anchor, number = re.sub(r"[^\w\- ]", "", words).replace(" ", "-"), 0
        while (name := f"{anchor}-{number}" if number else anchor) in found:
            number += 1
        found.add(name)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    text = _CODE.sub("", page.read_text("utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def test_every_setting_is_on_a_page() -> None:
    source = (ROOT / "config" / "settings.py").read_text("utf-8")
    read = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', source))
    assert len(read) > 50
    assert sorted(name for name in read if not re.search(rf"\b{name}\b", DOCUMENTED)) == []


def test_every_address_is_in_the_reference() -> None:
    assert rows("Addresses") == {f"/{route}" for route in routes() if not route.startswith("admin/")}


def test_every_command_and_subcommand_is_in_the_reference() -> None:
    ours = {name: app for name, app in get_commands().items() if app in {"accounts", "rapidpro_integration", "config"}}
    found: set[str] = set()
    for name, app in ours.items():
        parser = load_command_class(str(app), name).create_parser("manage.py", name)
        inner = [action.choices for action in parser._actions if getattr(action, "_name_parser_map", None)]
        found |= {f"{name} {word}" for choices in inner for word in choices or ()} or {name}
    assert rows("Commands") == found


def test_every_make_target_is_in_the_reference() -> None:
    targets = re.findall(r"^([a-z0-9-]+):.*##", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert rows("Make targets") == {f"make {name}" for name in targets if name != "help"}


def test_every_metric_that_the_code_makes_is_on_the_operations_page() -> None:
    made: set[str] = set()
    for folder in ("accounts", "config", "rapidpro_integration"):
        for path in (ROOT / folder).rglob("*.py"):
            made |= set(re.findall(r'"(console_[a-z_]+)"', path.read_text("utf-8")))
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    told = set(re.findall(r"^\| `(console_\w+)` \|", text, re.MULTILINE))
    assert len(made) > 10
    # Counters get their ending when they are told.
    assert {name.removesuffix("_total") for name in told} == made


def test_licences_of_what_is_vendored_are_the_texts_that_they_are_called_after() -> None:
    vendor = ROOT / "config" / "static" / "vendor"
    first_words = {
        "MIT": "MIT License",
        "0BSD": "Zero-Clause BSD",
        "Apache-2.0": "Apache License",
        "BSD-3-Clause": "BSD",
    }
    for entry in tomllib.loads((vendor / "MANIFEST.toml").read_text("utf-8"))["file"]:
        text = (vendor / entry["licence_file"]).read_text("utf-8")
        assert first_words[entry["licence"]] in text, entry["name"]
        assert len(text) > 500
