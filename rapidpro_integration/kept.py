"""The list of flows of each token, kept for a day: decoded in this process, sealed in the shared cache.

A list is found by the token as it is saved now: another sealed text, owner or server is another key, so a list dies
with the token that it was read with. In the cache stand, under a digest, a stamp (which list is the newest) and, where
the cache is shared between processes, the list itself and its summary, sealed. Source: docs/adr/0011-kept-lists.md.
"""

import hashlib
import logging
import secrets
import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.cache import cache, caches
from django.core.cache.backends.locmem import LocMemCache
from django.db import transaction
from django.utils import timezone

from config.cache import FallbackRedisCache
from rapidpro_integration import blobs
from rapidpro_integration.client.types import Flow, Rows
from rapidpro_integration.client.types.base import StoppedBecause
from rapidpro_integration.summaries import Summary
from rapidpro_integration.vault import SealedRow

logger = logging.getLogger(__name__)

# Larger ones stay in the process that fetched them: 25,000 flows are about a tenth of this.
MAX_SEALED_BYTES = 8 * 1024 * 1024
_MAX_PLAIN_BYTES = 128 * 1024 * 1024
# Rows of all lists together that one process holds decoded; about a kilobyte each.
MAX_LOCAL_ROWS = 100_000
_OLDEST = datetime.min.replace(tzinfo=UTC)
_NO_RESULTS = msgspec.Raw(b"[]")


class _Body(msgspec.Struct, frozen=True):
    """A list as it is written."""

    rows: tuple[Flow, ...]
    unreadable_count: int
    stopped_because: StoppedBecause
    fetched_at: datetime
    cursor: str = ""


@dataclass(frozen=True)
class KeptFlows:
    """The flows of a workspace, newest first by creation, without their results, as they were at `fetched_at`.

    Older ones are missing if there is a `cursor`: there the server can be asked for the rest.
    """

    rows: tuple[Flow, ...]
    unreadable_count: int
    stopped_because: StoppedBecause
    fetched_at: datetime
    cursor: str = ""
    # What has been worked out of the rows, once for all who look at them.
    memo: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def is_whole(self) -> bool:
        """Whether all flows of the workspace are in it."""
        return not self.cursor and not self.stopped_because

    @property
    def is_fresh(self) -> bool:
        """Whether it is young enough to be shown without asking the server."""
        return timezone.now() - self.fetched_at < timedelta(seconds=settings.FLOWS_FRESH_S)

    @property
    def summary(self) -> Summary:
        """Its numbers, worked out once."""
        found: Summary | None = self.memo.get("summary")
        if found is None:
            found = self.memo["summary"] = Summary.of(self.rows, self.fetched_at, is_whole=self.is_whole)
        return found


def made_of(flows: Rows[Flow], cursor: str = "") -> KeptFlows:
    """Return a list to keep; `cursor` is where the rest of it begins."""
    # A row that moved between two pages came too early or too late.
    rows = sorted(light(flows), key=lambda flow: flow.created_on or _OLDEST, reverse=True)
    return KeptFlows(tuple(rows), flows.unreadable_count, flows.stopped_because, flows.fetched_at, cursor)


def light(flows: Iterable[Flow]) -> tuple[Flow, ...]:
    """Return the flows without their results, which the list does not show."""
    # A row's results are a view into the whole answer: with them the answer would stay in memory too.
    return tuple(msgspec.structs.replace(flow, results_json=_NO_RESULTS) for flow in flows)


