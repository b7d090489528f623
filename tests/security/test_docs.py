"""docs/security.md names only tests that exist, and every promise of `make security` is in it."""

import re
from pathlib import Path

import pytest
from django.conf import settings

from tests.security.promises import PROMISES

ROOT = Path(settings.BASE_DIR)
TEXT = (ROOT / "docs" / "security.md").read_text("utf-8")
# `tests/config/test_start.py`, `test_vault.py::test_secret_…`: the place of the file where its name is the only one.
NAMED = re.findall(r"`((?:[\w/]+/)?(?:test_\w+|rotation)\.py)(?:::(\w+)(…?))?`", TEXT)
FILES = sorted((ROOT / "tests").rglob("*.py"))


def files_of(name: str) -> list[Path]:
    return [each for each in FILES if str(each.relative_to(ROOT)).endswith(f"/{name.removeprefix('tests/')}")]


def test_the_page_names_tests() -> None:
    assert len(NAMED) > 50


@pytest.mark.parametrize(("file", "function", "more"), sorted(set(NAMED)))
def test_each_named_test_exists(file: str, function: str, more: str) -> None:
    found = files_of(file)
    assert found, "no such file"
    if function:
        name = re.escape(function) + (r"\w*" if more else r"\b")
        holding = [
            each for each in found if re.search(rf"^(async )?def {name}\(", each.read_text("utf-8"), re.MULTILINE)
        ]
        assert len(holding) == 1


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.words[:50])
def test_each_promise_of_make_security_has_tests_and_is_on_the_page(promise: object) -> None:
    from tests.security.promises import Promise

    assert isinstance(promise, Promise)
    assert bool(promise.tests) is not bool(promise.program)
    for path in promise.tests:
        assert (ROOT / path).exists(), path
        name = Path(path).name
        assert name in TEXT or f"{name}/" in TEXT or path.endswith("audit"), path
