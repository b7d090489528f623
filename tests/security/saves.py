"""Hundreds of token saves at once, through the real view, in real processes: all saved, or a clean 503 first.

    python -m tests.security.saves [--database-url postgres://…]

Each save is a request of its own in a thread of its own, with a connection to the database of its own, as under the
site's server. Every tenth save is a second click on the one before it. Who gets a 503 comes back when it says so.
`--database-url` names an empty PostgreSQL database; default: a new SQLite file.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.processes import LIMIT_S, Site, output_of
from tests.security.rotation import OLD as KEY

WORKER = ("-m", "tests.security.saves_worker")
PEOPLE = 30
_REPEATED_EVERY = 10


def wanted(number: int) -> tuple[int, str]:
    """Return person and token of a save; each tenth is a second click on the one before, in another process."""
    first = number - 1 if number % _REPEATED_EVERY == _REPEATED_EVERY - 1 else number
    return first % PEOPLE, hashlib.sha1(f"save {first}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the saves were answered, and what the database held afterwards."""

    saves: int
    answers: Counter[str]
    rows: int
    right: int
    twice: int
    missing: int
    log: str
    complaints: int
    seconds: float

    @property
    def is_good(self) -> bool:
        """Whether every token is there once, no answer was unclean, and the audit log holds together."""
        unclean = set(self.answers) - {"saved", "already", "503"}
        return not (unclean or self.twice or self.missing or self.complaints) and (
            self.answers["saved"] == self.rows == self.right and self.answers["already"] == self.saves - self.rows
        )

    def __str__(self) -> str:
        answers = ", ".join(f"{count} × {kind}" for kind, count in sorted(self.answers.items()))
        return (
            f"{self.saves} saves at once: {answers}; {self.rows} rows, {self.twice} twice, {self.missing} missing,"
            f" {self.complaints} × “database is locked” shown; audit log: {self.log} ({self.seconds:.1f} s)"
        )


def migrated(database_url: str, pool: int = 20) -> Site:
    """Return the site on this database, made ready, without a limit to the tokens that one person may add."""
    # The tests' settings, because pages need no collected static files there; the database's are production's.
    site = Site(
        database_url,
        RATE_LIMIT_TOKEN_ADD="1000000/m/user",
        DJANGO_SETTINGS_MODULE="tests.settings",
        DATABASE_POOL_SIZE=str(pool),
    )
    output_of(site.start(KEY, "manage.py", "migrate", "--verbosity", "0"))
    return site


def exercise(database_url: str, *, saves: int, processes: int = 4, pool: int = 20) -> Outcome:
    """Save all at once and return what came of it. AssertionError if a process misbehaves."""
    site = migrated(database_url, pool)
    keys = output_of(site.start(KEY, *WORKER, "people"))
    with tempfile.TemporaryDirectory() as folder:
        go = Path(folder) / "go"
        workers = [
            site.start(KEY, *WORKER, "post", str(number), str(processes), str(saves), str(go))
            for number in range(processes)
        ]
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write(keys)
            worker.stdin.flush()
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n", output_of(worker)
        started = time.monotonic()
        go.touch()
        answers, complaints = Counter[str](), 0
        for worker in workers:
            out, complaint = _through(worker)
            answers.update(json.loads(out))
            complaints += complaint
        seconds = time.monotonic() - started
    found = json.loads(output_of(site.start(KEY, *WORKER, "verify", str(saves))))
    log = output_of(site.start(KEY, "manage.py", "audit", "verify")).splitlines()[0]
    return Outcome(saves, answers, **found, log=log, complaints=complaints, seconds=seconds)


def _through(worker: subprocess.Popen[str]) -> tuple[str, int]:
    """Return what the worker told, and how often its log complains about a lock."""
    out, err = worker.communicate(timeout=LIMIT_S)
    assert worker.returncode == 0, err
    return out, err.count("database is locked")


def main() -> int:
    """Run it as the command line says; return 1 unless every token is there once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--saves", type=int, default=300)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--database-url", default="")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database_url = options.database_url or f"sqlite:///{folder}/saves.sqlite3"
        outcome = exercise(database_url, saves=options.saves, processes=options.processes)
    sys.stdout.write(f"{outcome}\n")
    return 0 if outcome.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
