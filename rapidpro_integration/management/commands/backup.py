"""`manage.py backup`: a copy of the SQLite install, made while the site runs.

Exit codes: 0 it is there; 1 there is none, and why; 2 a wrong command line, or a file that would be overwritten;
130 stopped, and there is none. Source: docs/operations.md, Backup and restore.
"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from rapidpro_integration.backups import BackupRefused, facts, making
from rapidpro_integration.output_files import OutputRefused
from rapidpro_integration.progress import Progress
from rapidpro_integration.stoppable import stopped_by_signals

USAGE, STOPPED = 2, 130


class Command(BaseCommand):
    """Copy, check and pack the database; the keys are not in it."""

    help = "Back up the SQLite database while the site runs. The keys are not in the backup: keep them apart from it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the file and how to go about it."""
        parser.add_argument("--output", type=Path, metavar="FILE", help="the file (console-<time>.backup.zip, here)")
        parser.add_argument("--force", action="store_true", help="overwrite the file")
        parser.add_argument("--quiet", action="store_true", help="say nothing but what goes wrong")

    def handle(self, *args: Any, output: Path | None, force: bool, quiet: bool, **options: Any) -> None:
        """Make the backup and say what is in it."""
        target = output or Path(making.default_name(timezone.now()))
        try:
            file = facts.site_file()
            progress = Progress(self.stderr, making.size(file))
            with stopped_by_signals():
                manifest, dangling = making.make(
                    file, target, force=force, done=(lambda count: None) if quiet else progress
                )
        except OutputRefused as error:
            raise CommandError(str(error), returncode=USAGE) from None
        except BackupRefused as error:
            raise CommandError(str(error)) from None
        except KeyboardInterrupt:
            raise CommandError("Stopped; there is no backup.", returncode=STOPPED) from None
        if dangling:
            self.stderr.write(f"Rows of these tables refer to rows that are not there: {', '.join(dangling)}.")
        if quiet:
            return
        progress.end()
        rows = sum(manifest.rows.values())
        self.stdout.write(f"{target}: {rows:,} rows of {manifest.made_on:%Y-%m-%d %H:%M:%S} UTC, {_size(target)}.")
        needed = ", ".join(f"{key_id} ({count:,} rows)" for key_id, count in manifest.keys.items())
        self.stdout.write(f"The keys are NOT in it. It needs: {needed or 'none'}. Keep a copy of them elsewhere.")


def _size(file: Path) -> str:
    return f"{file.stat().st_size / 1_000_000:,.1f} MB"
