"""What every table of the staff pages has: an order that stands in the address, and pages cut by the database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import F, Model, QuerySet
from django.db.models.functions import Lower
from django.utils.functional import Promise

ROWS_A_PAGE = 50


@dataclass(frozen=True, slots=True)
class Column:
    """A column: what the address calls it, its words, what it sorts by ("" if by nothing), how it begins."""

    name: str
    title: Promise | str
    field: str = ""
    is_text: bool = False
    is_number: bool = False
    newest_first: bool = False


@dataclass(frozen=True, slots=True)
class Heading:
    """A column's heading: `order` is "ascending", "descending" or "", `following` the order that a click asks for."""

    title: Promise | str
    is_number: bool
    order: str
    following: str


@dataclass(frozen=True, slots=True)
class Order:
    """The order of a table, out of those that its columns allow."""

    columns: tuple[Column, ...]
    wanted: str

    @classmethod
    def of(cls, columns: tuple[Column, ...], data: Mapping[str, Any], default: str) -> "Order":
        """Return the order that the address asks for, or the usual one."""
        wanted = str(data.get("sort", ""))
        names = {column.name for column in columns if column.field}
        return cls(columns, wanted if wanted.removeprefix("-") in names else default)

    @property
    def headings(self) -> list[Heading]:
        """The headings of all columns."""
        return [self._heading(column) for column in self.columns]

    def _heading(self, column: Column) -> Heading:
        is_wanted = bool(column.field) and column.name == self.wanted.removeprefix("-")
        order = ("descending" if self.wanted.startswith("-") else "ascending") if is_wanted else ""
        first = f"-{column.name}" if column.newest_first else column.name
        other = column.name if column.newest_first else f"-{column.name}"
        following = (other if self.wanted == first else first) if column.field else ""
        return Heading(column.title, column.is_number, order, following)

    def apply[M: Model](self, rows: QuerySet[M]) -> QuerySet[M]:
        """Return the rows in this order, equal ones by their key; what is not known comes last."""
        column = next(column for column in self.columns if column.name == self.wanted.removeprefix("-"))
        by = Lower(column.field) if column.is_text else F(column.field)
        # Where nothing is unknown nobody says where that comes: an index is read backwards then, and not sorted.
        last = True if _may_be_null(rows, column.field) else None
        ordered = by.desc(nulls_last=last) if self.wanted.startswith("-") else by.asc(nulls_last=last)
        return rows.order_by(ordered, "pk")


def _may_be_null(rows: QuerySet[Any], name: str) -> bool:
    """Return whether a column may hold nothing; what is worked out, or of another table, may."""
    fields = {field.name: field for field in rows.model._meta.concrete_fields}
    return name not in fields or fields[name].null


def page_of[M: Model](rows: QuerySet[M], number: str | None, count: int | None = None) -> Page[M]:
    """Return a page of the rows, read; the nearest one for a number that is none. `count` saves asking for it."""
    paginator: Paginator[M] = Paginator(rows, ROWS_A_PAGE)
    if count is not None:
        paginator.count = count
    page = paginator.get_page(number)
    page.object_list = list(page.object_list)
    return page


def page_of_few(rows: Sequence[Any], number: str | None) -> Page[Any]:
    """Return a page of rows that are few by nature and in memory already, as servers are."""
    return Paginator(rows, ROWS_A_PAGE).get_page(number)
