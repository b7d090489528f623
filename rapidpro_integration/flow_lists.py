"""A workspace's flows for a page: the kept list while it is fresh, else asked for once for everybody who waits.

In one process those who ask together join one arrival (`arrivals.py`); between processes a lock in the cache lets one
ask, and the others show how far it is. Source: docs/adr/0011-kept-lists.md.
"""

import asyncio
import time
from dataclasses import dataclass

from config.busy import alet_go
from rapidpro_integration import arrivals, kept, marks, selectors
from rapidpro_integration.arrivals import FINAL, TokenWithdrawn
from rapidpro_integration.checking import as_told
from rapidpro_integration.client.errors import AbstractRequestException, Kind
from rapidpro_integration.interface import RapidProInterface
from rapidpro_integration.kept import KeptFlows
from rapidpro_integration.marks import Progress
from rapidpro_integration.models import RapidProToken, TokenState

# A list whose rest comes within so long after its first page is shown at once, without a progress.
PATIENCE_S = 0.2
# How long a list of before, or a part, is kept back for the first page of what is asked for now.
FIRST_S = 1.0
# How long somebody who presses Stop waits for another process to notice.
_STOP_S = 3.0
_LOOK_AGAIN_S = 0.1


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of flows; `problem` is why it is not a newer one, under that `reference` in the log.

    `progress` says that more is on its way; `is_stopped` that somebody did not want to wait for a newer list.
    """

    flows: KeptFlows
    problem: Kind | None = None
    reference: str = ""
    progress: Progress | None = None
    is_stopped: bool = False


def _beside(now: marks.Marks, flows: KeptFlows) -> Listing:
    # A stop that came too late says nothing of a list that is new.
    return Listing(flows, now.problem, now.reference, is_stopped=now.is_stopped and not flows.is_fresh)


async def alisting(token: RapidProToken, *, anew: bool = False, go_on: bool = False, whole: bool = True) -> Listing:
    """Return the token's flows; `anew` asks the server even if the kept list is fresh, `go_on` for what it lacks.

    Without `whole` it waits for the first page alone and returns what came, with its `progress`; a whole list of before
    stays in its place until the newer one is there. If the server fails on the way and nothing whole is kept, what
    came is kept, with the place to go on from.

    Raises AbstractRequestException if the token may not be used now, or if nothing is kept that could be shown;
    Http404 if the token was deleted meanwhile.
    """
    if token.shown_state in {TokenState.DISABLED, TokenState.LOCKED}:
        await kept.adrop(token)
        RapidProInterface.for_token(token)  # says why, and sends nothing
    key = kept.key_of(token)
    last, now, arrival = await kept.aget(token), await marks.aread(key), arrivals.find(key)
    if last is not None and arrival is None:
        if now.progress is not None and not whole:
            await marks.anote_look(key)
            return Listing(last, progress=now.progress)
        is_wanted = anew or (go_on and last.cursor) or now.progress is not None
        if not is_wanted and (last.is_fresh or now.problem or now.is_stopped):
            return _beside(now, last)
    try:
        # The arrival hands back the connection of the request that began it, and of no other that waits.
        await alet_go()
        arrival = arrivals.find(key)
        if arrival is None:
            if anew or last is None:
                await marks.aerase(key, "stopped")
            part = last if go_on and last is not None and last.cursor else None
            arrival = arrivals.join(token, last, part, seen=now.progress is not None)
        first_s = FIRST_S if last is not None else None
        flows = await (arrival.aoutcome() if whole else arrival.abeginning(PATIENCE_S, first_s))
        if flows is None:
            shown = await _ashown(token, last, arrival)
            if shown is not None:
                return Listing(shown, progress=arrival.progress())
            flows = await arrival.aoutcome()
    except TokenWithdrawn:
        as_it_is = await selectors.aget_token_or_404(token.owner_id, token.pk)
        return await alisting(as_it_is, anew=anew, go_on=go_on, whole=whole)
    except AbstractRequestException as caught:
        error = as_told(caught, token.access)
    else:
        return _beside(await marks.aread(key), flows)
    if error.kind in FINAL:
        await kept.adrop(token)
        raise error
    last = await kept.aget(token)
    if last is None:
        raise error
    return Listing(last, error.kind, arrival.reference if arrival else "")


async def _ashown(token: RapidProToken, last: KeptFlows | None, arrival: arrivals.Arrival) -> KeptFlows | None:
    """Return what there is to show while the rest arrives: a whole list of before, else what came."""
    if last is not None and last.is_whole:
        return last
    return await arrival.apart() or await kept.aget(token)


async def aprogress(token: RapidProToken) -> Progress | None:
    """Return how far the token's list is, None if none is on its way."""
    key = kept.key_of(token)
    if (arrival := arrivals.find(key)) is not None:
        arrival.look()
        return arrival.progress()
    progress = (await marks.aread(key)).progress
    if progress is not None:
        await marks.anote_look(key)
    return progress


async def astop(token: RapidProToken) -> None:
    """Stop reading the token's list, in whichever process it is read. What came is kept."""
    key, deadline = kept.key_of(token), time.monotonic() + _STOP_S
    if await aprogress(token) is None:
        return
    await marks.anote_stop(key)
    if (arrival := arrivals.find(key)) is not None:
        arrival.stop()
    while await aprogress(token) is not None and time.monotonic() < deadline:  # noqa: ASYNC110  # perhaps elsewhere
        await asyncio.sleep(_LOOK_AGAIN_S)
