"""Tables of the staff pages as CSV: sent as the rows are read, and harmless in a spreadsheet."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from asgiref.sync import sync_to_async
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse

from accounts.audit.actions import Action
from accounts.audit.exporting import line
from accounts.audit.services import arecord

_ROWS_AT_ONCE = 500
# Without it a well-known spreadsheet reads UTF-8 as something else.
_BYTE_ORDER_MARK = "\ufeff"

# Column: how to read it. These names are for programs: they are in English in every language.
type Columns = Mapping[str, Callable[[Any], Any]]


def cell(value: Any) -> str:
    """Return a value as text: times in UTC, nothing for None."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


async def _alines(rows: QuerySet[Any] | Iterable[Any], columns: Columns) -> AsyncIterator[str]:
    yield _BYTE_ORDER_MARK + line(list(columns))
    chunks = rows.iterator(chunk_size=_ROWS_AT_ONCE) if isinstance(rows, QuerySet) else iter(rows)

    def some() -> str:
        # In a thread: the database is asked here. A piece is many lines, as each is a hop between threads.
        return "".join(line([cell(read(row)) for read in columns.values()]) for row in islice(chunks, _ROWS_AT_ONCE))

    while text := await sync_to_async(some)():
        yield text


async def acsv_response(
    request: HttpRequest, name: str, rows: QuerySet[Any] | Iterable[Any], columns: Columns
) -> StreamingHttpResponse:
    """Return the rows as the file `name`.csv, and write down that staff took them."""
    filters = sorted(key for key in request.GET if request.GET[key])
    await arecord(Action.FACTS_VIEWED, details={"what": name, "page": "csv", "filters": filters})
    response = StreamingHttpResponse(_alines(rows, columns), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return response
