"""What msgspec accepts and we do not, below the top of a row: times that are not of UTC, JSON too deep or too large.

Only the fields that could hold such a thing are looked at, so that most kinds of rows cost nothing here.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec.inspect as inspect

from rapidpro_integration.client.texts import is_clean_json

type Check = Callable[[Any], bool]


def check_of(info: inspect.Type) -> Check | None:
    """Return what says whether a value of that type is sound, None where every one is."""
    match info:
        case inspect.AnyType():
            return is_clean_json
        case inspect.DateTimeType():
            return is_sound_moment
        case inspect.StructType():
            return _struct_check(info)
        case inspect.VarTupleType(item_type=item):
            return _each(check_of(item))
        case inspect.DictType(value_type=item):
            return _each_value(check_of(item))
        case inspect.UnionType(types=types):
            # Our unions that hold anything to look at are of one type and None.
            found = [check for one in types if (check := check_of(one)) is not None]
            return _unless_none(found[0]) if found else None
    return None


def is_sound_moment(moment: datetime) -> bool:
    """Say whether this is a time of UTC that every zone can show."""
    return moment.tzinfo is UTC and 1 < moment.year < 9999


def _struct_check(info: inspect.StructType) -> Check | None:
    checks = [(field.name, check) for field in info.fields if (check := check_of(field.type)) is not None]
    return (lambda value: all(check(getattr(value, name)) for name, check in checks)) if checks else None


def _each(check: Check | None) -> Check | None:
    return None if check is None else lambda values: all(map(check, values))


def _each_value(check: Check | None) -> Check | None:
    return None if check is None else lambda values: all(map(check, values.values()))


def _unless_none(check: Check) -> Check:
    return lambda value: value is None or check(value)
