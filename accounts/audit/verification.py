"""Reading the whole log and telling the first thing in it that is not as it was written."""

import hmac
from collections.abc import Iterator
from dataclasses import dataclass

from django.db import connections
from django.db.models import Max

from accounts.audit import chain, triggers
from accounts.audit.models import AuditEntry, AuditHead


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a look at the whole log found. `broken` is empty for a log that is as it was written."""

    entries: int
    head: str
    broken: str = ""


class Broken(Exception):
    """The first thing that is not as it was written; the message names the entry."""


def verify(*, expect: str = "", using: str = "default") -> Verdict:
    """Return whether every entry is there, in its place and unchanged, and the database's own guards stand.

    `expect` is a head noted earlier ("17:<mac>", as a verdict gives it): it tells a log put back from an old copy.
    """
    count = 0
    head = AuditHead.objects.using(using).filter(pk=1).first()
    try:
        for count in _walk(using, head, expect):  # noqa: B007  # how far it got
            pass
        _check_nothing_behind(using)
    except Broken as caught:
        return Verdict(count, str(head or ""), str(caught))
    if missing := triggers.missing(connections[using]):
        return Verdict(count, str(head), f"the database no longer guards the log: {', '.join(missing)} missing or off")
    return Verdict(count, str(head))


def _walk(using: str, head: AuditHead | None, expect: str) -> Iterator[int]:
    """Yield how many entries were found good so far. Raises Broken at the first that is not."""
    expected_number, _, expected_mac = expect.partition(":")
    begin: tuple[int, str] | None = None
    tombstone: AuditEntry | None = None
    number, mac, count = 0, chain.GENESIS, 0
    met = not expect or expected_number == "0"
    # Without a transaction, which would hold up every writer on SQLite: what is written meanwhile is behind the head.
    written = AuditEntry.objects.using(using).filter(number__lte=head.number if head else 0)
    for entry in written.order_by("number").iterator(chunk_size=1000):
        if begin is None:
            # What comes before the first entry is believed for now: a tombstone further on must say the same.
            begin = number, mac = (entry.number - 1, entry.previous)
        _check(entry, number, mac)
        number, mac, count = entry.number, entry.mac, count + 1
        if entry.pruned_through is not None:
            tombstone = entry
        if str(number) == expected_number:
            met = mac == expected_mac
        yield count
    _check_begin(begin, tombstone)
    _check_head(head, number, mac)
    pruned = (tombstone is not None and tombstone.pruned_through) or 0
    if not met and not (expected_number.isdecimal() and int(expected_number) <= pruned):
        raise Broken(f"entry {expected_number} is not the one that was noted earlier: the log was put back or replaced")


def _check(entry: AuditEntry, number: int, mac: str) -> None:
    if entry.number != number + 1:
        upto = f" (and all up to {entry.number - 1})" if entry.number > number + 2 else ""
        raise Broken(f"entry {number + 1}{upto} was removed")
    key = chain.keys().get(entry.key_id)
    if key is None:
        raise Broken(f"entry {entry.number} cannot be checked: its key {entry.key_id} is not in the settings")
    if not hmac.compare_digest(key.sign_entry(entry.previous, entry.signed_fields()), entry.mac):
        raise Broken(f"entry {entry.number} was changed, or put there from outside")
    if entry.previous != mac:
        raise Broken(f"entry {entry.number} does not follow entry {number}: one of them was moved or replaced")


def _check_begin(begin: tuple[int, str] | None, tombstone: AuditEntry | None) -> None:
    """Raise Broken unless the log begins at its first entry, or where the newest tombstone says that it does."""
    number, mac = begin or (0, chain.GENESIS)
    told = (0, chain.GENESIS)
    if tombstone is not None:
        told = (tombstone.pruned_through or 0, str(tombstone.details.get("mac")))
    if (number, mac) != told:
        raise Broken(f"entry {told[0] + 1} is not where the log begins: entries were removed or put in front")


def _check_head(head: AuditHead | None, number: int, mac: str) -> None:
    key = chain.keys().get(head.key_id) if head else None
    if head is None or key is None:
        raise Broken("the head of the log is missing, or its key is not in the settings")
    if not hmac.compare_digest(key.sign_head(head.number, head.mac), head.seal):
        raise Broken("the head of the log was changed")
    if head.number > number:
        raise Broken(f"entry {number + 1} and all up to {head.number} were removed from the end")
    if (head.number, head.mac) != (number, mac):
        raise Broken(f"entry {number} is not the newest one that was written")


def _check_nothing_behind(using: str) -> None:
    # In this order: the head moves on in the transaction that adds the entry, so it is never behind what was read.
    newest = AuditEntry.objects.using(using).aggregate(newest=Max("number"))["newest"] or 0
    head = AuditHead.objects.using(using).get(pk=1)
    if newest > head.number:
        raise Broken(f"entry {head.number + 1} was put behind the newest one from outside")
