"""Hourly rows that are older than they are kept for go."""

from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import models, transaction

from rapidpro_integration.observations.models import ServerHour, TokenStateHour, WorkspaceHour

_ROWS_AT_ONCE = 5_000


def prune(now: datetime | None = None, *, server_days: int | None = None, workspace_days: int | None = None) -> int:
    """Delete hours of servers and of states, and of workspaces, that are older than so many days; return how many.

    The defaults are SERVER_HOURS_KEPT_DAYS and WORKSPACE_HOURS_KEPT_DAYS. In pieces, so that nobody waits for long;
    stopped and started again, it goes on.
    """
    now = now or datetime.now(UTC)
    server_days = settings.SERVER_HOURS_KEPT_DAYS if server_days is None else server_days
    workspace_days = settings.WORKSPACE_HOURS_KEPT_DAYS if workspace_days is None else workspace_days
    before = now - timedelta(days=server_days)
    gone = _delete_before(ServerHour, before) + _delete_before(TokenStateHour, before)
    return gone + _delete_before(WorkspaceHour, now - timedelta(days=workspace_days))


def _delete_before(model: type[models.Model], before: datetime) -> int:
    gone = 0
    while True:
        with transaction.atomic():
            some = model._default_manager.filter(hour__lt=before).order_by().values("pk")[:_ROWS_AT_ONCE]
            deleted, _ = model._default_manager.filter(pk__in=list(some.values_list("pk", flat=True))).delete()
        gone += deleted
        if deleted < _ROWS_AT_ONCE:
            return gone
