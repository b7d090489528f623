"""A backup of the site's SQLite file while people go on working."""

import sqlite3
import tomllib
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from rapidpro_integration import output_files
from rapidpro_integration.backups import BackupRefused, archives, facts, folders
from rapidpro_integration.backups.archives import Manifest

# A step holds no lock that anybody waits for, but it cannot be stopped: 4 MB with pages of 4 kB.
_PAGES_A_STEP = 1_000

#: Called with how many bytes were dealt with; each byte of the database comes twice, copied and packed.
type Done = Callable[[int], None]


def default_name(now: datetime) -> str:
    """Return what a backup of this moment is called if nobody says otherwise."""
    return f"console-{now:%Y%m%dT%H%M%SZ}.backup.zip"


def size(file: Path) -> int:
    """Return how many bytes a backup of the database will tell of. Raises BackupRefused."""
    try:
        return 2 * file.stat().st_size
    except FileNotFoundError:
        raise BackupRefused(f"{file} is not there: nothing has been saved yet.") from None


def make(file: Path, target: Path, *, force: bool, done: Done) -> tuple[Manifest, list[str]]:
    """Write a backup of the SQLite file to `target`, whole or not at all, readable by this user alone.

    Return its manifest, and the tables with rows that refer to rows that are not there. Raises BackupRefused and
    output_files.OutputRefused.
    """
    output_files.check_free(target, force=force)
    target = target.absolute()
    try:
        with folders.unfinished(target.parent) as folder:
            copy, archive = folder / archives.DATABASE, folder / "archive"
            made_on = _copy(file, copy, done)
            with closing(facts.connect(copy)) as database:
                facts.check_integrity(database)
                dangling, found = facts.broken_references(database), facts.read(database)
            manifest = Manifest(
                version=version(),
                made_on=made_on,
                bytes=copy.stat().st_size,
                sha256=archives.checksum(copy),
                migrations=found.migrations,
                rows=found.rows,
                keys=found.keys,
            )
            archives.pack(copy, manifest, archive, done)
            output_files.place(archive, target, force=force)
            folders.sync(target.parent)
    except (OSError, sqlite3.Error) as error:
        raise BackupRefused(f"No backup was made: {_words(error)}.") from None
    return manifest, dangling


def _copy(file: Path, copy: Path, done: Done) -> datetime:
    """Copy the pages of one moment, and return the moment."""
    # Made here, so that nobody else may read it while it grows.
    copy.touch(mode=0o600)
    with closing(facts.connect(file)) as source, closing(facts.connect(copy)) as target:
        # A reader's transaction: writers go on in the WAL, and the copy need not begin anew after each of them.
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()
        moment = timezone.now()
        (page_bytes,) = source.execute("PRAGMA page_size").fetchone()
        left = -1

        def progress(status: int, remaining: int, total: int) -> None:
            nonlocal left
            done((total if left < 0 else left) * page_bytes - remaining * page_bytes)
            left = remaining

        source.backup(target, pages=_PAGES_A_STEP, progress=progress)
        source.execute("COMMIT")
        # One file, with nothing of it in a WAL beside it.
        target.execute("PRAGMA journal_mode=DELETE").fetchone()
    return moment


def version() -> str:
    """Return the version of this program."""
    with (Path(settings.BASE_DIR) / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


def _words(error: OSError | sqlite3.Error) -> str:
    return (error.strerror if isinstance(error, OSError) else str(error)) or type(error).__name__
