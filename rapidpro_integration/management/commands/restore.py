"""`manage.py restore`: put a backup of the SQLite install in the place of the database, which is kept beside it.

Exit codes: 0 restored; 1 refused, and nothing was changed; 2 a wrong command line; 130 stopped, and nothing was
changed. Source: docs/operations.md, Backup and restore.
"""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from rapidpro_integration.backups import BackupRefused, archives, facts, restoring
from rapidpro_integration.progress import Progress
from rapidpro_integration.stoppable import stopped_by_signals

USAGE, STOPPED = 2, 130


class Command(BaseCommand):
    """Check a backup from end to end, ask, and exchange the files."""

    help = "Put a backup in the place of the SQLite database. Stop the site first; the old database is kept beside it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the backup and how to go about it."""
        parser.add_argument("backup", type=Path, metavar="FILE", help="what `manage.py backup` wrote")
        parser.add_argument("--yes", action="store_true", help="do not ask, for scripts")
        parser.add_argument(
            "--although-keys-missing",
            action="store_true",
            help="restore although rows stay locked, for their keys are lost",
        )
        parser.add_argument("--quiet", action="store_true", help="say nothing but what goes wrong")

    def handle(
        self, *args: Any, backup: Path, yes: bool, although_keys_missing: bool, quiet: bool, **options: Any
    ) -> None:
        """Restore, and say what is to be done next."""
        if not yes and not sys.stdin.isatty():
            raise CommandError("Nobody can be asked here: --yes restores without asking.", returncode=USAGE)
        try:
            file = facts.site_file()
            # Django's checks of the models have opened one, and nobody may have the file open.
            connections.close_all()
            manifest = archives.manifest_of(backup)
            progress = Progress(self.stderr, manifest.bytes)

            def confirm() -> bool:
                if not quiet:
                    progress.end()
                self.stdout.write(
                    f"{backup} is of {manifest.made_on:%Y-%m-%d %H:%M:%S} UTC, made by version {manifest.version},"
                    f" with {sum(manifest.rows.values()):,} rows. It takes the place of {file}."
                )
                return yes or input("What was saved since then is not in it. Restore? [y/N] ").strip().lower() == "y"

            with stopped_by_signals():
                done = restoring.restore(
                    backup,
                    file,
                    although_keys_missing=although_keys_missing,
                    done=(lambda count: None) if quiet else progress,
                    confirm=confirm,
                )
        except BackupRefused as error:
            raise CommandError(str(error)) from None
        except (KeyboardInterrupt, EOFError):
            raise CommandError("Stopped; nothing was changed.", returncode=STOPPED) from None
        self.stdout.write(f"Restored. {f'The database of before is {done.kept}.' if done.kept else ''}".strip())
        if done.waiting:
            self.stdout.write(f"{len(done.waiting)} migrations are newer than the backup: run `manage.py migrate`.")
        self.stdout.write("Now run `manage.py tokens doctor` and `manage.py audit verify`, then start the site.")
