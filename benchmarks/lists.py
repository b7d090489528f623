"""The ways to fetch a whole list of flows, page after page. Each returns how many rows came, and when the first did."""

import json
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

from benchmarks.contenders import PATH, TOKEN, RawAiohttp, ours_interface, trust


class NotThereError(Exception):
    """The version of our client that is measured does not have this."""


type Outcome = tuple[int, float]


async def ours_all(origin: str, ca: str) -> Outcome:
    """Fetch one page after the other."""
    return await _ours_list(origin, ca)


async def ours_concurrent(origin: str, ca: str) -> Outcome:
    """Fetch up to 16 pages at a time."""
    return await _ours_list(origin, ca, concurrency=16)


async def _ours_list(origin: str, ca: str, **options: int) -> Outcome:
    interface = _interface(origin, ca)
    try:
        flows = await interface.aget_flows(**options)
    except TypeError as missing:
        raise NotThereError(str(missing)) from missing
    _check_whole(flows)
    return len(flows), time.perf_counter()


async def ours_iterated(origin: str, ca: str) -> Outcome:
    """Take the pages as they come, and keep none."""
    count, first_at = 0, 0.0
    async with aclosing(_interface(origin, ca).aiter_flows()) as pages:
        async for page in pages:
            first_at = first_at or time.perf_counter()
            count += len(page.rows)
    return count, first_at


def _interface(origin: str, ca: str) -> Any:
    if ca:
        trust(ca)
    return ours_interface(origin)


def _check_whole(flows: Any) -> None:
    if flows.stopped_because or flows.unreadable_count:
        raise ValueError(f"The list is not whole: {flows.stopped_because!r}, {flows.unreadable_count} unreadable.")


async def rapidpro_all(origin: str, _: str) -> Outcome:
    """Call the official client's all()."""
    from temba_client.v2 import TembaClient

    rows = TembaClient(origin, TOKEN).get_flows().all()
    return len(rows), time.perf_counter()


async def rapidpro_iterated(origin: str, _: str) -> Outcome:
    """Take the official client's pages as they come, and keep none."""
    from temba_client.v2 import TembaClient

    count, first_at = 0, 0.0
    for rows in TembaClient(origin, TOKEN).get_flows().iterfetches():
        first_at = first_at or time.perf_counter()
        count += len(rows)
    return count, first_at


async def aiohttp_all(origin: str, ca: str) -> Outcome:
    """Follow the links with raw aiohttp and json.loads, and keep the rows as dictionaries."""
    raw, rows, first_at = RawAiohttp(origin, ca), list[Any](), 0.0
    await raw.setup()
    try:
        following = origin + PATH
        while following:
            page = json.loads(await raw.read(following))
            first_at = first_at or time.perf_counter()
            rows += page["results"]
            following = page["next"]
    finally:
        await raw.teardown()
    return len(rows), first_at


ALL: dict[str, tuple[str, Callable[[str, str], Awaitable[Outcome]]]] = {
    "ours-all": ("ours, aget_flows()", ours_all),
    "ours-concurrent": ("ours, aget_flows(concurrency=16)", ours_concurrent),
    "ours-iterated": ("ours, aiter_flows()", ours_iterated),
    "rapidpro-all": ("rapidpro-python, all()", rapidpro_all),
    "rapidpro-iterated": ("rapidpro-python, iterfetches()", rapidpro_iterated),
    "aiohttp-all": ("raw aiohttp, json.loads, following the links", aiohttp_all),
}
