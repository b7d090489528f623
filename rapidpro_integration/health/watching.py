"""The scheduler: looks at the clock and hands out what is due. It checks nothing itself; any number may run."""

import logging
from datetime import datetime, timedelta

from django.db import Error, close_old_connections
from django.utils import timezone
from django.utils.crypto import get_random_string

from rapidpro_integration.health import heartbeat, leases, tasks, work
from rapidpro_integration.models import WorkerBeat
from rapidpro_integration.stoppable import told_to_stop

logger = logging.getLogger(__name__)

EVERY_S = 15.0
HOUSEKEEPING_EVERY = timedelta(hours=1)
# The row in which all schedulers see when the last one handed out the housekeeping.
HOUSEKEEPING = "housekeeping"


def tick(now: datetime | None = None) -> list[str]:
    """Hand out what is due and not in the queue already, take over what dead workers had begun; return the names."""
    now, handed_out = now or timezone.now(), []
    work.take_over()
    if leases.due(now).exists() and not work.is_waiting(tasks.check_due):
        tasks.check_due.enqueue()
        handed_out.append("check_due")
    if _is_hour_over(now):
        tasks.housekeeping.enqueue()
        handed_out.append("housekeeping")
    return handed_out


def _is_hour_over(now: datetime) -> bool:
    """Return whether this scheduler is the one that hands out this hour's housekeeping (compare and set)."""
    first = {"role": WorkerBeat.Role.WATCH, "started_on": now, "beat_on": now}
    _row, is_new = WorkerBeat.objects.get_or_create(worker_id=HOUSEKEEPING, defaults=first)
    before = WorkerBeat.objects.filter(worker_id=HOUSEKEEPING, beat_on__lte=now - HOUSEKEEPING_EVERY)
    return is_new or bool(before.update(beat_on=now))


def watch(every_s: float = EVERY_S) -> None:
    """Tick until SIGTERM or SIGINT. A database that is away for a moment is logged, and tried again."""
    with told_to_stop() as stop, heartbeat.beating(f"watch-{get_random_string(16)}", WorkerBeat.Role.WATCH):
        while not stop.is_set():
            try:
                tick()
            except Error:
                logger.exception("The scheduler could not look at what is due")
            close_old_connections()
            stop.wait(every_s)
