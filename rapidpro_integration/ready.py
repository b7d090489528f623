"""What /readyz asks of this application: the keys, and whether somebody does the work in the background."""

from datetime import datetime, timedelta
from importlib import import_module

from django.conf import settings
from django.utils import timezone

from config.readiness import NotReady, Part, readiness
from rapidpro_integration import canaries

# Six times what a worker needs for a beat.
WORKER_SILENT = timedelta(seconds=60)


def check_keys() -> None:
    """Compare the keys with their canaries. Raises NotReady."""
    if wrong := canaries.unfit_keys():
        raise NotReady(f"{len(wrong)} keys are not what they were, or the first one is retired")


def check_worker() -> None:
    """Look for the sign of life of a worker. Raises NotReady."""
    beat: datetime | None = import_module("rapidpro_integration.health.heartbeat").worker_heartbeat()
    if beat is None or timezone.now() - beat > WORKER_SILENT:
        raise NotReady("no worker has shown a sign of life for a minute")


def connect() -> None:
    """Have /readyz ask these parts."""
    readiness.register(Part("keys", check_keys))
    if settings.READY_NEEDS_WORKER:
        readiness.register(Part("worker", check_worker))
