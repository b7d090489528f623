"""From one description of a list to its three methods: whole in a coroutine, whole in a plain call, page by page."""

from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, tzinfo
from functools import wraps
from operator import attrgetter
from typing import Any, Concatenate
from uuid import UUID

from asgiref.sync import async_to_sync
from msgspec import Struct

from rapidpro_integration.client import dates, pools
from rapidpro_integration.client.api import Connection, RapidProAPI, given
from rapidpro_integration.client.budgets import Budget
from rapidpro_integration.client.dates import DateLike
from rapidpro_integration.client.listing import aiter_pages
from rapidpro_integration.client.resources import Resource
from rapidpro_integration.client.types import Page, Rows
from rapidpro_integration.client.windows import aget_split

MAX_CONCURRENCY = 50


@dataclass(frozen=True, slots=True)
class Query[T: Struct]:
    """A list that is asked for: where, with which parameters, in which window (after, before), how many at once."""

    resource: Resource[T]
    params: dict[str, str | list[str]] = field(default_factory=dict)
    window: tuple[datetime | None, datetime | None] = (None, None)
    concurrency: int = 1
    reverse: bool = False

    def whole_params(self) -> dict[str, str | list[str]]:
        """Return all parameters, for page after page."""
        after, before = self.window
        bounds = {"after": dates.as_sent(after), "before": dates.as_sent(before)}
        return given({**self.params, **bounds, "reverse": "true" if self.reverse else ""})


class Reader:
    """What the reading methods stand on: an API with a token, a zone for naive dates, a deadline, a cap on pages."""

    def __init__(self, api: RapidProAPI, timezone: tzinfo, deadline_s: float, max_pages: int) -> None:
        self._api, self._timezone = api, timezone
        self._deadline_s, self._max_pages = deadline_s, max_pages

    def _query[T: Struct](
        self,
        resource: Resource[T],
        params: dict[str, str | list[str]] | None = None,
        before: DateLike = "",
        after: DateLike = "",
        *,
        concurrency: int = 1,
        reverse: bool = False,
    ) -> Query[T]:
        """Return the query. Raises ValueError for a malformed date or a window that ends before it begins."""
        if not 1 <= concurrency <= MAX_CONCURRENCY:
            raise ValueError(f"concurrency must be from 1 to {MAX_CONCURRENCY}.")
        last, first = dates.moments(before, after, self._timezone)
        return Query(resource, given(params or {}), (first, last), concurrency, reverse)

    def _connect(self) -> Connection:
        return self._api.connect(Budget(self._deadline_s))

    async def _joined[T](self, key: tuple[object, ...], start: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return what `start` comes to, asked once for all who ask the same of the same token now."""
        state = await pools.here()
        api = self._api
        whose = (
            api.server,
            api.private,
            api.tenant,
            api.credential.mark(),
            api.limits,
            self._deadline_s,
            self._max_pages,
        )
        return await state.flights.join((*whose, *key), start)

    async def _whole[T: Struct](self, query: Query[T]) -> Rows[T]:
        async def fetch() -> Rows[T]:
            connection = self._connect()
            if query.concurrency > 1:
                rows = await aget_split(
                    connection, query.resource, query.params, query.window, query.concurrency, self._max_pages
                )
            else:
                rows = Rows()
                async for page in aiter_pages(connection, query.resource, query.whole_params(), self._max_pages):
                    rows.take(page)
            # Windows come as they come, and a row that moved between two pages comes too early.
            if query.resource.order:
                rows.sort(key=_place(query.resource.order), reverse=not query.reverse)
            return rows

        shared = await self._joined((query.resource.name, repr(query)), fetch)
        return shared.copy()

    def _pages[T: Struct](self, query: Query[T]) -> AsyncGenerator[Page[T]]:
        if query.concurrency > 1:
            raise ValueError("Pages come one after the other: concurrency is for whole lists.")
        return aiter_pages(self._connect(), query.resource, query.whole_params(), self._max_pages)


def _place(order: str) -> Callable[[Any], datetime | date]:
    read, oldest = attrgetter(order), date.min if order == "start_date" else datetime.min.replace(tzinfo=UTC)
    return lambda row: read(row) or oldest


def whole[S: Reader, **P, T: Struct](
    ask: Callable[Concatenate[S, P], Query[T]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, Rows[T]]]:
    """Return the coroutine method that gives all rows of a list."""

    @wraps(ask)
    async def method(self: S, /, *args: P.args, **kwargs: P.kwargs) -> Rows[T]:
        return await self._whole(ask(self, *args, **kwargs))

    return method


def pages[S: Reader, **P, T: Struct](
    ask: Callable[Concatenate[S, P], Query[T]],
) -> Callable[Concatenate[S, P], AsyncGenerator[Page[T]]]:
    """Return the method that iterates over the pages of a list as they come.

    Time that the caller spends between two pages does not count for the deadline. A loop that is left early should be
    inside `contextlib.aclosing`. Raises ValueError at once, AbstractRequestException while iterating.
    """

    @wraps(ask)
    def method(self: S, /, *args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[Page[T]]:
        return self._pages(ask(self, *args, **kwargs))

    method.__doc__ = (ask.__doc__ or "").replace("Return all", "Iterate over the pages of", 1)
    return method


def plain[S, **P, R](
    coroutine_method: Callable[Concatenate[S, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[S, P], R]:
    """Return the plain method that gives what a coroutine method gives, for scripts, the shell and sync code."""

    @wraps(coroutine_method)
    def method(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return async_to_sync(coroutine_method)(self, *args, **kwargs)

    return method


# --- Parameters ---------------------------------------------------------------------------------


def uuid_param(value: str | UUID) -> str:
    """Return a uuid as it is sent, "" where none is given. Raises ValueError."""
    return "" if value == "" else str(dates.require_uuid(value))


def uuids_param(values: Sequence[str | UUID]) -> list[str]:
    """Return uuids as they are sent. Raises ValueError, for an empty one too."""
    if isinstance(values, str):
        raise TypeError("Give a list of uuids, not one.")
    return [str(dates.require_uuid(value)) for value in values]


def flag_param(value: bool | None) -> str:
    """Return a yes or no as it is sent, "" where neither is given."""
    return "" if value is None else str(value).lower()


def id_param(value: int | None) -> str:
    """Return a number as it is sent, "" where none is given. Raises ValueError for a negative one."""
    if value is None:
        return ""
    if value < 0:
        raise ValueError("An id is not negative.")
    return str(value)


def only_one_of(**values: object) -> None:
    """Raise ValueError if several are given: a server refuses that."""
    given_names = [name for name, value in values.items() if value not in ("", None, False)]
    if len(given_names) > 1:
        raise ValueError(f"Give only one of {', '.join(given_names)}.")
