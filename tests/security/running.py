"""Run a file of tests as a promise, and count what came of it."""

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass
class Count:
    """The tests of one file that ran, and those that failed."""

    ran: int = 0
    failed: int = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count as pytest reports."""
        self.ran += report.when == "call" and not report.skipped
        self.failed += report.failed


@dataclass
class Tally:
    """What the attacker got in all scenes of this process."""

    scenes: int = 0
    requests: int = 0
    tokens: int = 0


tally = Tally()


def count(name: str) -> tuple[Count, str]:
    """Run the file of this name beside us in this process; return the figures, and what pytest told."""
    counted, told = Count(), io.StringIO()
    with contextlib.redirect_stdout(told):
        code = pytest.main(["-q", "-p", "no:cacheprovider", str(Path(__file__).parent / name)], plugins=[counted])
    counted.failed = counted.failed or int(code != pytest.ExitCode.OK)
    return counted, told.getvalue()
