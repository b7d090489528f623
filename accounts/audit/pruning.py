"""Removing what is older than it has to be kept, in a way that the log itself tells of."""

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from accounts.audit.actions import Action
from accounts.audit.models import AuditEntry, AuditHead
from accounts.audit.services import record
from accounts.audit.verification import verify


class NotWhole(Exception):
    """The log does not verify: removing the broken part would remove the evidence. The message says what is broken."""


def prune(keep_days: int, *, although_broken: bool = False) -> int:
    """Delete the entries older than `keep_days` days behind a signed tombstone; return how many went.

    The tombstone, the newest entry, tells how far the log was cut and the signature of the last entry that went: with
    it `verify` can tell a pruned log from a damaged one, and the database's trigger lets exactly those rows go.
    Raises NotWhole unless `although_broken`, which the tombstone then tells too; ValueError for a negative number.
    """
    if keep_days < 0:
        raise ValueError("keep_days must not be negative.")
    broken = verify().broken
    if broken and not although_broken:
        raise NotWhole(broken)
    limit = timezone.now() - timedelta(days=keep_days)
    with transaction.atomic():
        # Nobody writes between the choice and the tombstone.
        head = AuditHead.objects.select_for_update().get(pk=1)
        first_kept = AuditEntry.objects.filter(when__gte=limit).order_by("number").first()
        # Told by what stays, and not by what goes: of a broken log the last rows that go may be missing.
        through, mac = (first_kept.number - 1, first_kept.previous) if first_kept else (head.number, head.mac)
        count = AuditEntry.objects.filter(number__lte=through).count()
        if not count:
            return 0
        record(
            Action.LOG_PRUNED,
            details={"mac": mac, "count": count, "older_than": f"{limit:%Y-%m-%d}", "broken": broken},
            pruned_through=through,
        )
        AuditEntry.objects.remove_through(through)
    return count
