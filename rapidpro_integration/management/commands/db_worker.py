"""`manage.py db_worker`: the worker of django-tasks-db, with signs of life, and an eye on workers that are dead."""

from typing import Any

from django_tasks_db.management.commands import db_worker

from rapidpro_integration.health import heartbeat, work


class Command(db_worker.Command):
    """Works through the queue; takes over what a killed worker had begun (rapidpro_integration.health.work)."""

    def handle(self, *, worker_id: str, **options: Any) -> None:
        """Work until told to stop, and say so."""
        with heartbeat.beating(worker_id, also=work.take_over):
            super().handle(worker_id=worker_id, **options)
