"""What msgspec accepts and we do not: times that are not of UTC, free JSON that is too deep, numbers without end.

Whole columns are looked at, a field of all rows at a time: that is several times faster than row by row. Fields that
could not hold such a thing are not looked at.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain
from operator import attrgetter, methodcaller
from typing import Any

import msgspec.inspect as inspect
from msgspec import Struct

from rapidpro_integration.client.texts import are_clean_json

type Check = Callable[[list[Any]], bool]

_values_of = methodcaller("values")


@lru_cache
def check_of_rows(kind: type[Struct]) -> Check:
    """Return what says whether all rows of that kind in a list are sound."""
    return _check_of(inspect.type_info(kind)) or (lambda rows: True)


def _check_of(info: inspect.Type) -> Check | None:
    match info:
        case inspect.AnyType():
            return are_clean_json
        case inspect.DateTimeType():
            return _are_in_utc
        case inspect.StructType():
            return _struct_check(info)
        case inspect.VarTupleType(item_type=item):
            return _inside(_check_of(item), lambda values: values)
        case inspect.DictType(value_type=item):
            return _inside(_check_of(item), lambda values: map(_values_of, values))
        case inspect.UnionType(types=types):
            # Our unions that hold anything to look at are of one type and None.
            found = [check for one in types if (check := _check_of(one)) is not None]
            return _unless_none(found[0]) if found else None
    return None


def _are_in_utc(moments: list[datetime]) -> bool:
    """Say whether all are times of UTC that every zone can show."""
    return {moment.tzinfo for moment in moments} == {UTC} and min(moments).year > 1 and max(moments).year < 9999


def _struct_check(info: inspect.StructType) -> Check | None:
    checks = [(attrgetter(field.name), check) for field in info.fields if (check := _check_of(field.type)) is not None]
    return (lambda values: all(check(list(map(read, values))) for read, check in checks)) if checks else None


def _inside(check: Check | None, items: Callable[[list[Any]], Iterable[Iterable[Any]]]) -> Check | None:
    """Return the check of what many tuples or dicts hold together."""
    if check is None:
        return None

    def look(values: list[Any]) -> bool:
        held = list(chain.from_iterable(items(values)))
        return not held or check(held)

    return look


def _unless_none(check: Check) -> Check:
    def look(values: list[Any]) -> bool:
        given = values if None not in values else [value for value in values if value is not None]
        return not given or check(given)

    return look
