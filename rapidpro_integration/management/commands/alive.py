"""`manage.py alive worker | scheduler`: whether one of this host gave a sign of life. For containers.

Exit codes: 0 it lives; 1 it does not, or the database cannot be asked.
"""

import socket
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from django.utils import timezone

from rapidpro_integration.health import heartbeat
from rapidpro_integration.models import WorkerBeat

ROLES = {"worker": WorkerBeat.Role.WORKER, "scheduler": WorkerBeat.Role.WATCH}


class Command(BaseCommand):
    """Look for the row of a process of this host that is not older than a minute."""

    help = "Say whether a worker or a scheduler of this host gave a sign of life in the last minute."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take what to look for."""
        parser.add_argument("role", choices=ROLES)

    def handle(self, *args: Any, role: str, **options: Any) -> None:
        """Look; silence is good news."""
        since = timezone.now() - heartbeat.DEAD_AFTER
        beats = WorkerBeat.objects.filter(role=ROLES[role], host=socket.gethostname()[:80], beat_on__gt=since)
        try:
            lives = beats.exists()
        except DatabaseError as error:
            raise CommandError(f"The database does not answer ({type(error).__name__}).") from None
        if not lives:
            raise CommandError(f"No {role} of this host gave a sign of life for a minute.")
