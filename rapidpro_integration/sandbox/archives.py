"""Archives of old messages and runs: one file a month, and one a day for the latest month that is old enough."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache

from rapidpro_integration.sandbox.data import load
from rapidpro_integration.sandbox.model import NOW, Json, Row, newest_first
from rapidpro_integration.sandbox.paging import PAGE_SIZE, with_params
from rapidpro_integration.sandbox.params import Params
from rapidpro_integration.sandbox.people import SIZES, dice_for

#: RapidPro archives what is older than this.
_KEPT_DAYS = 90
_BYTES_A_RECORD = 97


@cache
def archives(slug: str) -> Sequence[Row]:
    """Return the archives since the workspace's first flow, newest first."""
    if slug not in SIZES:
        return ()
    first = min(row.created_on for row in load()[slug].tables["flows"])
    old = NOW - timedelta(days=_KEPT_DAYS)
    month = datetime(first.year, first.month, 1, tzinfo=UTC)
    starts: list[tuple[str, datetime]] = []
    while (following := (month + timedelta(days=31)).replace(day=1)) <= old:
        starts.append(("monthly", month))
        month = following
    starts += [("daily", month + timedelta(days=day)) for day in range((old - month).days)]
    dice = dice_for(slug, "archives")
    rows: list[Row] = []
    for period, start in starts:
        for type_ in ("message", "run"):
            records = dice.randint(200, 2000) * (30 if period == "monthly" else 1)
            rows.append(Row(len(rows) + 1, start, start, _archive(slug, type_, period, start, records)))
    return newest_first(rows)


def _archive(slug: str, type_: str, period: str, start: datetime, records: int) -> Json:
    name = f"{type_}_{period[0].upper()}{start:%Y%m%d}"
    digest = hashlib.md5(f"{slug} {name}".encode(), usedforsecurity=False).hexdigest()
    # As in life the address carries its own permission, so whoever logs it gives the archive away.
    signed = f"response-content-type=application%2Foctet&Signature={digest[:20]}%3D&Expires=1795200000"
    return {
        "type": type_,
        "start_date": f"{start:%Y-%m-%d}",
        "period": period,
        "record_count": records,
        "size": records * _BYTES_A_RECORD,
        "hash": digest,
        "download_url": f"https://archives.sandbox.example/{slug}/{name}_{digest}.jsonl.gz?{signed}",
        "archive_type": type_,
    }


def offset_page(rows: Sequence[Row], params: Params, url: str) -> Json:
    """Return one page by limit and offset, with the count of all rows; what is no number is ignored."""
    limit = _number(params.last("limit")) or PAGE_SIZE
    offset = _number(params.last("offset"))
    before = offset - limit
    following = with_params(url, limit=limit, offset=offset + limit)
    previous = with_params(url, limit=limit, offset=before if before > 0 else None)
    return {
        "count": len(rows),
        "next": following if offset + limit < len(rows) else None,
        "previous": previous if offset else None,
        "results": [row.body for row in rows[offset : offset + limit]],
    }


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
