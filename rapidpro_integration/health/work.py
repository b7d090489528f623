"""Background work: handing it out, taking over what a killed worker had begun, trying again what has failed.

Any backend of `django.tasks` will do to hand work out. What is done to work that is under way needs the rows of
django-tasks-db; with another backend its own tools do that, and the functions here raise NotOurs.
"""

import logging
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.tasks import DEFAULT_TASK_BACKEND_ALIAS, Task, TaskResultStatus, default_task_backend, task_backends
from django.utils import timezone
from django_tasks_db import DatabaseBackend
from django_tasks_db.models import DBTaskResult

from rapidpro_integration.health import heartbeat

logger = logging.getLogger(__name__)

# A task that has brought down so many workers is not given to another one.
ATTEMPTS = 3


class NotOurs(Exception):
    """Background work is not kept in our database (TASKS_BACKEND), so it cannot be changed from here."""


class WorkerDied(Exception):
    """The worker gave no sign of life any more while it ran the task."""


class Cancelled(Exception):
    """Somebody has taken the task out of the queue."""


def priority(number: int) -> int:
    """Return a task's priority, or 0 where the backend knows none and would refuse it."""
    return number if default_task_backend.supports_priority else 0


def is_kept_here() -> bool:
    """Return whether the rows of tasks are in our database."""
    # The backend itself: default_task_backend is a stand-in for it, of another class.
    return isinstance(task_backends[DEFAULT_TASK_BACKEND_ALIAS], DatabaseBackend)


def _rows() -> Any:
    if not is_kept_here():
        raise NotOurs("Background work is kept by another backend than the database's.")
    return DBTaskResult.objects.filter(backend_name=DEFAULT_TASK_BACKEND_ALIAS)


def hand_out(task: Task[Any, Any], *args: Any, **kwargs: Any) -> None:
    """Have a task done if what is done in this transaction comes about, and not otherwise.

    The database's backend keeps the task in the same transaction, so that neither is ever without the other; another
    one gets it after the commit.
    """
    if is_kept_here():
        task.enqueue(*args, **kwargs)
    else:
        transaction.on_commit(lambda: task.enqueue(*args, **kwargs))


def is_waiting(task: Task[Any, Any]) -> bool:
    """Return whether the task is in the queue already, and nobody has begun it; False where that cannot be known."""
    if not is_kept_here():
        return False
    return bool(_rows().filter(task_path=task.module_path, status=TaskResultStatus.READY).exists())


def take_over() -> tuple[int, int]:
    """Put what dead workers had begun into the queue again; return how many, and how many have died too often.

    Safe in any number of processes at once. Tasks must be safe to run twice: a worker that was only cut off from the
    database may still be at it.
    """
    if not is_kept_here():
        return 0, 0
    now = timezone.now()
    # A task that has just been begun is left alone: its worker's first sign of life may be on its way.
    begun = _rows().filter(status=TaskResultStatus.RUNNING, started_at__lt=now - heartbeat.DEAD_AFTER)
    orphans = list(begun.only("id", "worker_ids", "started_at", "task_path"))
    if not orphans:
        return 0, 0
    alive, again, failed = heartbeat.living(now), 0, 0
    for row in orphans:
        if row.worker_ids and row.worker_ids[-1] in alive:
            continue
        same = _rows().filter(pk=row.pk, status=TaskResultStatus.RUNNING, started_at=row.started_at)
        if len(row.worker_ids) < ATTEMPTS:
            if same.update(status=TaskResultStatus.READY):
                again += 1
        elif same.update(**_ended(WorkerDied, f"{len(row.worker_ids)} workers in a row died while they ran it.")):
            failed += 1
        logger.warning("A dead worker's task was taken over task=%s path=%s", row.pk, row.task_path)
    return again, failed


def _ended(kind: type[Exception], words: str) -> dict[str, Any]:
    return {
        "status": TaskResultStatus.FAILED,
        "finished_at": timezone.now(),
        "exception_class_path": f"{kind.__module__}.{kind.__qualname__}",
        "traceback": words,
    }


def retry(result_id: UUID | str) -> bool:
    """Put a failed task into the queue again, under the same id; return whether it was a failed one.

    Two at once are one. What it failed with stands in the log. Raises NotOurs.
    """
    anew: dict[str, Any] = {"status": TaskResultStatus.READY, "started_at": None, "finished_at": None, "worker_ids": []}
    failed = _rows().filter(pk=result_id, status=TaskResultStatus.FAILED)
    return bool(failed.update(**anew, enqueued_at=timezone.now(), exception_class_path="", traceback=""))


def cancel(result_id: UUID | str) -> bool:
    """Take a task that nobody has begun out of the queue; return whether it was one. Raises NotOurs."""
    waiting = _rows().filter(pk=result_id, status=TaskResultStatus.READY)
    return bool(waiting.update(**_ended(Cancelled, "Taken out of the queue by staff.")))


def prune(*, done_days: int = 3, failed_days: int = 30) -> int:
    """Delete the rows of what was done or has failed so many days ago; return how many went."""
    if not is_kept_here():
        return 0
    count = 0
    for status, days in ((TaskResultStatus.SUCCESSFUL, done_days), (TaskResultStatus.FAILED, failed_days)):
        limit = timezone.now() - timedelta(days=days)
        count += _rows().filter(status=status, finished_at__lt=limit).delete()[0]
    return count
