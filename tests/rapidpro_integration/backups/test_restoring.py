"""A restore puts back what was backed up, keeps what was there, and refuses what would spoil the site."""

import json
import sqlite3
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from config import in_use
from rapidpro_integration.backups import BackupRefused, archives, making, restoring
from tests.processes import Site
from tests.rapidpro_integration.backups.conftest import KEY, dump, names

OTHER_KEY = "AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


@pytest.fixture
def backup(site_file: Path, tmp_path: Path) -> Path:
    """Return a backup of the site, which goes on and saves something more."""
    target = tmp_path / "backup.zip"
    making.make(site_file, target, force=False, done=lambda count: None)
    with closing(sqlite3.connect(site_file)) as database:
        database.execute("UPDATE accounts_user SET username = 'later' WHERE username = 'other'")
        database.commit()
    return target


@pytest.fixture
def unheld(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the locks of this test's servers end with it."""
    monkeypatch.setattr(in_use, "_held", [])
    yield
    for descriptor in in_use._held:
        in_use.os.close(descriptor)


def configuration(file: Path) -> dict[str, str]:
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(file)}


def test_round_trip_gives_every_row_back_and_keeps_the_old_database(site_file: Path, backup: Path) -> None:
    later = dump(site_file)
    done = restoring.restore(backup, site_file)
    assert done.waiting == []
    assert done.kept is not None
    assert dump(done.kept) == later
    assert [line for line in dump(site_file) if line not in later] == [
        line.replace("'later'", "'other'") for line in later if "'later'" in line
    ]
    assert names(site_file.parent) == {"db.sqlite3", done.kept.name}
    assert site_file.stat().st_mode == done.kept.stat().st_mode
    # And once more: a backup of what was restored restores the same.
    again = backup.with_name("again.zip")
    making.make(site_file, again, force=False, done=lambda count: None)
    fresh = backup.with_name("fresh.sqlite3")
    assert restoring.restore(again, fresh).kept is None
    assert dump(fresh) == dump(site_file)


