"""A rotation that is killed again and again while tokens are being replaced: none may be wrong or lost.

    python -m tests.security.rotation --rows 20000

Every part is a process of its own, as in production: the one that fills the database with the old key, the one that
replaces and reads tokens all the time, `manage.py tokens rotate`, killed with kill -9, and at the end the one that
knows only the new key and opens every row. `--database-url` names an empty PostgreSQL database; default: a new SQLite
file.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.processes import LIMIT_S, Site, output_of

OLD = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
NEW = "k2:HxwdGhsYGRYXFBUSExARDg8MDQoLCAkGBwQFAgMAASA="


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the rows were worth at the end: `wrong` open to another secret or not at all, `lost` are gone."""

    rows: int
    factors: int
    wrong: int
    lost: int
    replaced: int
    read: int
    kills: int
    seconds: float

    def __str__(self) -> str:
        return (
            f"{self.rows:,} tokens and {self.factors:,} second factors rotated, killed {self.kills} times with kill -9,"
            f" {self.replaced:,} replaced and {self.read:,} read meanwhile, two rotations at once at the end:"
            f" {self.wrong} wrong, {self.lost} lost ({self.seconds:.0f} s)"
        )


def kill_in_the_middle(rotation: subprocess.Popen[str], delay_s: float) -> None:
    """Kill -9 the rotation some time after it has told that it moves rows."""
    assert rotation.stdout is not None
    line = rotation.stdout.readline()
    assert " of " in line, f"the rotation ended before it could be killed: {line}"
    time.sleep(delay_s)
    rotation.kill()
    rotation.communicate(timeout=LIMIT_S)
    assert rotation.returncode == -9, "the rotation was through before it was killed"


def exercise(database_url: str, *, rows: int, kills: int = 5, seed: int = 1) -> Outcome:
    """Fill the database, rotate it under fire and return what is left. AssertionError if a command misbehaves."""
    chance, started = random.Random(seed), time.monotonic()
    site, both, worker = Site(database_url), f"{NEW},{OLD}", ("-m", "tests.security.rotation_worker")
    # So small that five killed rotations and the replacing leave something to rotate.
    rotate = ("manage.py", "tokens", "rotate", "--batch", str(max(rows // 200, 3)))
    output_of(site.start(OLD, "manage.py", "migrate", "--verbosity", "0"))
    output_of(site.start(OLD, *worker, "fill", str(rows)))
    with tempfile.TemporaryDirectory() as folder:
        journal, stop = Path(folder) / "journal", Path(folder) / "stop"
        replacing = site.start(both, *worker, "replace", str(rows), str(journal), str(stop))
        try:
            assert replacing.stdout is not None
            assert replacing.stdout.readline() == "replacing\n", output_of(replacing)
            for _ in range(kills):
                kill_in_the_middle(site.start(both, *rotate), chance.uniform(0, rows / 60_000))
            for rotation in [site.start(both, *rotate) for _ in range(2)]:
                assert output_of(rotation).endswith("No row needs an older key any more.\n")
            assert replacing.poll() is None, "the replacing process ended before the rotation did"
        finally:
            stop.touch()
            counts: dict[str, Any] = json.loads(output_of(replacing))
        assert "Every row opens." in output_of(site.start(both, "manage.py", "tokens", "doctor"))
        output_of(site.start(both, "manage.py", "tokens", "retire", "k1"))
        found: dict[str, Any] = json.loads(output_of(site.start(NEW, *worker, "verify", str(rows), str(journal))))
    return Outcome(**found, **counts, kills=kills, seconds=time.monotonic() - started)


def main() -> int:
    """Run it as the command line says; return 1 if anything is wrong or lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database-url", default="")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database_url = options.database_url or f"sqlite:///{folder}/rotation.sqlite3"
        outcome = exercise(database_url, rows=options.rows, kills=options.kills, seed=options.seed)
    print(outcome)  # noqa: T201
    return 1 if outcome.wrong or outcome.lost else 0


if __name__ == "__main__":
    sys.exit(main())
