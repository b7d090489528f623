"""Run the tests that hold the promises about a token, and print a line a promise with its figure.

    python -m tests.security [--rows 20000] [--only WORD]

The figures are of this run: how many cases were tried, or what the program that tried them counted. Exit code 1 if any
promise does not hold, or if a promise's tests are gone.
"""

import argparse
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.security.promises import PROMISES, Promise

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Result:
    """How one promise fared: `figure` says what was counted, `told` is the output to show if it does not hold."""

    holds: bool
    figure: str
    seconds: float
    told: str = ""


def by_pytest(promise: Promise) -> Result:
    """Run the promise's tests in a process of their own; skipped ones are told, and none at all is a failure."""
    began = time.monotonic()
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
        done = subprocess.run(
            [*command, "-o", "junit_logging=no", *promise.tests], cwd=ROOT, capture_output=True, text=True, check=False
        )
        suite = ET.parse(report).getroot().find("testsuite") if report.exists() else None
    counted = {name: int(suite.get(name, 0)) if suite is not None else 0 for name in ("tests", "skipped")}
    passed = counted["tests"] - counted["skipped"]
    figure = f"{passed:,} cases" + (f", {counted['skipped']} skipped" if counted["skipped"] else "")
    return Result(done.returncode == 0 and passed > 0, figure, time.monotonic() - began, done.stdout + done.stderr)


def by_program(promise: Promise, rows: int) -> Result:
    """Run the promise's program, whose last line is the figure."""
    began = time.monotonic()
    command = [sys.executable, "-m", *(part.format(rows=rows) for part in promise.program)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ | {"ENV_FILE": ""}
    )
    last = (done.stdout.strip().splitlines() or ["it printed nothing"])[-1]
    figure = re.sub(r" \(\d+ s\)$", "", last)
    return Result(done.returncode == 0, figure, time.monotonic() - began, done.stdout + done.stderr)


def main() -> int:
    """Run what the command line asks for; return 1 if any promise does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000, help="how many rows the rotation moves")
    parser.add_argument("--only", default="", help="the promises whose words hold this")
    options = parser.parse_args()
    chosen = [promise for promise in PROMISES if options.only.lower() in promise.words.lower()]
    broken = []
    for promise in chosen:
        result = by_program(promise, options.rows) if promise.program else by_pytest(promise)
        word = "holds " if result.holds else "BROKEN"
        print(f"{word}  {promise.words}: {result.figure} ({result.seconds:.0f} s)", flush=True)  # noqa: T201
        if not result.holds:
            broken.append(promise)
            print(result.told[-4000:], flush=True)  # noqa: T201
    print(f"{len(chosen) - len(broken)} of {len(chosen)} promises hold.")  # noqa: T201
    return 1 if broken or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
