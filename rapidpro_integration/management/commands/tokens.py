"""`manage.py tokens rotate | doctor | retire | check | watch | age | thin`: look after the sealed, and show none of it.

Exit codes: 0 all is well; 1 rows or keys that need somebody, named above, or tokens that do not work (check); 2 a wrong
command line; 3 something still seals with an older key (rotate), or some checks could not be made (check); 130 stopped
by Ctrl-C.
"""

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from typing import Any
from uuid import UUID

from asgiref.sync import async_to_sync
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts.audit.context import acting_as
from config import in_use
from rapidpro_integration import canaries, rotation, stores, vault
from rapidpro_integration.health import leases, rotating, rounds, thinning, watching
from rapidpro_integration.models import RapidProToken, Trigger
from rapidpro_integration.progress import Progress


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError("must be a number of 1 or more")
    return int(text)


class Command(BaseCommand):
    """Work on everything that is sealed: the tokens and the secrets of second factors."""

    help = "Look after the sealed tokens and second factors: rotate their keys, find broken rows, retire a key."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the subcommands."""
        subcommands = parser.add_subparsers(dest="subcommand", required=True, metavar="<subcommand>")

        def add(name: str, run: Callable[..., None], text: str) -> ArgumentParser:
            subparser: ArgumentParser = subcommands.add_parser(name, help=text, description=text)
            subparser.set_defaults(run=run)
            return subparser

        rotate = add("rotate", self.rotate, "Seal every row with the first key; may be stopped and run again.")
        rotate.add_argument("--batch", type=_positive, default=100, metavar="N", help="rows a transaction (100)")
        rotate.add_argument("--dry-run", action="store_true", help="only say what would be done")
        add("doctor", self.doctor, "Open every row, count them by key and name those that do not open.")
        retire = add("retire", self.retire, "Note that a key is never to seal again; refused while a row needs it.")
        retire.add_argument("key_id", metavar="<key id>")
        check = add("check", self.check_now, "Ask the tokens' servers now, no more than a few of one server at once.")
        which = check.add_mutually_exclusive_group()
        which.add_argument("--due", action="store_true", help="those whose time has come (the default)")
        which.add_argument(
            "--all", action="store_true", help="every token that may be checked, and whose workspace need not wait"
        )
        which.add_argument("--id", action="append", type=UUID, metavar="ID", help="this one; may be given again")
        check.add_argument("--seconds", type=_positive, default=3600, metavar="N", help="begin no check after so long")
        watch = add("watch", self.watch, "Hand out to the workers what is due, until told to stop.")
        watch.add_argument("--once", action="store_true", help="look once and end, for cron")
        watch.add_argument("--every", type=_positive, default=int(watching.EVERY_S), metavar="S", help="seconds (15)")
        age = add("age", self.age, "Set, as staff, after how many days owners are asked for a new token; 0 for never.")
        age.add_argument("days", type=int, metavar="<days>")
        whose = age.add_mutually_exclusive_group(required=True)
        whose.add_argument("--all", action="store_true", help="of every token that is there now")
        whose.add_argument("--id", action="append", type=UUID, metavar="ID", help="of this one; may be given again")
        add("thin", self.thin, "Thin the history of checks by age, as the workers do every hour.")

    def handle(self, *args: Any, run: Callable[..., None], **options: Any) -> None:
        """Run the subcommand; what the vault refuses is one sentence."""
        try:
            run(**options)
        except vault.VaultError as error:
            raise CommandError(str(error)) from None

    def rotate(self, *, batch: int, dry_run: bool, **options: Any) -> None:
        """Move every row to the first key, and say that nothing needs another one only when that is so."""
        key_id, total = vault.ring().sealing_key_id, rotation.rows_to_move()
        if dry_run:
            stuck = rotation.preview()
            self.stdout.write(f"{total - len(stuck):,} rows would be sealed with the key {key_id!r}.")
            self._name(stuck, "cannot be moved")
            return
        progress = Progress(self.stdout, total)
        try:
            with acting_as("manage.py tokens rotate"):
                done = rotation.rotate(batch=batch, on_progress=progress)
        except KeyboardInterrupt:
            progress.end()
            raise CommandError("Stopped. Run it again to go on.", returncode=130) from None
        progress.end()
        self.stdout.write(f"{done.moved:,} rows were sealed with the key {key_id!r}.")
        self._name(done.stuck, "cannot be moved")
        if not done.is_done:
            raise CommandError(
                f"{done.appeared + done.left:,} rows came under an older key while this ran: a process that was"
                " started with the old order of the keys still runs. Restart it, then rotate again.",
                returncode=3,
            )
        self.stdout.write("No row needs an older key any more.")

    def doctor(self, **options: Any) -> None:
        """Open every row and print numbers and ids, nothing that is sealed."""
        first = vault.ring().sealing_key_id
        for key_id, rows in sorted(stores.count_by_key().items()):
            self.stdout.write(f"key {key_id}: {rows:,} rows{' (seals what is new)' if key_id == first else ''}")
        found = canaries.problems()
        for problem in found:
            self.stderr.write(str(problem))
        broken = [stuck for store in stores.STORES for stuck in rotation.locked_rows(store, store.rows())]
        self._name(broken, "do not open")
        if found:
            raise CommandError("Every row opens, but the keys need somebody.")
        self.stdout.write("Every row opens.")

    def retire(self, *, key_id: str, **options: Any) -> None:
        """Retire the key for good."""
        canaries.retire(key_id)
        self.stdout.write(
            f"The key {key_id!r} is retired. Take it out of the settings and restart; keep its copy as long as you"
            " keep a backup of the database from before."
        )

    def check_now(self, *, all: bool, id: list[UUID] | None, seconds: int, **options: Any) -> None:  # noqa: A002  # the options' names
        """Check the tokens, say how many work, and end with an error if one does not."""
        now = timezone.now()
        tokens = leases.askable(now) if all else leases.due(now)
        if id:
            tokens = leases.checkable().filter(pk__in=id)
            if missing := set(id) - set(tokens.values_list("pk", flat=True)):
                raise CommandError(
                    f"No token that may be checked: {', '.join(sorted(map(str, missing)))}.", returncode=2
                )
        ids = list(tokens.values_list("pk", flat=True))
        progress = Progress(self.stdout, len(ids))
        trigger = Trigger.HAND if all or id else Trigger.DUE
        only = leases.checkable().filter(pk__in=ids) if all or id else None
        failed = ""
        try:
            with acting_as("manage.py tokens check"):
                tally = async_to_sync(rounds.around)(
                    "manage.py tokens check",
                    seconds=seconds,
                    trigger=trigger,
                    only=only,
                    on_done=progress,
                    patient=only is not None,
                )
        except rounds.ChecksFailed as error:
            tally, failed = error.tally, str(error)
        except KeyboardInterrupt:
            progress.end()
            raise CommandError("Stopped. What had been checked is saved.", returncode=130) from None
        progress.end()
        self.stdout.write(f"{tally.checked:,} tokens were checked, {tally.working:,} work; {tally.put_off:,} put off.")
        for state, count in sorted(tally.states.items()):
            self.stdout.write(f"  {state.value}: {count:,}")
        if failed:
            raise CommandError(failed, returncode=3)
        if tally.working < tally.checked:
            raise CommandError(f"{tally.checked - tally.working:,} tokens do not work.")

    def watch(self, *, once: bool, every: int, **options: Any) -> None:
        """Hand out what is due, once or until a signal."""
        if once:
            self.stdout.write(f"Handed out: {', '.join(watching.tick()) or 'nothing'}.")
            return
        in_use.hold(settings.DATABASES["default"])
        watching.watch(every)

    def age(self, *, days: int, id: list[UUID] | None, **options: Any) -> None:  # noqa: A002  # the option's name
        """Set the age that staff ask for; the owners' own wishes stay, and the shorter one counts."""
        if days and not rotating.MIN_DAYS <= days <= rotating.MAX_DAYS:
            raise CommandError("The age is from 1 to 3650 days, or 0 for never.", returncode=2)
        tokens = RapidProToken.objects.all()
        if id:
            tokens = tokens.filter(pk__in=id)
            if missing := set(id) - set(tokens.values_list("pk", flat=True)):
                raise CommandError(f"No such token: {', '.join(sorted(map(str, missing)))}.", returncode=2)
        progress = Progress(self.stdout, tokens.count())
        with acting_as("manage.py tokens age"):
            changed = 0
            for token in tokens:
                changed += rotating.set_age(token, days or None, by_staff=True)
                progress(1)
        progress.end()
        self.stdout.write(f"The age of {changed:,} tokens was changed.")

    def thin(self, **options: Any) -> None:
        """Delete the checks that are not kept any more."""
        self.stdout.write(f"{thinning.thin():,} checks were deleted.")

    def _name(self, rows: list[rotation.StuckRow], fact: str) -> None:
        """Print each row by its id and end with an error, if there are any."""
        for row in rows:
            self.stderr.write(str(row))
        if rows:
            raise CommandError(f"{len(rows):,} rows {fact}; they are named above. Nothing of them was changed.")
