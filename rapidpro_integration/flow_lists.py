"""A workspace's flows for a page: the kept list while it is fresh, else asked for once for everybody who waits.

In one process those who ask together share one flight; between processes a lock in the cache lets one ask and the
others wait for its list. A lock whose holder died runs out. Source: docs/adr/0011-kept-lists.md.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from django.core.cache import cache

from rapidpro_integration import kept, services
from rapidpro_integration.checking import as_told
from rapidpro_integration.client import pools
from rapidpro_integration.client.budgets import OPERATION_DEADLINE_S
from rapidpro_integration.client.errors import AbstractRequestException, Kind
from rapidpro_integration.client.types import Flow, Rows
from rapidpro_integration.interface import RapidProInterface
from rapidpro_integration.kept import KeptFlows
from rapidpro_integration.models import RapidProToken, TokenState
from rapidpro_integration.openings import Purpose, anote_opening

# The longest fetch, with its waits between tries, and some room.
LOCK_S = int(OPERATION_DEADLINE_S * 2)
_LOOK_AGAIN_S = 0.1
# While a list is there to be shown, a server that has just failed is not asked for every page that somebody opens.
REST_S = 30
# These say something about the token, not about the server's health: a list of before is not shown beside them.
_FINAL = frozenset({Kind.REJECTED, Kind.NOT_ALLOWED, Kind.LOCKED, Kind.DISABLED})


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of flows; `problem` is why it is not a newer one."""

    flows: KeptFlows
    problem: Kind | None = None


async def alisting(token: RapidProToken, *, anew: bool = False, go_on: bool = False) -> Listing:
    """Return the token's flows; `anew` asks the server even if the kept list is fresh, `go_on` for what it lacks.

    If the server fails on the way and nothing whole is kept, what came is kept, with the place to go on from.

    Raises AbstractRequestException if the token may not be used now, or if nothing is kept that could be shown.
    """
    if token.shown_state in {TokenState.DISABLED, TokenState.LOCKED}:
        await kept.adrop(token)
        RapidProInterface.for_token(token)  # says why, and sends nothing
    key, last = kept.key_of(token), await kept.aget(token)
    part = last if go_on and last is not None and last.cursor else None
    if last is not None and not anew and part is None:
        problem = await cache.aget(f"{key}:problem")
        if last.is_fresh or problem:
            return Listing(last, Kind(problem) if problem else None)
    flights = (await pools.here()).flights
    try:
        return Listing(await flights.join(("kept flows", key), lambda: _aonce(token, last, part)))
    except AbstractRequestException as caught:
        error = as_told(caught, token.access)
    if error.kind in _FINAL:
        await kept.adrop(token)
        raise error
    last = await kept.aget(token)
    if last is None:
        raise error
    await cache.aset(f"{key}:problem", error.kind.value, min(REST_S, error.retry_after_s or REST_S))
    return Listing(last, error.kind)


async def _aonce(token: RapidProToken, last: KeptFlows | None, part: KeptFlows | None) -> KeptFlows:
    """Return a list newer than `last`: asked for now, or by another process in the meantime."""
    async with _lock(f"{kept.key_of(token)}:lock"):
        found = await kept.aget(token)
        if found is not None and (last is None or found.fetched_at > last.fetched_at):
            return found
        return await _afetch(token, part, keep_part=last is None or not last.is_whole)


async def _afetch(token: RapidProToken, part: KeptFlows | None, *, keep_part: bool) -> KeptFlows:
    interface = RapidProInterface.for_token(token)
    await anote_opening(token, Purpose.FLOWS)
    rows, cursor = Rows[Flow](), ""
    if part is not None:
        rows, cursor = Rows(part.rows, unreadable_count=part.unreadable_count), part.cursor
    known = {flow.uuid for flow in rows}
    try:
        async with aclosing(interface.aiter_flows(cursor=cursor)) as pages:
            async for page in pages:
                page.rows = tuple(flow for flow in page.rows if flow.uuid not in known)
                rows.take(page)
                cursor = "" if page.stopped_because == "repeated_cursor" else page.following.get("cursor", "")
    except AbstractRequestException as error:
        if keep_part and rows and error.kind not in _FINAL:
            await _akeep(token, kept.made_of(rows, cursor))
        raise
    flows = kept.made_of(rows, cursor)
    await _akeep(token, flows)
    await cache.adelete(f"{kept.key_of(token)}:problem")
    return flows


async def _akeep(token: RapidProToken, flows: KeptFlows) -> None:
    await services.arecord_use(token)
    await kept.aput(token, flows)
    # Replaced, deleted or disabled while the server answered: what drops a list then has come too early for this one.
    if not await services.aholds_still(token):
        await kept.adrop(token)


@asynccontextmanager
async def _lock(name: str) -> AsyncIterator[None]:
    mine = secrets.token_hex(8)
    while not await cache.aadd(name, mine, LOCK_S):  # noqa: ASYNC110  # the holder is perhaps another process
        await asyncio.sleep(_LOOK_AGAIN_S)
    try:
        yield
    finally:
        # It ran out meanwhile, if another one holds it now.
        if await cache.aget(name) == mine:
            await cache.adelete(name)
