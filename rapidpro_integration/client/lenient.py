"""Rows that are not as they should be: each field that can be used is, any other is its default.

Slow, and only for what the strict decoder refused; both read what is well formed alike.
"""

import math
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

import msgspec
import msgspec.inspect as inspect
from msgspec import Raw, Struct

from rapidpro_integration.client.dates import parse_uuid
from rapidpro_integration.client.texts import clean_json, clean_text, loads

#: What cannot be used.
BAD: Any = object()

type Reader = Callable[[object], Any]


def struct_of[T: Struct](kind: type[T], value: object) -> T | None:
    """Return `value` as a struct of that kind, or None without a field that the kind requires."""
    struct = _reader_of(kind)(value)
    return None if struct is BAD else struct


def patient_rows[T: Struct](kind: type[T], body: bytes) -> tuple[T, ...]:
    """Return the structs of that kind in a JSON list; what cannot be used is left out."""
    payload, _ = loads(body)
    found = (struct_of(kind, row) for row in payload) if isinstance(payload, list) else ()
    return tuple(row for row in found if row is not None)


@lru_cache
def _reader_of(kind: type) -> Reader:
    return _reader(inspect.type_info(kind))


def _reader(info: inspect.Type) -> Reader:
    match info:
        case inspect.StructType():
            return _struct_reader(info)
        case inspect.UnionType(types=types):
            readers = [_reader(one) for one in types]
            return lambda value: next((read for reader in readers if (read := reader(value)) is not BAD), BAD)
        case inspect.VarTupleType(item_type=item):
            return _tuple_reader(_reader(item))
        case inspect.DictType(value_type=item):
            return _dict_reader(_reader(item))
        case inspect.IntType(ge=ge, le=le):
            return _int_reader(ge or 0, le or 0)
    return _SCALARS[type(info)]


def _struct_reader(info: inspect.StructType) -> Reader:
    fields = [(field.name, field.encode_name, _reader(field.type), field) for field in info.fields]

    def read(value: object) -> Any:
        if not isinstance(value, dict):
            return BAD
        found: dict[str, Any] = {}
        for name, encoded, reader, field in fields:
            if encoded in value and (item := reader(value[encoded])) is not BAD:
                found[name] = item
            elif field.required:
                return BAD
        try:
            return info.cls(**found)
        except ValueError:
            # A kind may know of more that makes a row unusable than what its types say.
            return BAD

    return read


def _tuple_reader(reader: Reader) -> Reader:
    def read(value: object) -> Any:
        if not isinstance(value, list):
            return BAD
        return tuple(item for item in map(reader, value) if item is not BAD)

    return read


def _dict_reader(reader: Reader) -> Reader:
    def read(value: object) -> Any:
        if not isinstance(value, dict):
            return BAD
        return {clean_text(key): item for key, raw in value.items() if (item := reader(raw)) is not BAD}

    return read


def _int_reader(least: float, most: float) -> Reader:
    def read(value: object) -> Any:
        return value if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most else BAD

    return read


def _text(value: object) -> Any:
    return clean_text(value) if isinstance(value, str) else BAD


def _float(value: object) -> Any:
    return value if isinstance(value, (int, float)) and math.isfinite(value) else BAD


def _uuid(value: object) -> Any:
    return parse_uuid(value) or BAD


def _moment(value: object) -> Any:
    """Return the moment in UTC, or BAD for no time or one so near the calendar's ends that some zone has none."""
    if not isinstance(value, str):
        return BAD
    try:
        parsed = _as_strictly(value) or datetime.fromisoformat(value)
        parsed = parsed.astimezone(UTC) if parsed.utcoffset() is not None else parsed.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return BAD
    return parsed if 1 < parsed.year < 9999 else BAD


def _as_strictly(text: str) -> datetime | None:
    """Return what the strict decoder makes of a time: it rounds nanoseconds, where Python cuts them off."""
    try:
        return msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        return None


def _day(value: object) -> Any:
    try:
        return date.fromisoformat(value) if isinstance(value, str) else BAD
    except ValueError:
        return BAD


_SCALARS: dict[type, Reader] = {
    inspect.AnyType: clean_json,
    inspect.BoolType: lambda value: value if isinstance(value, bool) else BAD,
    inspect.DateTimeType: _moment,
    inspect.DateType: _day,
    inspect.FloatType: _float,
    inspect.RawType: lambda value: Raw(msgspec.json.encode(clean_json(value))),
    inspect.NoneType: lambda value: None if value is None else BAD,
    inspect.StrType: _text,
    inspect.UUIDType: _uuid,
}
