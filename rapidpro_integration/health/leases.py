"""Who checks which token: a lease in the token's row, so that any number of workers check each due token once.

A lease is taken in one short transaction by compare and set, and counted by server: no more than TOKEN_CHECKS_AT_ONCE
at a time. It ends with the check's own transaction, or runs out when the worker was killed; then another takes over.
"""

import secrets
from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection, models, transaction
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from rapidpro_integration import selectors
from rapidpro_integration.health import schedule
from rapidpro_integration.models import RapidProToken
from rapidpro_integration.servers import Access
from rapidpro_integration.states import TokenState

# Longer than any check takes: an operation of the client ends after 30 seconds (client/budgets.py).
LEASE = timedelta(seconds=120)
# The name of our lock among PostgreSQL's advisory ones. Any number will do, as long as it stays.
_LOCK = 0x52_50_43_4C


def new_lease(worker: str) -> str:
    """Return the name of a new lease, at most 80 characters: whose it is, and something that nobody else has."""
    return f"{worker[:63]}:{secrets.token_hex(8)}"


def checkable() -> QuerySet[RapidProToken]:
    """Return the tokens that may be checked at all, each with its `access`.

    Not those of deactivated people, disabled ones, and those whose server is paused or closed to their owner.
    """
    tokens = RapidProToken.objects.filter(owner__is_active=True).exclude(state=TokenState.DISABLED)
    is_open = ~Q(access=Access.CLOSED)
    return selectors.with_access(tokens).filter(is_open).fetch_mode(models.FETCH_RAISE)


def due(now: datetime) -> QuerySet[RapidProToken]:
    """Return the tokens whose time has come and that nobody checks, those of a workspace that must wait left out."""
    return askable(now).filter(Q(next_check_on__isnull=True) | Q(next_check_on__lte=now), _free(now))


def askable(now: datetime) -> QuerySet[RapidProToken]:
    """Return the tokens that may be checked, due or not, those of a workspace that must wait left out."""
    waiting = RapidProToken.objects.filter(
        server=OuterRef("server"),
        workspace_uuid=OuterRef("workspace_uuid"),
        state=TokenState.RATE_LIMITED,
        retry_on__gt=now,
    )
    return checkable().filter(Q(retry_on__isnull=True) | Q(retry_on__lte=now), ~Exists(waiting))


def _free(now: datetime) -> Q:
    return Q(leased_until__isnull=True) | Q(leased_until__lte=now)


def claim(
    worker: str, limit: int, *, only: QuerySet[RapidProToken] | None = None, without: Collection[UUID] = ()
) -> list[RapidProToken]:
    """Lease up to `limit` tokens to `worker` and return them, each with its lease in `leased_by`.

    They are those that are due, the longest first; or, with `only`, those of it that nobody checks, due or not.
    """
    now = timezone.now()
    with transaction.atomic():
        _queue_up()
        tokens = due(now) if only is None else only.filter(_free(now))
        chosen = _within_limits(tokens.exclude(pk__in=without) if without else tokens, limit, now)
        claimed = []
        for token in chosen:
            lease = new_lease(worker)
            # Compare and set: even without the queue above no token would be had twice.
            rows = RapidProToken.objects.filter(_free(now), pk=token.pk)
            if rows.update(leased_until=now + LEASE, leased_by=lease):
                token.leased_until, token.leased_by = now + LEASE, lease
                claimed.append(token)
    return claimed


def _queue_up() -> None:
    # Two that count the leases of a server at once would both find room for one more. SQLite's transactions are
    # IMMEDIATE and queue anyhow (settings); PostgreSQL needs to be told.
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


def _within_limits(tokens: QuerySet[RapidProToken], limit: int, now: datetime) -> list[RapidProToken]:
    """Return the tokens that have waited longest, no more of a server than it still has room for."""
    at_once = settings.TOKEN_CHECKS_AT_ONCE
    held = RapidProToken.objects.filter(leased_until__gt=now).values_list("server").annotate(count=Count("pk"))
    room = {server: at_once - count for server, count in held.order_by()}
    full = [server for server, left in room.items() if left <= 0]
    longest_first = F("next_check_on").asc(nulls_first=True)
    place = Window(RowNumber(), partition_by="server", order_by=[longest_first, F("pk").asc()])
    ranked = tokens.exclude(server__in=full).annotate(place=place).filter(place__lte=at_once)
    chosen: list[RapidProToken] = []
    for token in ranked.order_by(longest_first, "pk"):
        if token.place <= room.get(token.server, at_once):
            chosen.append(token)
    return chosen[:limit]


def release(token: RapidProToken, *, next_check_on: datetime | None = None) -> bool:
    """Give the lease back unchecked, to be due at `next_check_on` if given; return whether it was still held."""
    fields = {"leased_until": None, "leased_by": ""} | ({"next_check_on": next_check_on} if next_check_on else {})
    return bool(RapidProToken.objects.filter(pk=token.pk, leased_by=token.leased_by).update(**fields))


def put_off(token: RapidProToken, wait_s: float = 0) -> bool:
    """Give the lease back because nothing could be asked; it is due after `wait_s`, or a first retry, spread."""
    now = timezone.now()
    wait = max(timedelta(seconds=wait_s), schedule.first_retry(TokenState.UNREACHABLE))
    return release(token, next_check_on=now + wait * schedule.spread(token.pk, now))
