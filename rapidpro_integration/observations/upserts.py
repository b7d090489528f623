"""Add to rows that may or may not be there, in one statement for many, from several processes at once."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection, models

_ROWS_AT_ONCE = 200


def add_to_rows(
    model: type[models.Model],
    keys: Sequence[str],
    added: Sequence[str],
    latest: Sequence[str],
    rows: Iterable[dict[str, Any]],
) -> None:
    """Insert rows, or add their `added` columns to the row with the same `keys` and keep the later of `latest`.

    `keys` are the columns of a unique constraint. Rows go in the order of their keys, so that two processes wait for
    each other instead of locking each other out. Raises DatabaseError.
    """
    quote, table = connection.ops.quote_name, connection.ops.quote_name(model._meta.db_table)
    by_name = {field.name: field for field in model._meta.concrete_fields}
    fields = [by_name[name] for name in (*keys, *added, *latest)]
    names = [quote(str(field.column)) for field in fields]
    changes = [f"{quote(name)} = {table}.{quote(name)} + EXCLUDED.{quote(name)}" for name in added]
    changes += [
        f"{quote(name)} = CASE WHEN {table}.{quote(name)} IS NULL OR EXCLUDED.{quote(name)} > {table}.{quote(name)} "
        f"THEN EXCLUDED.{quote(name)} ELSE {table}.{quote(name)} END"
        for name in latest
    ]
    one = f"({', '.join(['%s'] * len(fields))})"
    values = sorted(
        ([field.get_db_prep_save(row[field.name], connection) for field in fields] for row in rows),
        key=lambda row: [str(value) for value in row[: len(keys)]],
    )
    with connection.cursor() as cursor:
        for start in range(0, len(values), _ROWS_AT_ONCE):
            some = values[start : start + _ROWS_AT_ONCE]
            statement = (
                f"INSERT INTO {table} ({', '.join(names)}) VALUES {', '.join([one] * len(some))} "  # noqa: S608  # names of our own
                f"ON CONFLICT ({', '.join(map(quote, keys))}) DO UPDATE SET {', '.join(changes)}"
            )
            cursor.execute(statement, [value for row in some for value in row])
