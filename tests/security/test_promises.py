"""`make security` says that a promise does not hold when its tests fail, are gone or are all skipped."""

from pathlib import Path

import pytest

from tests.security.__main__ import by_program, by_pytest
from tests.security.promises import Promise


@pytest.mark.parametrize(
    ("code", "holds", "figure"),
    [
        ("def test_a(): pass\ndef test_b(): pass\n", True, "2 cases"),
        ("def test_a(): pass\ndef test_b(): assert False\n", False, "2 cases"),
        ("import pytest\n@pytest.mark.skip(reason='x')\ndef test_a(): pass\n", False, "0 cases, 1 skipped"),
        ("x = 1\n", False, "0 cases"),
        ("import no_such_module\n", False, "1 cases"),
    ],
    ids=["passes", "fails", "skipped", "empty", "broken"],
)
def test_tests_of_a_promise_are_counted(tmp_path: Path, code: str, holds: bool, figure: str) -> None:
    file = tmp_path / "test_made.py"
    file.write_text(code, "utf-8")
    result = by_pytest(Promise("made", (str(file),)))
    assert (result.holds, result.figure) == (holds, figure), result.told


def test_promise_whose_tests_are_gone_does_not_hold() -> None:
    assert not by_pytest(Promise("gone", ("tests/security/test_no_such_file.py",))).holds


def test_program_that_ends_badly_does_not_hold() -> None:
    assert not by_program(Promise("gone", program=("tests.security.no_such_program",)), rows=1).holds