def repacked(backup: Path, change: Callable[[dict[str, object]], None], database: bytes = b"") -> None:
    """Write the backup anew with another manifest, and another database if one is given."""
    with zipfile.ZipFile(backup) as zipped:
        manifest, content = json.loads(zipped.read("manifest.json")), zipped.read("db.sqlite3")
    change(manifest)
    with zipfile.ZipFile(backup, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("manifest.json", json.dumps(manifest))
        zipped.writestr("db.sqlite3", database or content)


def cut(backup: Path) -> None:
    backup.write_bytes(backup.read_bytes()[:-2_000])


def flip(backup: Path) -> None:
    content = bytearray(backup.read_bytes())
    content[len(content) // 2] ^= 0x55
    backup.write_bytes(content)


def of_later_version(backup: Path) -> None:
    repacked(backup, lambda manifest: manifest.update(format=2, version="9.0.0"))


def of_later_schema(backup: Path) -> None:
    def change(manifest: dict[str, object]) -> None:
        migrations = manifest["migrations"]
        assert isinstance(migrations, list)
        migrations.append("rapidpro_integration.0999_of_the_future")

    repacked(backup, change)


def with_other_numbers(backup: Path) -> None:
    repacked(backup, lambda manifest: manifest.update(rows={"accounts_user": 1}))


def with_other_database(backup: Path) -> None:
    with zipfile.ZipFile(backup) as zipped:
        content = bytearray(zipped.read("db.sqlite3"))
    content[-1] ^= 1
    repacked(backup, lambda manifest: None, bytes(content))


def foreign_zip(backup: Path) -> None:
    with zipfile.ZipFile(backup, "w") as zipped:
        zipped.writestr("manifest.json", '{"kind": "holiday pictures"}')
        zipped.writestr("db.sqlite3", "")


def not_a_zip(backup: Path) -> None:
    backup.write_bytes(b"SQLite format 3\0" + b"\0" * 5_000)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (cut, "is no backup of this program, or is damaged"),
        (flip, "is damaged"),
        (of_later_version, "was made by version 9.0.0"),
        (of_later_schema, "ahead of this code, which lacks rapidpro_integration.0999_of_the_future"),
        (with_other_numbers, "its manifest is of another database"),
        (with_other_database, "is not the one that was put there"),
        (foreign_zip, "is no backup of this program"),
        (not_a_zip, "is no backup of this program"),
        (Path.unlink, "No such file"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_no_whole_backup_of_this_code_is_refused_and_changes_nothing(
    site_file: Path, backup: Path, spoil: Callable[[Path], None], words: str
) -> None:
    spoil(backup)
    before = dump(site_file)
    with pytest.raises(BackupRefused, match=words):
        restoring.restore(backup, site_file)
    assert dump(site_file) == before
    assert names(site_file.parent) == {"db.sqlite3"}


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (f"k2:{OTHER_KEY}", "The key 'k1' is not among the keys of this site; 41 rows need it."),
        (f"k1:{OTHER_KEY}", "The key 'k1' of this site is another one than the one that 41 rows need."),
    ],
)
def test_missing_keys_are_named_with_their_rows_and_can_be_done_without(
    site_file: Path, backup: Path, settings: Settings, keys: str, words: str
) -> None:
    settings.TOKEN_KEYS = keys
    before = dump(site_file)
    with pytest.raises(BackupRefused, match=words):
        restoring.restore(backup, site_file)
    assert dump(site_file) == before
    assert restoring.restore(backup, site_file, although_keys_missing=True).kept


def test_answer_other_than_yes_changes_nothing(site_file: Path, backup: Path) -> None:
    before = dump(site_file)
    with pytest.raises(BackupRefused, match="Nothing was changed"):
        restoring.restore(backup, site_file, confirm=lambda: False)
    assert dump(site_file) == before


@pytest.mark.usefixtures("unheld")
def test_site_that_runs_is_not_restored(site_file: Path, backup: Path) -> None:
    in_use.hold(configuration(site_file))
    with pytest.raises(BackupRefused, match="a server or worker holds the database"):
        restoring.restore(backup, site_file)


@pytest.mark.usefixtures("unheld")
def test_server_does_not_start_in_the_middle_of_a_restore(site_file: Path) -> None:
    with in_use.alone(site_file), pytest.raises(ImproperlyConfigured, match="is just being restored"):
        in_use.hold(configuration(site_file))
    assert in_use._held == []
    in_use.hold(configuration(site_file))
    assert len(in_use._held) == 1


def test_open_connection_of_anybody_refuses_the_restore(site_file: Path, backup: Path) -> None:
    with closing(sqlite3.connect(site_file)) as shell:
        shell.execute("SELECT count(*) FROM accounts_user").fetchone()
        with pytest.raises(BackupRefused, match="somebody has the database open"):
            restoring.restore(backup, site_file)


def test_nobody_gets_into_the_database_while_the_question_is_asked(site_file: Path, backup: Path) -> None:
    def confirm() -> bool:
        with closing(sqlite3.connect(site_file, timeout=0)) as late, pytest.raises(sqlite3.OperationalError):
            late.execute("SELECT count(*) FROM accounts_user")
        return True

    assert restoring.restore(backup, site_file, confirm=confirm).kept


def test_sign_of_life_of_a_worker_elsewhere_refuses_the_restore(site_file: Path, backup: Path) -> None:
    now = timezone.now().replace(tzinfo=None)
    with closing(sqlite3.connect(site_file)) as database:
        database.execute(
            "INSERT INTO rapidpro_integration_workerbeat (worker_id, role, host, started_on, beat_on)"
            " VALUES ('w', 'worker', 'elsewhere', ?, ?)",
            [str(now), str(now)],
        )
        database.commit()
    with pytest.raises(BackupRefused, match="a worker gave a sign of life"):
        restoring.restore(backup, site_file)


def test_broken_database_is_replaced_and_kept_with_its_log(site_file: Path, backup: Path) -> None:
    for end in ("-wal", "-shm"):
        site_file.with_name(site_file.name + end).unlink(missing_ok=True)
    site_file.write_bytes(b"no database any more")
    site_file.with_name("db.sqlite3-wal").write_bytes(b"its log")
    kept = restoring.restore(backup, site_file).kept
    assert kept is not None
    assert kept.read_bytes() == b"no database any more"
    assert kept.with_name(f"{kept.name}-wal").exists()
    assert archives.checksum(site_file) == archives.manifest_of(backup).sha256


def test_older_schema_is_restored_and_the_waiting_migrations_are_told(site_file: Path, tmp_path: Path) -> None:
    newest = "rapidpro_integration.0008_failed_checks"
    with closing(sqlite3.connect(site_file)) as database:
        database.execute("DELETE FROM django_migrations WHERE name = ?", [newest.partition(".")[2]])
        database.commit()
    target = tmp_path / "old.zip"
    making.make(site_file, target, force=False, done=lambda count: None)
    assert newest in restoring.restore(target, site_file).waiting


def test_script_that_says_not_yes_is_told_to(db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "nobody").open("w+") as nobody:
        monkeypatch.setattr(sys, "stdin", nobody)
        with pytest.raises(CommandError, match="--yes") as caught:
            call_command("restore", "backup.zip")
    assert caught.value.returncode == 2


def test_commands_back_up_and_restore(site_file: Path, processes: Site, tmp_path: Path) -> None:
    target = str(tmp_path / "backup.zip")
    done = processes.run(KEY, "manage.py", "backup", "--output", target)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert "The keys are NOT in it. It needs: k1 (41 rows)." in done.stdout
    before = dump(site_file)
    done = processes.run(KEY, "manage.py", "restore", target, "--yes", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    assert "The database of before is" in done.stdout
    assert dump(site_file) == before
