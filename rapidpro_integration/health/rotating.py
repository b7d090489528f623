"""How old a token may grow. RapidPro's never expire, so its owner or staff set an age, and the owner is reminded."""

from datetime import datetime, timedelta
from typing import Any

from asgiref.sync import sync_to_async
from django.db import transaction
from django.utils import timezone

from accounts.audit.actions import Action
from accounts.audit.services import record
from rapidpro_integration.models import RapidProToken

MIN_DAYS, MAX_DAYS = 1, 3650


def rotate_on(saved_on: datetime, *days: int | None) -> datetime | None:
    """Return when a token that was saved then is to be replaced: after the shortest age that anybody set, if any."""
    ages = [age for age in days if age]
    return saved_on + timedelta(days=min(ages)) if ages else None


def begun_anew(token: RapidProToken) -> dict[str, Any]:
    """Return the columns by which the age of a token that is replaced now begins anew."""
    now = timezone.now()
    until = rotate_on(now, token.rotate_by_days, token.staff_rotate_by_days)
    return {"secret_saved_on": now, "rotate_on": until, "rotate_told_on": None}


def set_age(token: RapidProToken, days: int | None, *, by_staff: bool = False) -> bool:
    """Set the age after which the owner is asked for a new token, the owner's wish or staff's; None takes it away.

    The shorter of the two counts. Returns whether that changed anything.
    Raises ValueError for an age out of MIN_DAYS to MAX_DAYS.
    """
    if days is not None and not MIN_DAYS <= days <= MAX_DAYS:
        raise ValueError("A token's age is from 1 to 3650 days.")
    column = "staff_rotate_by_days" if by_staff else "rotate_by_days"
    with transaction.atomic():
        row = RapidProToken.objects.select_for_update().filter(pk=token.pk).first()
        if row is None or getattr(row, column) == days:
            return False
        setattr(row, column, days)
        until = rotate_on(row.secret_saved_on, row.rotate_by_days, row.staff_rotate_by_days)
        fields: dict[str, Any] = {column: days, "rotate_on": until, "rotate_told_on": None}
        RapidProToken.objects.filter(pk=row.pk).update(**fields, changed_on=timezone.now())
        record(Action.TOKEN_AGE_SET, token=token, details={"days": days, "by_staff": by_staff})
    return True


aset_age = sync_to_async(set_age)
