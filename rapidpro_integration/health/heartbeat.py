"""The signs of life of the processes that work in the background: a row each, written every few seconds.

A process whose row has grown old is taken for dead, and what it had begun goes to another (`health.work`).
"""

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Max
from django.utils import timezone

from rapidpro_integration.models import WorkerBeat

logger = logging.getLogger(__name__)

BEAT_EVERY = timedelta(seconds=10)
# Several beats may be late (a database that restarts) before a worker is taken for dead.
DEAD_AFTER = timedelta(seconds=60)
_KEPT = timedelta(days=1)


def worker_heartbeat() -> datetime | None:
    """Return when a worker gave its last sign of life, whichever worker it was; None if none ever did."""
    newest: datetime | None = WorkerBeat.objects.filter(role=WorkerBeat.Role.WORKER).aggregate(Max("beat_on"))[
        "beat_on__max"
    ]
    return newest


def living(now: datetime) -> set[str]:
    """Return the ids of the processes whose last beat is not older than DEAD_AFTER."""
    return set(WorkerBeat.objects.filter(beat_on__gt=now - DEAD_AFTER).values_list("worker_id", flat=True))


def beat(worker_id: str, role: WorkerBeat.Role = WorkerBeat.Role.WORKER) -> None:
    """Write a sign of life, and forget processes that have been dead for a day."""
    now = timezone.now()
    first = {"role": role, "host": socket.gethostname()[:80], "started_on": now, "beat_on": now}
    _row, is_new = WorkerBeat.objects.get_or_create(worker_id=worker_id, defaults=first)
    if is_new:
        WorkerBeat.objects.filter(beat_on__lt=now - _KEPT).delete()
    else:
        WorkerBeat.objects.filter(worker_id=worker_id).update(beat_on=now)


def end(worker_id: str) -> None:
    """Say that the process has ended in order: what it had begun need not wait for its death to be noticed."""
    WorkerBeat.objects.filter(worker_id=worker_id).delete()


@contextmanager
def beating(
    worker_id: str, role: WorkerBeat.Role = WorkerBeat.Role.WORKER, *, also: Callable[[], object] = lambda: None
) -> Iterator[None]:
    """Give signs of life from a thread while the block runs; `also` is called in it after each.

    A database that is away for a moment is logged and tried again at the next beat.
    """
    stop = threading.Event()

    def run() -> None:
        try:
            while not stop.is_set():
                try:
                    beat(worker_id, role)
                    also()
                except Exception:
                    logger.exception("No sign of life could be written worker=%s", worker_id)
                    connection.close()
                stop.wait(BEAT_EVERY.total_seconds())
        finally:
            connection.close()  # this thread's own

    thread = threading.Thread(target=run, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(5)
        end(worker_id)
