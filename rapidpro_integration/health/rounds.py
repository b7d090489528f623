"""A round of checks: lease what is due, ask each token's server, save what it says, until nothing is left to lease.

Checks run beside each other, so that a server that is slow or silent holds up nobody else's.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from asgiref.sync import sync_to_async
from django.db import Error
from django.db.models import QuerySet

from rapidpro_integration import services, vault
from rapidpro_integration.checking import acheck_token
from rapidpro_integration.client.errors import Kind
from rapidpro_integration.health import leases, schedule
from rapidpro_integration.models import RapidProToken, Trigger
from rapidpro_integration.problems import log_problem
from rapidpro_integration.services import TokenChangedMeanwhile
from rapidpro_integration.states import TokenState

logger = logging.getLogger(__name__)

# Checks under way at a time in one process, over all servers.
AT_ONCE = 16
# One look at what is due costs the same for one token as for several (40 ms where 5,000 are due).
_LEASED_TOGETHER = 4
# How often a round looks again for a token whose server had no room.
_LOOK_AGAIN_S = 0.5


class ChecksFailed(Exception):
    """Some checks of a round ended in an error of our own. The message has the ids of the tokens and nothing else."""

    def __init__(self, tally: "Tally") -> None:
        super().__init__(f"{len(tally.failed)} checks failed, of the tokens {', '.join(sorted(tally.failed))}.")
        self.tally = tally


@dataclass(slots=True)
class Tally:
    """What came of a round: how many tokens by state, and those that were not checked, each with why."""

    states: dict[TokenState, int] = field(default_factory=dict)
    put_off: int = 0
    failed: list[str] = field(default_factory=list)

    @property
    def checked(self) -> int:
        """How many checks were saved."""
        return sum(self.states.values())

    @property
    def working(self) -> int:
        """How many of them found a token that works."""
        return self.states.get(TokenState.WORKING, 0)


type OnDone = Callable[[int], None]


async def around(
    worker: str,
    *,
    seconds: float = 50.0,
    trigger: Trigger = Trigger.DUE,
    only: QuerySet[RapidProToken] | None = None,
    on_done: OnDone = lambda count: None,
    patient: bool = False,
) -> Tally:
    """Check what is due, or each token of `only` once, leasing no more after `seconds`; return what came of it.

    `on_done` is called with 1 after each token. A `patient` round waits for tokens whose servers have no room yet, or
    which somebody else checks at the moment. Raises ChecksFailed at the end, when a check met an error of our own: the
    others are done all the same, and the failed one is put off.
    """
    tally, ends = Tally(), time.monotonic() + seconds
    running: set[asyncio.Task[None]] = set()
    seen: set[UUID] = set()
    while True:
        free = AT_ONCE - len(running)
        if (free >= _LEASED_TOGETHER or not running) and time.monotonic() < ends:
            claimed = await sync_to_async(leases.claim)(worker, free, only=only, without=seen)
            seen.update(token.pk for token in claimed)
            running.update(asyncio.create_task(_acheck(token, trigger, tally)) for token in claimed)
        if not running and not (patient and time.monotonic() < ends and await _ais_left(only, seen)):
            break
        if running:
            done, running = await asyncio.wait(running, timeout=_LOOK_AGAIN_S, return_when=asyncio.FIRST_COMPLETED)
            if done:
                on_done(len(done))
        else:
            await asyncio.sleep(_LOOK_AGAIN_S)
    if tally.failed:
        raise ChecksFailed(tally)
    return tally


async def _ais_left(only: QuerySet[RapidProToken] | None, seen: set[UUID]) -> bool:
    return only is not None and await only.exclude(pk__in=seen).aexists()


async def _acheck(token: RapidProToken, trigger: Trigger, tally: Tally) -> None:
    try:
        state = await _acheck_leased(token, trigger)
    except Exception:
        # Logged here with its token; the round goes on, and fails at its end.
        logger.exception("A check could not be made or saved token=%s", token.pk)
        tally.failed.append(str(token.pk))
        await _aput_off(token)
        return
    if state is None:
        tally.put_off += 1
    else:
        tally.states[state] = tally.states.get(state, 0) + 1


async def _aput_off(token: RapidProToken) -> None:
    """Leave a token whose check fails on our side alone for a while: else it would fail again with every lease."""
    try:
        await sync_to_async(leases.put_off)(token)
    except Error:
        logger.warning("A failed check could not be put off, its lease runs out token=%s", token.pk)


async def _acheck_leased(token: RapidProToken, trigger: Trigger) -> TokenState | None:
    """Check a leased token and return its state, or None where nothing could be asked or saved."""
    if vault.lock_reason(token) is not None:
        await sync_to_async(leases.put_off)(token, schedule.interval().total_seconds())
        return None
    outcome = await acheck_token(token)
    if outcome.error and outcome.error.kind is Kind.BUSY:
        # Too much is under way here: nothing was sent.
        await sync_to_async(leases.put_off)(token, outcome.error.retry_after_s or 0)
        return None
    if outcome.error:
        log_problem(outcome.error, token, outcome.reference)
    try:
        await sync_to_async(services.record_check)(token, outcome, trigger, lease=token.leased_by)
    except TokenChangedMeanwhile:
        # Replaced, disabled or deleted meanwhile, or the lease ran out: what we heard is not of what is there now.
        await sync_to_async(leases.release)(token)
        return None
    return outcome.state
