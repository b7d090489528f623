"""`manage.py audit`: verify, export and prune the audit log."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.audit.actions import Action
from accounts.audit.exporting import lines
from accounts.audit.models import AuditEntry
from accounts.audit.pruning import NotWhole, prune
from accounts.audit.services import record
from accounts.audit.verification import verify


class Command(BaseCommand):
    """Three things that are done to a log that is never changed."""

    help = "Verify, export or prune the audit log. Exit code 1 when verify finds a row that is not as it was written."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the three commands."""
        commands = parser.add_subparsers(dest="command", required=True)
        look = commands.add_parser("verify", help="name the first row that was changed, removed, inserted or moved")
        look.add_argument("--head", default="", metavar="N:SIGNATURE", help="a head that an earlier verify printed")
        export = commands.add_parser("export", help="write the whole log, oldest first")
        export.add_argument("--csv", action="store_true", required=True, help="as CSV")
        export.add_argument("--output", type=Path, metavar="FILE", help="into a new file instead of the output")
        cut = commands.add_parser("prune", help="remove old entries behind a signed tombstone")
        cut.add_argument("--keep-days", type=int, required=True, metavar="N", help="keep the last N days")
        cut.add_argument("--although-broken", action="store_true", help="prune a log that does not verify; it is told")

    def handle(self, *args: Any, command: str, **options: Any) -> None:
        """Do one of the three."""
        if command == "verify":
            self._verify(options["head"])
        elif command == "export":
            self._export(options["output"])
        else:
            self._prune(options["keep_days"], although_broken=options["although_broken"])

    def _verify(self, head: str) -> None:
        verdict = verify(expect=head)
        if verdict.broken:
            raise CommandError(
                f"The audit log is broken: {verdict.broken}. {verdict.entries:,} entries before it hold."
            )
        self.stdout.write(f"The audit log is whole: {verdict.entries:,} entries.")
        self.stdout.write(f"Head, to be noted elsewhere: {verdict.head}")

    def _export(self, output: Path | None) -> None:
        record(Action.LOG_EXPORTED, details={"entries": AuditEntry.objects.count()})
        entries = AuditEntry.objects.order_by("number")
        if output is None:
            sys.stdout.writelines(lines(entries))
            return
        try:
            with output.open("x", encoding="utf-8", newline="") as file:
                file.writelines(lines(entries))
        except OSError as error:
            raise CommandError(f"{output}: {error.strerror}.") from error

    def _prune(self, keep_days: int, *, although_broken: bool) -> None:
        try:
            count = prune(keep_days, although_broken=although_broken)
        except NotWhole as error:
            raise CommandError(f"Nothing was removed, because the log is broken: {error}.") from error
        except ValueError as error:
            raise CommandError("--keep-days must be 0 or more.") from error
        self.stdout.write(f"{count:,} entries older than {keep_days} days were removed.")
