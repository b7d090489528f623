"""Is each key still the one that sealed under its id? A canary a key id, kept in the database, tells.

The reads change nothing. A canary is made by the first write that seals with its key.
"""

import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum

from django.db import connection, transaction
from django.utils import timezone

from rapidpro_integration import stores, vault
from rapidpro_integration.models import KeyCanary


class KeyUnfitError(vault.VaultError):
    """The sealing key must not seal: it is not the one that had its id before, or it is retired."""


class KeyInUseError(vault.VaultError):
    """The key cannot be retired. The message says why."""


class Unfit(IntEnum):
    """What can be wrong with a key; the number is the one of the system check."""

    WRONG = 1
    RETIRED = 2
    MISSING = 3


_SENTENCES = {
    Unfit.WRONG: "The key {!r} is not the one that sealed under this id before; {} rows need that one.",
    Unfit.RETIRED: "The key {!r} comes first, so it would seal what is new, but it is retired; {} rows need it.",
    Unfit.MISSING: "The key {!r} is not among the keys; {} rows need it and stay locked.",
}


@dataclass(frozen=True, slots=True)
class KeyProblem:
    """What is wrong with one key, and how many rows need it."""

    kind: Unfit
    key_id: str
    rows: int

    @property
    def is_fatal(self) -> bool:
        """Whether no server may start with it: a missing key only locks rows, the others would spoil new ones."""
        return self.kind != Unfit.MISSING

    def __str__(self) -> str:
        return _SENTENCES[self.kind].format(self.key_id, self.rows)


def problems() -> list[KeyProblem]:
    """Return what is wrong with the keys in the settings, compared with the database; reads only.

    A database without our tables has sealed nothing yet: nothing is wrong with it.
    """
    tables = set(connection.introspection.table_names())
    if not {model._meta.db_table for model in (KeyCanary, *(store.model for store in stores.STORES))} <= tables:
        return []
    ring, rows = vault.ring(), stores.count_by_key()
    kept = {canary.key_id: canary for canary in KeyCanary.objects.all()}
    found = [KeyProblem(Unfit.WRONG, key_id, rows[key_id]) for key_id in ring.key_ids if not _right(key_id, kept)]
    sealing = kept.get(ring.sealing_key_id)
    if sealing is not None and sealing.retired_on is not None:
        found.append(KeyProblem(Unfit.RETIRED, sealing.key_id, rows[sealing.key_id]))
    missing = sorted(key_id for key_id in rows if key_id not in ring.key_ids)
    return found + [KeyProblem(Unfit.MISSING, key_id, rows[key_id]) for key_id in missing]


def unfit_keys() -> list[str]:
    """Return the ids of keys that are not those of their canaries, and of the sealing key if it is retired.

    One look at a small table, for whoever asks often; `problems` looks at the rows too.
    """
    ring = vault.ring()
    kept = KeyCanary.objects.in_bulk(list(ring.key_ids))
    wrong = [
        key_id
        for key_id, canary in kept.items()
        if not hmac.compare_digest(canary.check_value, ring.check_value(key_id))
        or (key_id == ring.sealing_key_id and canary.retired_on is not None)
    ]
    return sorted(wrong)


def _right(key_id: str, kept: dict[str, KeyCanary]) -> bool:
    """Return whether the key is the one of its canary, or, before there is one, opens a row that names it."""
    canary = kept.get(key_id)
    if canary is None:
        return stores.opens_what_it_sealed(key_id)
    return hmac.compare_digest(canary.check_value, vault.ring().check_value(key_id))


@contextmanager
def sealing() -> Iterator[None]:
    """Let what is written inside be sealed with the first key; belongs into the transaction of the write.

    The second look comes after the write: whoever retires the key waits for the write or is seen here.
    Raises KeyUnfitError.
    """
    key_id = vault.ring().sealing_key_id
    _refuse_retired(_canary(key_id))
    yield
    _refuse_retired(KeyCanary.objects.get(pk=key_id))


def _canary(key_id: str) -> KeyCanary:
    """Return the canary of the key, made now if this is its first use. Raises KeyUnfitError for another key."""
    kept = KeyCanary.objects.in_bulk([key_id])
    if not _right(key_id, kept):
        raise KeyUnfitError(f"The key {key_id!r} is not the one that has sealed under this id: nothing was sealed.")
    if not kept:
        made = KeyCanary(key_id=key_id, check_value=vault.ring().check_value(key_id))
        KeyCanary.objects.bulk_create([made], ignore_conflicts=True)
        return _canary(key_id)
    return kept[key_id]


def _refuse_retired(canary: KeyCanary) -> None:
    if canary.retired_on is not None:
        raise KeyUnfitError(f"The key {canary.key_id!r} is retired: restart this process with the present keys.")


def retire(key_id: str) -> None:
    """Note that the key is never to seal again. Raises KeyInUseError while it seals or a row needs it."""
    ring = vault.ring()
    if key_id == ring.sealing_key_id:
        raise KeyInUseError(f"The key {key_id!r} comes first and seals what is new. Put another one before it.")
    with transaction.atomic():
        _wait_for_writers()
        rows = sum(store.count_needing(key_id) for store in stores.STORES)
        if rows:
            raise KeyInUseError(f"{rows} rows need the key {key_id!r}. Run `manage.py tokens rotate` first.")
        if key_id in ring.key_ids:
            _canary(key_id)
        if not KeyCanary.objects.filter(pk=key_id, retired_on=None).update(retired_on=timezone.now()):
            known = KeyCanary.objects.filter(pk=key_id).exists()
            raise KeyInUseError(f"The key {key_id!r} is {'already retired' if known else 'unknown'}.")


def _wait_for_writers() -> None:
    """Hold back who writes sealed rows until this transaction ends: SQLite lets in one writer anyway."""
    if connection.vendor == "postgresql":
        names = ", ".join(connection.ops.quote_name(store.model._meta.db_table) for store in stores.STORES)
        with connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE")
