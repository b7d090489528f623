"""Rotation: everything sealed is opened and sealed again with the first key, while the site runs.

A batch is one small transaction: each row is changed only if it still holds the text that was read, and is read back
and opened before the transaction ends. What was done stays done after kill -9; another run goes on from there.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from allauth.mfa.models import Authenticator
from django.db import IntegrityError, transaction

from rapidpro_integration import canaries, services, stores, vault
from rapidpro_integration.models import RapidProToken
from rapidpro_integration.openings import note_rotation
from rapidpro_integration.stores import Store
from rapidpro_integration.vault import LockedError, Secret

# A row that an older process seals meanwhile is found by the next pass; a site that never stops is told after these.
_PASSES = 3

type Progress = Callable[[int], None]


class WrittenWrongError(vault.VaultError):
    """What was written does not open to what was read: the batch was rolled back, the old texts are still there."""

    def __init__(self, kind: str, row_id: object) -> None:
        super().__init__(f"The {kind} {row_id} did not read back as it was written; its batch was rolled back.")


@dataclass(frozen=True, slots=True)
class StuckRow:
    """A row that cannot be moved or opened: its kind, its id and why, and nothing of its content."""

    kind: str
    row_id: Any
    reason: str

    def __str__(self) -> str:
        return f"{self.kind} {self.row_id}: {self.reason}"


@dataclass(slots=True)
class Rotation:
    """What a rotation did, as far as it came."""

    key_id: str
    moved: int = 0
    stuck: list[StuckRow] = field(default_factory=list)
    # Rows under an older key that were not there, or not under it, when the first pass had gone through.
    appeared: int = 0
    left: int = 0

    @property
    def is_done(self) -> bool:
        """Whether no row needs an older key and none came up meanwhile."""
        return not (self.stuck or self.appeared or self.left)


def rows_to_move() -> int:
    """Return how many rows are not wholly under the first key."""
    return sum(1 for store in stores.STORES for _ in _to_move(store))


def _to_move(store: Store) -> Iterator[Any]:
    for rows in _batches(store, 500):
        yield from rows


def _batches(store: Store, batch: int) -> Iterator[list[Any]]:
    key_id, after = vault.ring().sealing_key_id, None
    while rows := store.rows_to_move(key_id, after, batch):
        yield rows
        after = rows[-1].pk


def locked_rows(store: Store, rows: Iterable[Any]) -> Iterator[StuckRow]:
    """Yield those of the rows that do not open."""
    for row in rows:
        if reason := store.lock_reason(row):
            yield StuckRow(store.name, row.pk, reason)


def preview() -> list[StuckRow]:
    """Return the rows that a rotation could not move because they do not open; changes nothing."""
    return [stuck for store in stores.STORES for stuck in locked_rows(store, _to_move(store))]


def rotate(*, batch: int, on_progress: Progress) -> Rotation:
    """Move every row to the first key and tell `on_progress` how many rows each batch dealt with.

    Raises KeyUnfitError, before anything is changed, when a key is not what it was or may not seal, and
    WrittenWrongError.
    """
    if unfit := [str(problem) for problem in canaries.problems() if problem.is_fatal]:
        raise canaries.KeyUnfitError("\n".join(unfit))
    done = Rotation(vault.ring().sealing_key_id)
    for number in range(_PASSES):
        done.stuck = []
        for store, write in ((stores.TOKENS, _write_tokens), (stores.SECOND_FACTORS, _write_factors)):
            for rows in _batches(store, batch):
                moved, stuck = _move(store, write, rows)
                if moved:
                    # A batch, so that a rotation that is killed has said what it did.
                    note_rotation(key_id=done.key_id, moved=moved, failed=len(stuck))
                done.moved += moved
                done.stuck += stuck
                if number:
                    done.appeared += len(rows) - len(stuck)
                on_progress(len(rows))
        done.left = _left(done.stuck)
        if not done.left:
            break
    return done


def _left(stuck: list[StuckRow]) -> int:
    """Return how many rows, counted anew, are under an older key besides those that are known to be stuck."""
    known = {(row.kind, row.row_id) for row in stuck}
    return sum((store.name, row.pk) not in known for store in stores.STORES for row in _to_move(store))


type Write = Callable[[list[Any]], int]


def _move(store: Store, write: Write, rows: list[Any]) -> tuple[int, list[StuckRow]]:
    """Return how many of the rows were moved, and those that cannot be; one that was changed meanwhile is neither."""
    stuck = list(locked_rows(store, rows))
    locked = {row.row_id for row in stuck}
    rows = [row for row in rows if row.pk not in locked]
    try:
        return write(rows), stuck
    except IntegrityError:
        if len(rows) == 1:
            return 0, [*stuck, StuckRow(store.name, rows[0].pk, "saved twice: its owner has this token in another row")]
    # One row stood in the way of its batch: they go one by one.
    singly = [_move(store, write, [row]) for row in rows]
    return sum(moved for moved, _ in singly), stuck + [row for _, more in singly for row in more]


def _write_tokens(rows: list[RapidProToken]) -> int:
    """Reseal the tokens that are still as they were read; return how many were."""
    secrets = {row.pk: vault.open_token(row) for row in rows}
    with transaction.atomic(), canaries.sealing():
        written = [row.pk for row in rows if _swap(row, secrets[row.pk])]
        for saved in RapidProToken.objects.filter(pk__in=written):
            if not _reads(partial(vault.open_token, saved), secrets[saved.pk]):
                raise WrittenWrongError(stores.TOKENS.name, saved.pk)
    return len(written)


def _swap(row: RapidProToken, secret: Secret) -> bool:
    """Put the secret, sealed anew, into the row if nothing of what was read has changed."""
    unchanged = RapidProToken.objects.filter(
        pk=row.pk, owner_id=row.owner_id, server=row.server, sealed=row.sealed, key_id=row.key_id
    )
    fields = services.sealed_fields(secret, row_id=row.pk, owner_id=row.owner_id, server=row.server)
    return bool(unchanged.update(**fields))


def _reads(read: Callable[[], Any], wanted: Any) -> bool:
    try:
        return bool(read() == wanted)
    except LockedError:
        return False


def _write_factors(rows: list[Authenticator]) -> int:
    """Reseal the second factors as they are now; the row is held, as allauth holds it to mark a code as used."""
    with transaction.atomic(), canaries.sealing():
        held = list(Authenticator.objects.select_for_update().filter(pk__in=[row.pk for row in rows]).order_by("pk"))
        held = [row for row in held if stores.SECOND_FACTORS.lock_reason(row) is None]
        for row in held:
            Authenticator.objects.filter(pk=row.pk).update(data=stores.resealed(row.data))
        saved = Authenticator.objects.in_bulk([row.pk for row in held])
        for row in held:
            if not _reads(partial(stores.opened, saved[row.pk].data), stores.opened(row.data)):
                raise WrittenWrongError(stores.SECOND_FACTORS.name, row.pk)
    return len(held)
