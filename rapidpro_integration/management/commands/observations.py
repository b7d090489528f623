"""`manage.py observations`: the hourly rows of servers, workspaces and states."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from rapidpro_integration.observations import pruning


class Command(BaseCommand):
    """Delete hourly rows that are old enough."""

    help = "Delete hourly rows of servers, workspaces and token states that are older than they are kept for."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take `prune` and how many days to keep."""
        prune = parser.add_subparsers(dest="action", required=True).add_parser("prune", help="delete old rows")
        prune.add_argument("--keep-days", type=int, default=settings.SERVER_HOURS_KEPT_DAYS)
        prune.add_argument("--keep-workspace-days", type=int, default=settings.WORKSPACE_HOURS_KEPT_DAYS)

    def handle(self, *args: Any, keep_days: int, keep_workspace_days: int, **options: Any) -> None:
        """Delete, and say how many rows went."""
        if keep_days < 1 or keep_workspace_days < 1:
            raise CommandError("Rows are kept for a day at least.")
        gone = pruning.prune(server_days=keep_days, workspace_days=keep_workspace_days)
        self.stdout.write(f"{gone} hourly rows deleted.")
