"""The log as CSV: for a spreadsheet, and harmless in one."""

import csv
import io
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC

from django.db.models import QuerySet
from django.http import StreamingHttpResponse

from accounts.audit.models import AuditEntry

COLUMNS = (
    "number",
    "when",
    "action",
    "outcome",
    "actor_id",
    "actor_name",
    "owner_id",
    "owner_name",
    "token_id",
    "token_label",
    "address",
    "agent",
    "reference",
    "count",
    "details",
    "pruned_through",
    "key_id",
    "previous",
    "mac",
)
# What an owner gets: how the log is signed says nothing to them.
OWNER_COLUMNS = COLUMNS[:15]
# What a spreadsheet takes for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_ROWS_AT_ONCE = 500
# Without it a well-known spreadsheet reads UTF-8 as something else.
_BYTE_ORDER_MARK = "\ufeff"


def neutral(cell: str) -> str:
    """Return the cell so that no spreadsheet calculates it: a quote in front of what could be a formula."""
    return f"'{cell}" if cell.lstrip(" ").startswith(_FORMULA) else cell


def line(cells: list[str]) -> str:
    """Return one line of CSV, every cell quoted and neutral."""
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerow([neutral(cell) for cell in cells])
    return out.getvalue()


def _cell(entry: AuditEntry, column: str) -> str:
    if column == "when":
        return entry.when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if column == "details":
        return json.dumps(entry.details, ensure_ascii=False, sort_keys=True) if entry.details else ""
    value = getattr(entry, column)
    return "" if value is None else str(value)


def _full_line(entry: AuditEntry) -> str:
    return line([_cell(entry, column) for column in COLUMNS])


def _owner_line(entry: AuditEntry) -> str:
    hidden = set() if entry.shows_source else {"address", "agent"}
    return line(["" if column in hidden else _cell(entry, column) for column in OWNER_COLUMNS])


def lines(entries: QuerySet[AuditEntry]) -> Iterator[str]:
    """Yield the whole log with its signatures, for staff: a heading, then a line for each entry."""
    yield line(list(COLUMNS))
    for entry in entries.iterator(chunk_size=_ROWS_AT_ONCE):
        yield _full_line(entry)


async def _alines(entries: QuerySet[AuditEntry], *, full: bool) -> AsyncIterator[str]:
    yield _BYTE_ORDER_MARK + line(list(COLUMNS if full else OWNER_COLUMNS))
    write = _full_line if full else _owner_line
    async for entry in entries.aiterator(chunk_size=_ROWS_AT_ONCE):
        yield write(entry)


def csv_response(entries: QuerySet[AuditEntry], *, full: bool) -> StreamingHttpResponse:
    """Return the entries as a file, sent as they are read; `full` with other people's addresses and the signatures."""
    response = StreamingHttpResponse(_alines(entries, full=full), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = 'attachment; filename="audit-log.csv"'
    return response
