"""A backup is whole or not there, of one moment, private, and without the keys."""

import base64
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import time
import zipfile
from contextlib import closing
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection

from rapidpro_integration.backups import BackupRefused, archives, making, restoring
from rapidpro_integration.output_files import OutputRefused
from tests.processes import ROOT, Site, output_of
from tests.rapidpro_integration.backups.conftest import KEY, names

ROWS = 100


def make(file: Path, target: Path, *, force: bool = False) -> archives.Manifest:
    manifest, dangling = making.make(file, target, force=force, done=lambda count: None)
    assert dangling == []
    return manifest


def test_backup_says_what_it_holds_and_is_for_its_owner_alone(site_file: Path, tmp_path: Path) -> None:
    target = tmp_path / "out" / "backup.zip"
    target.parent.mkdir()
    manifest = make(site_file, target)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert names(target.parent) == {"backup.zip"}
    assert archives.manifest_of(target) == manifest
    assert manifest.keys == {"k1": 41}
    assert manifest.rows["rapidpro_integration_rapidprotoken"] == 40
    assert "rapidpro_integration.0001_initial" in manifest.migrations
    with zipfile.ZipFile(target) as zipped:
        content = b"".join(zipped.read(name) for name in zipped.namelist())
    key = base64.b64decode(KEY.removeprefix("k1:"))
    assert not any(secret in content for secret in (key, KEY.encode(), settings.SECRET_KEY.encode()))


def test_existing_file_is_overwritten_with_force_alone(site_file: Path, tmp_path: Path) -> None:
    target = tmp_path / "backup.zip"
    target.write_text("of yesterday")
    with pytest.raises(OutputRefused, match="is there already"):
        make(site_file, target)
    assert target.read_text() == "of yesterday"
    make(site_file, target, force=True)
    assert archives.manifest_of(target).keys


def test_progress_ends_where_it_was_said_to_end(site_file: Path, tmp_path: Path) -> None:
    told: list[int] = []
    making.make(site_file, tmp_path / "backup.zip", force=False, done=told.append)
    assert sum(told) == making.size(site_file)


def test_damaged_database_is_refused_and_broken_references_are_told(site_file: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(site_file)) as database:
        database.execute("DELETE FROM accounts_user WHERE username = 'other'")
        database.commit()
    _manifest, dangling = making.make(site_file, tmp_path / "dangling.zip", force=False, done=lambda count: None)
    assert "rapidpro_integration_rapidprotoken" in dangling
    with closing(sqlite3.connect(site_file)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        database.execute("PRAGMA writable_schema=ON")
        # An index that points elsewhere: every row is there, and look-ups by it would lie.
        database.execute(
            "UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM sqlite_master WHERE name = 'auth_group')"
            " WHERE name = 'django_session_expire_date_a5c62663'"
        )
        database.commit()
    with pytest.raises(BackupRefused, match="The database is damaged"):
        make(site_file, tmp_path / "backup.zip")
    assert names(tmp_path) == {"site", "dangling.zip"}


def test_database_without_our_tables_and_no_file_at_all_are_one_sentence(tmp_path: Path, db: None) -> None:
    empty = tmp_path / "empty.sqlite3"
    with closing(sqlite3.connect(empty)) as database:
        database.execute("CREATE TABLE other (id)")
    with pytest.raises(BackupRefused, match="no tables of this site"):
        make(empty, tmp_path / "backup.zip")
    with pytest.raises(BackupRefused, match="is not there"):
        making.size(tmp_path / "none.sqlite3")
    assert names(tmp_path) == {"empty.sqlite3"}


@pytest.mark.parametrize("command", [["backup"], ["restore", "backup.zip", "--yes"]])
def test_elsewhere_than_on_a_file_both_refuse_with_one_sentence(db: None, command: list[str]) -> None:
    expected = "use pg_dump and pg_restore" if connection.vendor == "postgresql" else "in memory"
    with pytest.raises(CommandError, match=expected) as caught:
        call_command(*command)
    assert caught.value.returncode == 1


# --- Real processes -------------------------------------------------------------------------------

VERIFY = """
import django; django.setup()
from django.core.management import call_command
call_command("tokens", "doctor")
call_command("audit", "verify")
"""


def test_backup_of_a_site_under_load_is_of_one_moment(site_file: Path, processes: Site, tmp_path: Path) -> None:
    worker = ("-m", "tests.security.rotation_worker")
    output_of(processes.start(KEY, *worker, "fill", str(ROWS)))
    journal, stop = tmp_path / "journal", tmp_path / "stop"
    writer = processes.start(KEY, *worker, "replace", str(ROWS), str(journal), str(stop))
    assert writer.stdout is not None
    assert writer.stdout.readline() == "replacing\n"
    written = [0]
    for number in range(3):
        # Meanwhile the writer goes on: each backup begins after it has written once more.
        while len(lines := journal.read_text().splitlines() if journal.exists() else []) <= written[-1]:
            time.sleep(0.01)
        written.append(len(lines))
        making.make(site_file, tmp_path / f"{number}.zip", force=False, done=lambda count: time.sleep(0.02))
    stop.touch()
    output_of(writer)
    restored = tmp_path / "restored.sqlite3"
    restoring.restore(tmp_path / "2.zip", restored)
    trial = Site(f"sqlite:///{restored}", SECRET_KEY=settings.SECRET_KEY, AUDIT_KEY="")
    told = output_of(trial.start(KEY, "-c", VERIFY))
    assert "Every row opens." in told
    assert "The audit log is whole" in told


HELD_UP = """
import sys, time
import django; django.setup()
from pathlib import Path
from rapidpro_integration.backups import making
from rapidpro_integration.stoppable import stopped_by_signals
def done(count):
    print("on the way", flush=True)
    time.sleep(60)
try:
    with stopped_by_signals():
        making.make(Path(sys.argv[1]), Path(sys.argv[2]), force=False, done=done)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 130), (signal.SIGKILL, -9)])
def test_backup_that_is_killed_is_not_there(
    site_file: Path, processes: Site, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    process = processes.start(KEY, "-c", HELD_UP, str(site_file), str(folder / "backup.zip"))
    assert process.stdout is not None
    assert process.stdout.readline() == "on the way\n"
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == code
    assert "backup.zip" not in names(folder)
    if number == signal.SIGTERM:
        assert names(folder) == set()
    # What a killed one could not take away, the next one does.
    make(site_file, folder / "next.zip")
    assert names(folder) == {"next.zip"}


def test_backup_onto_a_full_disk_is_not_there_and_says_why(site_file: Path, processes: Site, tmp_path: Path) -> None:
    if not shutil.which("unshare") or subprocess.run(["unshare", "-rm", "true"], check=False).returncode:
        pytest.skip("needs a name space of its own, for a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    kilobytes = site_file.stat().st_size // 1024 // 2
    script = f"""
import subprocess, sys
subprocess.run(["mount", "-t", "tmpfs", "-o", "size={kilobytes}k", "tmpfs", {str(disk)!r}], check=True)
done = subprocess.run([{sys.executable!r}, "manage.py", "backup", "--output", {str(disk / "backup.zip")!r}])
import os
print(done.returncode, os.listdir({str(disk)!r}))
"""
    environment = processes.environment(KEY)
    command = ["unshare", "-rm", sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "1 []\n", done.stderr
    assert "No backup was made: database or disk is full." in done.stderr
    assert "Traceback" not in done.stderr
