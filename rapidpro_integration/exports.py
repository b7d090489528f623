"""Flows as a file: CSV and XLSX for spreadsheets, JSON for programs. All harmless where they are opened."""

import io
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from itertools import batched
from typing import Any

import msgspec
import xlsxwriter
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.http import content_disposition_header
from django.utils.text import get_valid_filename

from accounts.audit.exporting import line
from rapidpro_integration.client.types import Flow
from rapidpro_integration.kept import KeptFlows
from rapidpro_integration.models import RapidProToken

_ROWS_AT_ONCE = 500
# Without it a well-known spreadsheet reads UTF-8 as something else.
_BYTE_ORDER_MARK = "\ufeff"
# What a cell of a spreadsheet can hold.
_MAX_CELL = 32_767
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

# Column: how to read it. These names are for programs: they are in English in every language.
COLUMNS: dict[str, Callable[[Flow], Any]] = {
    "uuid": lambda flow: str(flow.uuid),
    "name": lambda flow: flow.name,
    "type": lambda flow: flow.type or "",
    "archived": lambda flow: flow.archived,
    "labels": lambda flow: [label.name for label in flow.labels],
    "runs": lambda flow: flow.runs.total,
    "active": lambda flow: flow.runs.active,
    "waiting": lambda flow: flow.runs.waiting,
    "completed": lambda flow: flow.runs.completed,
    "expired": lambda flow: flow.runs.expired,
    "interrupted": lambda flow: flow.runs.interrupted,
    "failed": lambda flow: flow.runs.failed,
    "completion_rate": lambda flow: None if flow.runs.completion_rate is None else round(flow.runs.completion_rate, 4),
    "expires_minutes": lambda flow: flow.expires_minutes,
    "created_on": lambda flow: flow.created_on,
    "modified_on": lambda flow: flow.modified_on,
}


def _row(flow: Flow, zone: tzinfo) -> dict[str, Any]:
    """Return a row; its times are ISO 8601 in that zone, with the distance to UTC."""
    row = {name: read(flow) for name, read in COLUMNS.items()}
    return {name: _moment(value, zone) if isinstance(value, datetime) else value for name, value in row.items()}


def _moment(moment: datetime, zone: tzinfo) -> str:
    return moment.astimezone(zone).isoformat(timespec="seconds")


def _cell(value: Any) -> str | int | float:
    """Return a value as a spreadsheet takes it: a number, or a text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(value)
    return "" if value is None else value


def _csv(flows: Sequence[Flow], zone: tzinfo) -> Iterator[str]:
    yield _BYTE_ORDER_MARK + line(list(COLUMNS))
    for some in batched(flows, _ROWS_AT_ONCE):
        yield "".join(line([str(_cell(value)) for value in _row(flow, zone).values()]) for flow in some)


def _json(flows: Sequence[Flow], zone: tzinfo) -> Iterator[bytes]:
    yield b"["
    before = b"\n"
    for some in batched(flows, _ROWS_AT_ONCE):
        yield before + b",\n".join(msgspec.json.encode(_row(flow, zone)) for flow in some)
        before = b",\n"
    yield b"\n]\n"


def _xlsx(flows: Sequence[Flow], zone: tzinfo) -> bytes:
    out = io.BytesIO()
    options = {
        "in_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "nan_inf_to_errors": True,
    }
    with xlsxwriter.Workbook(out, options) as book:
        sheet = book.add_worksheet("Flows")
        bold = book.add_format({"bold": True})
        sheet.write_row(0, 0, list(COLUMNS), bold)
        sheet.freeze_panes(1, 2)
        sheet.set_column(0, 0, 38)
        sheet.set_column(1, 1, 44)
        sheet.set_column(len(COLUMNS) - 2, len(COLUMNS) - 1, 26)
        for number, flow in enumerate(flows, 1):
            for column, value in enumerate(_row(flow, zone).values()):
                cell = _cell(value)
                if isinstance(cell, str):
                    sheet.write_string(number, column, cell[:_MAX_CELL])
                else:
                    sheet.write_number(number, column, cell)
        if flows:
            sheet.autofilter(0, 0, len(flows), len(COLUMNS) - 1)
    return out.getvalue()


async def _astream[T: (str, bytes)](parts: Iterator[T]) -> AsyncIterator[T]:
    for part in parts:
        yield part


@dataclass(frozen=True, slots=True)
class _Format:
    content_type: str
    write: Callable[[Sequence[Flow], tzinfo], Any]
    is_stream: bool = True


FORMATS: dict[str, _Format] = {
    "csv": _Format("text/csv; charset=utf-8", _csv),
    "json": _Format("application/json", _json),
    "xlsx": _Format(_XLSX, _xlsx, is_stream=False),
}


def file_name(token: RapidProToken, kept: KeptFlows, kind: str, zone: tzinfo) -> str:
    """Return `flows-<workspace>-<when it was so>-<zone>.<kind>`, of letters that every system takes.

    It says `incomplete` where flows of the workspace are missing in the list.
    """
    local = kept.fetched_at.astimezone(zone)
    workspace = _plain(token.workspace_name) or _plain(token.label) or "workspace"
    note = "" if kept.is_whole else "-incomplete"
    return f"flows-{workspace}{note}-{local:%Y-%m-%d-%H%M}-{_plain(str(zone)) or 'UTC'}.{kind}"


def _plain(text: str) -> str:
    safe = re.sub(r"[^\w.+-]+", "-", text).strip("-._")[:60]
    return get_valid_filename(safe) if safe else ""


def file_response(
    token: RapidProToken, kept: KeptFlows, flows: Sequence[Flow], kind: str, zone: tzinfo
) -> HttpResponseBase:
    """Return the flows found in the list as a file, its times in `zone`; CSV and JSON are sent as they are written.

    Call it in a thread: an XLSX of 25,000 flows takes seconds.
    """
    format_ = FORMATS[kind]
    parts = format_.write(flows, zone)
    response: HttpResponseBase
    if format_.is_stream:
        response = StreamingHttpResponse(_astream(parts), content_type=format_.content_type)
    else:
        response = HttpResponse(parts, content_type=format_.content_type)
    disposition = content_disposition_header(as_attachment=True, filename=file_name(token, kept, kind, zone))
    response.headers["Content-Disposition"] = disposition or "attachment"
    return response
