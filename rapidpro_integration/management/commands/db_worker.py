"""`manage.py db_worker`: the worker of django-tasks-db, with signs of life, and an eye on workers that are dead."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django_tasks_db.management.commands import db_worker

from config import in_use
from rapidpro_integration.health import heartbeat, watching, work


class Command(db_worker.Command):
    """Works through the queue; takes over what a killed worker had begun (rapidpro_integration.health.work)."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare one option more."""
        super().add_arguments(parser)
        parser.add_argument(
            "--schedule",
            action="store_true",
            help="Hand out what is due as well, so that no `manage.py tokens watch` is needed beside this.",
        )

    def handle(  # type: ignore[override]  # the options that are not ours are passed on as they came
        self, *, worker_id: str, schedule: bool = False, **options: Any
    ) -> None:
        """Work until told to stop, and say so."""
        in_use.hold(settings.DATABASES["default"])
        with heartbeat.beating(worker_id, also=watching.tick if schedule else work.take_over):
            super().handle(worker_id=worker_id, **options)