class _Local:
    """The decoded lists of this process by key, the last used ones, each with its stamp."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lists: OrderedDict[str, tuple[str, KeptFlows]] = OrderedDict()

    def get(self, key: str, stamp: str) -> KeptFlows | None:
        with self._lock:
            found_stamp, found = self._lists.get(key, ("", None))
            if found_stamp != stamp:
                self._lists.pop(key, None)
                return None
            self._lists.move_to_end(key)
            return found

    def put(self, key: str, stamp: str, kept: KeptFlows) -> None:
        with self._lock:
            self._lists[key] = (stamp, kept)
            self._lists.move_to_end(key)
            while len(self._lists) > 1 and sum(len(each.rows) for _, each in self._lists.values()) > MAX_LOCAL_ROWS:
                self._lists.popitem(last=False)

    def drop(self, key: str) -> None:
        with self._lock:
            self._lists.pop(key, None)


_local = _Local()


def key_of(row: SealedRow) -> str:
    """Return the name of the list in the cache: a digest of what the token is now, which tells nothing of it."""
    parts = (str(row.pk), str(row.owner_id), row.server, row.sealed)
    joined = b"".join(len(part.encode()).to_bytes(4) + part.encode() for part in parts)
    return f"flows:{hashlib.sha256(joined).hexdigest()}"


def _is_shared() -> bool:
    backend = caches["default"]
    return backend.is_shared() if isinstance(backend, FallbackRedisCache) else not isinstance(backend, LocMemCache)


def get(row: SealedRow) -> KeptFlows | None:
    """Return the newest list that is kept for the token, however old, or None."""
    key = key_of(row)
    stamp = cache.get(f"{key}:stamp")
    if not isinstance(stamp, str):
        _local.drop(key)
        return None
    if found := _local.get(key, stamp):
        return found
    blob = cache.get(f"{key}:list") if _is_shared() else None
    plain = blobs.opened(blob, row, stamp) if isinstance(blob, bytes) else None
    if plain is None:
        return None
    body = _body_of(plain)
    if body is None:
        return None
    kept = KeptFlows(light(body.rows), body.unreadable_count, body.stopped_because, body.fetched_at, body.cursor)
    _local.put(key, stamp, kept)
    return kept


def summaries(rows: Iterable[SealedRow]) -> dict[UUID, Summary]:
    """Return the numbers of the newest list of each of these tokens that has one, by the row's id.

    Asks the cache once for all of them, and decodes no list that has a summary beside it.
    """
    keys = {row.pk: (row, key_of(row)) for row in rows}
    values = cache.get_many([f"{key}:{part}" for _, key in keys.values() for part in ("stamp", "summary")])
    found = {}
    for pk, (row, key) in keys.items():
        stamp = values.get(f"{key}:stamp")
        if isinstance(stamp, str) and (summary := _summary(row, key, stamp, values.get(f"{key}:summary"))):
            found[pk] = summary
    return found


def _summary(row: SealedRow, key: str, stamp: str, blob: object) -> Summary | None:
    if here := _local.get(key, stamp):
        return here.summary
    plain = blobs.opened(blob, row, f"{stamp} summary") if isinstance(blob, bytes) else None
    if plain is not None:
        try:
            return msgspec.json.decode(plain, type=Summary)
        except msgspec.MsgspecError as error:
            logger.info("A summary of another version is not read: %s", type(error).__name__)
    kept = get(row)  # kept by a version of this program that wrote no such summary
    return kept.summary if kept else None


def _body_of(plain: bytes) -> _Body | None:
    """Return the list, or None for one that another version of this program has written in another form."""
    try:
        return msgspec.json.decode(zlib.decompressobj().decompress(plain, _MAX_PLAIN_BYTES), type=_Body)
    except (zlib.error, msgspec.MsgspecError, ValueError) as error:
        logger.info("A kept list of another version is not read: %s", type(error).__name__)
        return None


def put(row: SealedRow, kept: KeptFlows) -> None:
    """Keep the list in the place of the token's last one."""
    key, stamp = key_of(row), secrets.token_hex(8)
    if _is_shared():
        body = _Body(kept.rows, kept.unreadable_count, kept.stopped_because, kept.fetched_at, kept.cursor)
        blob = blobs.seal(zlib.compress(msgspec.json.encode(body), 1), row, stamp)
        if len(blob) <= MAX_SEALED_BYTES:
            cache.set(f"{key}:list", blob, settings.FLOWS_KEPT_S)
        summary = blobs.seal(msgspec.json.encode(kept.summary), row, f"{stamp} summary")
        cache.set(f"{key}:summary", summary, settings.FLOWS_KEPT_S)
    _local.put(key, stamp, kept)
    cache.set(f"{key}:stamp", stamp, settings.FLOWS_KEPT_S)


def _forget(keys: list[str]) -> None:
    for key in keys:
        _local.drop(key)
        names = ("stamp", "list", "summary", "problem", "progress", "looked", "stopped")
        cache.delete_many([f"{key}:{name}" for name in names])


def drop(row: SealedRow) -> None:
    """Forget the token's list, here and in the shared cache; other processes notice at their next look."""
    _forget([key_of(row)])


def drop_on_commit(*rows: SealedRow) -> None:
    """Forget the lists of these tokens, as they are now, as soon as the change under way is committed."""
    keys = [key_of(row) for row in rows]  # now: a deleted row has no primary key afterwards
    transaction.on_commit(lambda: _forget(keys))


aget, aput, adrop = sync_to_async(get), sync_to_async(put), sync_to_async(drop)
