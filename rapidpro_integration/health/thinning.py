"""Thinning the history of checks by age: everything for a week, then the last of an hour, then the last of a day."""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, Window
from django.db.models.functions import RowNumber, TruncDay, TruncHour
from django.utils import timezone

from rapidpro_integration.models import TokenCheck

KEEP_ALL = timedelta(days=7)
KEEP_HOURLY = timedelta(days=30)
KEEP_DAILY = timedelta(days=400)
_LATELY = timedelta(days=2)
_BATCH = 5_000


def thin(now: datetime | None = None, *, whole: bool = True) -> int:
    """Delete the checks that are not kept any more; return how many went.

    Changes behind a token are kept as long as anything is. Without `whole` only the two days are looked at that have
    grown old enough last, which is all there is to do where this runs every hour. Safe to run twice, and in small
    transactions.
    """
    now = now or timezone.now()
    gone = _delete(TokenCheck.objects.filter(started_on__lt=now - KEEP_DAILY))
    for span, youngest, oldest in (
        (TruncHour("started_on"), KEEP_ALL, KEEP_HOURLY),
        (TruncDay("started_on"), KEEP_HOURLY, KEEP_DAILY),
    ):
        gone += _keep_last(span, now - (oldest if whole else youngest + _LATELY), now - youngest)
    return gone


def _keep_last(span: Any, first: datetime, last: datetime) -> int:
    """Delete all checks of [first, last) but the last one of each token and span."""
    place = Window(RowNumber(), partition_by=["token_id", span], order_by=[F("started_on").desc(), F("pk").desc()])
    rows = TokenCheck.objects.filter(started_on__gte=first, started_on__lt=last).annotate(place=place)
    return _delete(rows.filter(place__gt=1, drift__isnull=True))


def _delete(rows: Any) -> int:
    gone = 0
    while ids := list(rows.order_by().values_list("pk", flat=True)[:_BATCH]):
        # No signals, and nothing hangs on a check: one statement a batch.
        gone += TokenCheck.objects.filter(pk__in=ids)._raw_delete(using="default") or 0
    return gone
