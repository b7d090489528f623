"""How PostgreSQL would answer a statement: which tables it would read from one end to the other."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

_EXPLAINED = ("SELECT", "UPDATE", "DELETE")
# A node with one of these reads the part of an index that fits; without, all of it.
_CONDITIONS = ("Index Cond", "Recheck Cond")
_READS = frozenset({"Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Heap Scan", "Bitmap Index Scan"})
# These need all rows of what is below them before they give the first one.
_WHOLE = frozenset({"Sort", "Aggregate", "Hash", "Materialize", "SetOp", "WindowAgg"})


@dataclass(frozen=True, slots=True)
class WholeRead:
    """A table that is read from one end to the other, and by what; `filter` is what it throws rows away by."""

    table: str
    node: str
    filter: str


def plan_of(cursor: Any, statement: str) -> dict[str, Any]:
    """Return the plan that the planner chooses for a statement with its values in it."""
    cursor.execute(f"EXPLAIN (FORMAT JSON) {statement.replace('%', '%%')}")
    plan = cursor.fetchone()[0]
    found: dict[str, Any] = (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]
    return found


def whole_reads(node: dict[str, Any], *, is_limited: bool = False) -> Iterator[WholeRead]:
    """Yield each table that the plan reads whole.

    An index that is read in its order until a LIMIT has enough rows is not read whole; a sequential scan is one even
    there, since nobody knows how far it has to go.
    """
    kind = node["Node Type"]
    is_limited = (is_limited or kind == "Limit") and kind not in _WHOLE
    if kind in _READS and "Relation Name" in node and not any(condition in node for condition in _CONDITIONS):
        is_by_index = kind in {"Index Scan", "Index Only Scan"}
        if not (is_by_index and is_limited):
            yield WholeRead(node["Relation Name"], kind, node.get("Filter", ""))
    for child in node.get("Plans", []):
        yield from whole_reads(child, is_limited=is_limited)


def explained(cursor: Any, statements: Sequence[str]) -> Iterator[tuple[str, list[WholeRead]]]:
    """Yield each statement that reads or changes rows, and what it reads whole."""
    for statement in dict.fromkeys(statements):
        if statement.startswith(_EXPLAINED):
            yield statement, list(whole_reads(plan_of(cursor, statement)))
