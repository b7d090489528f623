"""`manage.py demo --large`: invented people and tokens by the thousand, for a look at the staff pages."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import User
from rapidpro_integration.demo_data import DOMAIN, Maker, Size


class Command(BaseCommand):
    """Fill a demo database with a large set of invented rows, once."""

    help = "Fill a demo database: 2,000 people, 5,000 sealed tokens, 90 days of checks and hourly rows."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the size."""
        usual = Size()
        parser.add_argument("--large", action="store_true", help="Say that you mean it.")
        parser.add_argument("--users", type=int, default=usual.users)
        parser.add_argument("--tokens", type=int, default=usual.tokens)
        parser.add_argument("--days", type=int, default=usual.days)
        parser.add_argument("--force", action="store_true", help="Even if this database has people of its own.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Refuse what is no demo; then make everything, or nothing if it is there."""
        if not options["large"]:
            raise CommandError("The small demo is `manage.py load_demo`; the large one wants --large.")
        size = Size(options["users"], options["tokens"], options["days"])
        if min(size.users, size.tokens, size.days) < 1:
            raise CommandError("The numbers are at least 1.")
        if User.objects.filter(username="person00001").exists():
            raise CommandError("The large demo is there already: nothing was made.")
        is_demo = settings.DEBUG and not User.objects.exclude(email__endswith=f"@{DOMAIN}").exists()
        if not is_demo and not options["force"]:
            raise CommandError(
                "This is no demo: DEBUG is off, or there are people outside example.org. Nothing was made; "
                "--force makes it all the same."
            )
        Maker(size, self.stdout.write).make()
        self.stdout.write("Sign in as staff@example.org (manage.py load_demo makes that account) and open /staff/.")
