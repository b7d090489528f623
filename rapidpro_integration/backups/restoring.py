"""A backup takes the place of the site's SQLite file, which is kept beside it."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.utils import timezone

from config import in_use
from rapidpro_integration.backups import BackupRefused, archives, facts, folders
from rapidpro_integration.backups.archives import Manifest
from rapidpro_integration.health import heartbeat
from rapidpro_integration.models import WorkerBeat

type Done = Callable[[int], None]

_RUNNING = "The site is running ({}): stop its web processes and workers first, and start them again afterwards."


@dataclass(frozen=True, slots=True)
class Restored:
    """Where the database of before is (None: there was none), and the migrations that are still to be applied."""

    kept: Path | None
    waiting: list[str]


def restore(
    archive: Path,
    file: Path,
    *,
    although_keys_missing: bool = False,
    done: Done = lambda count: None,
    confirm: Callable[[], bool] = lambda: True,
) -> Restored:
    """Put the database of a backup in the place of `file`. Raises BackupRefused, and then nothing was changed.

    `confirm` is asked once everything is known to be well and nobody else works on the database.
    """
    manifest = archives.manifest_of(archive)
    if unknown := facts.unknown_migrations(manifest.migrations):
        raise BackupRefused(
            f"{archive} is ahead of this code, which lacks {', '.join(unknown)}: restore it with version"
            f" {manifest.version} or later."
        )
    if not file.parent.is_dir():
        raise BackupRefused(f"{file.parent} is no folder.")
    try:
        with in_use.alone(file), _nobody_else(file), folders.unfinished(file.parent) as folder:
            new = folder / archives.DATABASE
            archives.unpack(archive, manifest, new, done)
            _check(archive, manifest, new, although_keys_missing=although_keys_missing)
            if not confirm():
                raise BackupRefused("Nothing was changed.")
            kept = _exchange(file, new, timezone.now())
            folders.sync(file.parent)
    except in_use.InUse:
        raise BackupRefused(_RUNNING.format("a server or worker holds the database")) from None
    except (OSError, sqlite3.Error) as error:
        words = error.strerror if isinstance(error, OSError) else str(error)
        raise BackupRefused(f"Nothing was restored: {words}.") from None
    return Restored(kept, facts.waiting_migrations(manifest.migrations))


def _check(archive: Path, manifest: Manifest, new: Path, *, although_keys_missing: bool) -> None:
    """Raise BackupRefused unless the unpacked database holds what its manifest says, and its rows can be opened."""
    try:
        with closing(facts.connect(new)) as database:
            facts.check_integrity(database)
            found = facts.read(database)
            problems = facts.key_problems(database, found.keys)
    except sqlite3.Error as error:
        raise BackupRefused(f"{archive} is damaged: {error}.") from None
    if (found.migrations, found.rows, found.keys) != (manifest.migrations, manifest.rows, manifest.keys):
        raise BackupRefused(f"{archive} is damaged: its manifest is of another database.")
    if problems and not although_keys_missing:
        raise BackupRefused(
            "\n".join(
                [
                    *problems,
                    "The keys are not in a backup: put them into the settings first. If they are lost, "
                    "--although-keys-missing restores the rest, and those rows stay locked.",
                ]
            )
        )


@contextmanager
def _nobody_else(file: Path) -> Iterator[None]:
    """Keep everybody out of the database inside; raise BackupRefused if somebody is in it.

    Servers and workers of this machine are known by their lock (config.in_use). This is for the rest: open connections
    of commands and other programs, and workers on another machine that share the file.
    """
    if not file.exists():
        yield
        return
    with closing(facts.connect(file)) as database:
        database.execute("PRAGMA busy_timeout=1000")
        try:
            if _beats(database):
                raise BackupRefused(_RUNNING.format("a worker gave a sign of life in the last minute"))
            # Out of the WAL, which works for the only connection alone, and then locked against all others.
            (mode,) = database.execute("PRAGMA journal_mode=DELETE").fetchone()
            database.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                raise BackupRefused(_RUNNING.format("somebody has the database open")) from None
            raise
        except sqlite3.DatabaseError:
            # Too broken to be asked: that may be why it is to be replaced, and it is kept as it is.
            mode = ""
        if mode == "wal":
            raise BackupRefused(_RUNNING.format("somebody has the database open"))
        yield


def _beats(database: sqlite3.Connection) -> int:
    """Return how many workers gave a sign of life in the last minute."""
    table = WorkerBeat._meta.db_table
    if not database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", [table]).fetchone():
        return 0
    since = (timezone.now() - heartbeat.DEAD_AFTER).replace(tzinfo=None)
    found = database.execute(f'SELECT count(*) FROM "{table}" WHERE beat_on > ?', [str(since)])  # noqa: S608
    return int(found.fetchone()[0])


def _exchange(file: Path, new: Path, now: datetime) -> Path | None:
    """Put `new` in the place of `file` in one step, and return where the old one is kept."""
    if not file.exists():
        new.replace(file)
        return None
    before = file.stat()
    new.chmod(before.st_mode & 0o777)
    # Who is not root cannot, and need not if the file is theirs.
    with suppress(PermissionError):
        os.chown(new, before.st_uid, before.st_gid)
    kept = file.with_name(f"{file.name}.before-restore-{now:%Y%m%dT%H%M%SZ}")
    # A log that the old database still needs goes with it: beside the new one it would be taken for that one's.
    for end in ("-wal", "-shm", "-journal"):
        beside = file.with_name(file.name + end)
        if beside.exists():
            beside.replace(kept.with_name(kept.name + end))
    try:
        # A second name first, so that there is a database under the first one at any moment.
        os.link(file, kept)
    except OSError:
        shutil.copy2(file, kept)
    new.replace(file)
    return kept
