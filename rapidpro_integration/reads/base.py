"""From one description of a list to its three methods: whole in a coroutine, whole in a plain call, page by page."""

import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, tzinfo
from functools import wraps
from operator import attrgetter, gt, lt
from typing import Any, Concatenate, get_args
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
from rapidpro_integration.client.windows import aadd_moved, aget_split

MAX_CONCURRENCY = 50


@dataclass(frozen=True, slots=True)
class Query[T: Struct]:
    """A list that is asked for: where, with which parameters, in which window (after, before), how many at once."""

    resource: Resource[T]
    params: dict[str, str | list[str]] = field(default_factory=dict)
    window: tuple[datetime | None, datetime | None] = (None, None)
    concurrency: int = 1
    reverse: bool = False

    @property
    def leaves_movers_behind(self) -> bool:
        """Whether a row that is modified while the list is read moves to where it has been read already."""
        return self.resource.rows_move and self.resource.order == self.resource.window and not self.reverse

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

    def __init_subclass__(cls) -> None:
        """Give each method the name that it is called by: made from a description, it had the description's."""
        for name, method in vars(cls).items():
            if name.startswith(("get_", "aget_", "aiter_")) and inspect.isfunction(method):
                method.__name__, method.__qualname__ = name, f"{cls.__qualname__}.{name}"

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
        """Return the query.

        Raises ValueError for a malformed date, a window that ends before it begins, or a filter that is no text.
        """
        if not 1 <= concurrency <= MAX_CONCURRENCY:
            raise ValueError(f"concurrency must be from 1 to {MAX_CONCURRENCY}.")
        for name, value in (params or {}).items():
            # A None that a script did not expect would otherwise ask for everything.
            if not isinstance(value, (str, list)):
                raise ValueError(f"{name} must be a text.")  # noqa: TRY004  # callers are promised a ValueError
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
            return await (self._at_once if query.concurrency > 1 else self._in_turn)(connection, query)

        shared = await self._joined((query.resource.name, repr(query)), fetch)
        return shared.copy()

    async def _in_turn[T: Struct](self, connection: Connection, query: Query[T]) -> Rows[T]:
        resource, (after, before), started = query.resource, query.window, datetime.now(UTC)
        rows, pages_count = Rows[T](), 0
        params = query.whole_params()
        async with aclosing(aiter_pages(connection, resource, params, self._max_pages, ahead=True)) as pages:
            async for page in pages:
                rows.take(page)
                pages_count = page.number
        if pages_count > 1 and query.leaves_movers_behind and before is None and not rows.stopped_because:
            await aadd_moved(connection, resource, query.params, after, started, rows)
        # A row that moved between two pages came too early.
        if resource.order and not _is_in_order(rows, resource.order, reverse=query.reverse):
            _sort_ties(rows, resource)
            rows.sort(key=_place(resource.order), reverse=not query.reverse)
        return rows

    async def _at_once[T: Struct](self, connection: Connection, query: Query[T]) -> Rows[T]:
        resource, limits = query.resource, self._api.limits
        # More than there are permits for would only wait for one another, and give up in the end.
        concurrency = min(query.concurrency, limits.tenant, limits.origin, limits.process)
        rows = await aget_split(connection, resource, query.params, query.window, concurrency, self._max_pages)
        moments = list(map(attrgetter(resource.order), rows))
        if None not in moments and len(set(moments)) == len(moments):
            rows.sort(key=attrgetter(resource.order), reverse=not query.reverse)
            return rows
        # Windows come as they come, rows of one moment in the server's order; where the list is in another order than
        # its windows, the window's tells what a server's id would.
        rows.sort(key=_place(resource.window), reverse=True)
        _sort_ties(rows, resource)
        rows.sort(key=_place(resource.order), reverse=True)
        if query.reverse:
            rows.reverse()
        return rows

    def _pages[T: Struct](self, query: Query[T]) -> AsyncGenerator[Page[T]]:
        if query.concurrency > 1:
            raise ValueError("Pages come one after the other: concurrency is for whole lists.")
        return aiter_pages(self._connect(), query.resource, query.whole_params(), self._max_pages)


def _is_in_order(rows: Rows[Any], order: str, *, reverse: bool) -> bool:
    """Say whether each row has a moment of its own, and they stand in order: most lists do, and to sort costs more."""
    moments = list(map(attrgetter(order), rows))
    following = moments[1:]
    return None not in moments and all(map(lt, moments, following) if reverse else map(gt, moments, following))


def _place(order: str) -> Callable[[Any], datetime | date]:
    read, oldest = attrgetter(order), date.min if order == "start_date" else datetime.min.replace(tzinfo=UTC)
    return lambda row: read(row) or oldest


def _sort_ties(rows: Rows[Any], resource: Resource[Any]) -> None:
    """Put rows of one moment in an order of ours where many at once cannot have the server's, so that both agree."""
    if resource.ties_are_lost:
        order = attrgetter(resource.order)
        rows.sort(key=lambda row: 0 if order(row) is None else row.identity)


def whole[S: Reader, **P, T: Struct](
    ask: Callable[Concatenate[S, P], Query[T]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, Rows[T]]]:
    """Return the coroutine method that gives all rows of a list."""

    @wraps(ask)
    async def method(self: S, /, *args: P.args, **kwargs: P.kwargs) -> Rows[T]:
        return await self._whole(ask(self, *args, **kwargs))

    return _returning(method, ask, lambda row: Rows[row])  # type: ignore[valid-type]


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
    return _returning(method, ask, lambda row: AsyncGenerator[Page[row]])  # type: ignore[valid-type]


def _returning[F: Callable[..., Any]](method: F, ask: Callable[..., Any], returns: Callable[[Any], object]) -> F:
    """Return `method` with the signature of `ask`, but for what it returns: help() shows that."""
    signature = inspect.signature(ask)
    (row,) = get_args(signature.return_annotation)
    method.__signature__ = signature.replace(return_annotation=returns(row))  # type: ignore[attr-defined]
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
    """Return uuids as they are sent. Raises ValueError, for an empty one too; TypeError for one text."""
    return [str(dates.require_uuid(value)) for value in list_param(values)]


def list_param[V](values: Sequence[V]) -> list[V]:
    """Return the values of a parameter that is repeated. Raises TypeError for one text, which is no list of them."""
    if isinstance(values, str):
        raise TypeError("Give a list of texts, not one.")
    return list(values)


def name_param(value: str | UUID) -> str:
    """Return what names a thing as it is sent: its uuid, or its name as it is."""
    return str(value) if isinstance(value, UUID) else value


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
