"""Lists of flows on their way: one task a token reads page after page, and everybody looks at what came so far.

A task belongs to the event loop that it was begun in, and outlives the request that began it. Other processes learn of
it by its marks in the cache (`marks.py`). Source: docs/adr/0011-kept-lists.md.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from uuid import UUID
from weakref import WeakKeyDictionary

from asgiref.sync import sync_to_async
from django.db import connections

from config.request_ids import reference
from rapidpro_integration import kept, marks, selectors, services
from rapidpro_integration.checking import as_told
from rapidpro_integration.client.budgets import OPERATION_DEADLINE_S
from rapidpro_integration.client.errors import AbstractRequestException, BusyException, Kind, TimedOutException
from rapidpro_integration.client.listing import MAX_PAGES
from rapidpro_integration.client.types import Flow, Page, Rows
from rapidpro_integration.interface import RapidProInterface
from rapidpro_integration.kept import KeptFlows
from rapidpro_integration.marks import Progress
from rapidpro_integration.models import RapidProToken
from rapidpro_integration.openings import Purpose, anote_opening
from rapidpro_integration.problems import log_problem

logger = logging.getLogger(__name__)

# The longest that a list may take.
FETCH_S = 300.0
# How many may be on their way at once in a process, and of one person's. Most are one page, and wait for their server.
MOST = 700
MOST_OF_ONE = 16
# What the rows of one list may weigh, in about bytes, over all its operations and however often one goes on.
MAX_WEIGHT = 64 * 1024 * 1024
# What the rows of all lists on their way in a process may weigh.
MAX_WEIGHT_OF_ALL = 1024 * 1024 * 1024
# A list that takes long is asked for in several operations, each with the client's whole deadline before it.
_OPERATION_S = OPERATION_DEADLINE_S / 3
# How often it looks around while a page is on its way, and whether another process is done.
LOOK_S = 0.5
_LOOK_AGAIN_S = 0.1
_CLOSE_S = 5.0
# These say something about the token, not about the server's health: a list of before is not shown beside them.
FINAL = frozenset({Kind.REJECTED, Kind.NOT_ALLOWED, Kind.LOCKED, Kind.DISABLED})


@sync_to_async
def _aclose_old_connections() -> None:
    """Close this thread's, as Django does after a request; never one that somebody has a transaction on."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()


def _weight(flow: Flow) -> int:
    """Return about how many bytes a flow takes: a server may send names of megabytes."""
    labels = sum(len(label.name) + 128 for label in flow.labels)
    return 512 + len(flow.name) + len(flow.type or "") + labels + sum(len(ref) + 64 for ref in flow.parent_refs)


class TokenWithdrawn(Exception):  # exceptions end in the fact
    """The token was replaced, deleted, disabled or closed while its list was read; nothing more was asked."""


class Arrival:
    """One list on its way. `part` is where it goes on from; `seen` says that another process was reading it already."""

    def __init__(self, token: RapidProToken, last: KeptFlows | None, part: KeptFlows | None, *, seen: bool) -> None:
        self.owner_id = token.owner_id
        self.is_ending = False
        #: Under which the failure stands in the log.
        self.reference = ""
        self._token, self._key, self._last = token, kept.key_of(token), last
        self._rows = (
            Rows(part.rows, unreadable_count=part.unreadable_count, fetched_at=part.fetched_at)
            if part
            else Rows[Flow]()
        )
        #: What its rows take, in about bytes.
        self.weight = sum(map(_weight, self._rows))
        self._cursor = part.cursor if part else ""
        self._known: set[UUID] = {flow.uuid for flow in self._rows}
        self._pages_count = 0
        self._part: tuple[int, KeptFlows] | None = None
        self._keep_at = 0
        self._elsewhere = Progress(0) if seen else None
        self._mine = secrets.token_hex(8)
        self._waiting_count = 0
        self._started = self._looked_at = time.monotonic()
        self._is_late = self._is_shown = False
        self._came = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None
        self.task = asyncio.create_task(self._arun())
        self.task.add_done_callback(self._landed)

    # --- For those who look ---------------------------------------------------------------------

    async def aoutcome(self) -> KeptFlows:
        """Return the list when it has come, or what came if it was stopped.

        Raises AbstractRequestException; TokenWithdrawn.
        """
        with self._waiting():
            await asyncio.wait([self.task])
        if self.task.cancelled():
            raise BusyException("The list was not read to its end, since this process stops.")
        error = self.task.exception()
        if isinstance(error, AbstractRequestException):
            # One exception raised in several places would gather the tracebacks of all of them.
            raise error.anew()
        if error is not None:
            raise error
        return self.task.result()

    async def abeginning(self, patience_s: float, first_s: float | None = None) -> KeptFlows | None:
        """Wait for the first page, and a little for the rest; return the outcome if it is there, as `aoutcome` does.

        `first_s` bounds the wait for the first page, for those who have something else to show meanwhile.
        """
        with self._waiting():
            try:
                async with asyncio.timeout(first_s):
                    await self._came.wait()
            except TimeoutError:
                self._is_shown = True
                return None
            await asyncio.wait([self.task], timeout=patience_s)
            self._is_shown = True
        return await self.aoutcome() if self.task.done() else None

    async def apart(self) -> KeptFlows | None:
        """Return what came so far, if this process reads."""
        if not self._rows and not self._pages_count:
            return None
        if self._part is None or self._part[0] != self._pages_count:
            number, rows = self._pages_count, self._rows.copy()
            self._part = number, await asyncio.to_thread(kept.made_of, rows, self._cursor)
        return self._part[1]

    def progress(self) -> Progress:
        """Return how far it is, as this process knows."""
        expected = len(self._last.rows) if self._last is not None and self._last.is_whole else 0
        return Progress(len(self._rows), expected) if self._rows else self._elsewhere or Progress(0, expected)

    def look(self) -> None:
        """Say that somebody is watching."""
        self._looked_at = time.monotonic()

    def stop(self) -> None:
        """End it, keeping what came; if nobody has seen anything of it yet, it goes on to its first page."""
        if self._pages_count or self._is_shown:
            self.end()

    def end(self) -> None:
        """End it now; whoever comes from now on begins anew, as soon as this one has put away what came."""
        self.is_ending = True
        (self._reading or self.task).cancel()

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        self._waiting_count += 1
        try:
            yield
        finally:
            self._waiting_count -= 1
            self.look()
            if not (self._waiting_count or self._is_shown or self._came.is_set()):
                # Nobody has seen anything of it, and nobody waits any more.
                self.end()

    def _is_attended(self) -> bool:
        return self._waiting_count > 0 or time.monotonic() - self._looked_at < marks.UNATTENDED_S

    def _landed(self, task: asyncio.Task[KeptFlows]) -> None:
        self._came.set()
        here = _here()
        if here.get(self._key) is self:
            del here[self._key]
        error = None if task.cancelled() else task.exception()
        if error is None or isinstance(error, (AbstractRequestException, TokenWithdrawn)) or self._waiting_count:
            return
        logger.error("A list could not be read, and nobody waited for it.", exc_info=error)

    # --- The task -------------------------------------------------------------------------------

    async def _arun(self) -> KeptFlows:
        try:
            async with self._lock():
                found, last = await kept.aget(self._token), self._last
                if found is not None and (self._elsewhere or last is None or found.fetched_at > last.fetched_at):
                    return found
                return await self._afetch()
        finally:
            # The thread is the request's, or one that came after it: what it opened is closed as after a request.
            await _aclose_old_connections()

    @asynccontextmanager
    async def _lock(self) -> AsyncIterator[None]:
        try:
            while not await marks.atake_lock(self._key, self._mine):
                # The holder is perhaps another process.
                if not self._is_attended():
                    raise BusyException("Nobody waits any more for the list that another process reads.")
                if progress := (await marks.aread(self._key)).progress:
                    self._elsewhere = progress
                    self._came.set()
                    await marks.anote_look(self._key)
                await asyncio.sleep(_LOOK_AGAIN_S)
            yield
        finally:
            # Also if cancelled while it was being taken: the thread that takes it goes on.
            await marks.agive_lock_back(self._key, self._mine)

    async def _afetch(self) -> KeptFlows:
        interface = RapidProInterface.for_token(self._token)
        await anote_opening(self._token, Purpose.FLOWS)
        self._reading = reading = asyncio.create_task(self._aread(interface))
        try:
            await self._awatch(reading)
            if reading.cancelled():
                if self._is_late:
                    raise await self._afailed(TimedOutException())
                return await self._astopped()
            if (error := reading.exception()) is not None:
                raise await self._afailed(error)
            whole = await asyncio.to_thread(kept.made_of, self._rows, self._cursor)
            await self._akeep(whole)
            await marks.aerase(self._key, "problem", "stopped")
            return whole
        finally:
            # Not before the list is kept: others take what they find there as soon as nothing more is on its way.
            await marks.aerase(self._key, "progress", "looked")

    async def _awatch(self, reading: asyncio.Task[None]) -> None:
        """Wait until the reading has ended or must end."""
        try:
            while not reading.done():
                await asyncio.wait([reading], timeout=LOOK_S)
                if not reading.done() and await self._amust_end():
                    reading.cancel()
                    await asyncio.wait([reading])
        except asyncio.CancelledError:
            # The loop ends, and takes everything along that is under way.
            reading.cancel()
            await asyncio.wait([reading])
            await self._akeep_part()
            raise

    async def _amust_end(self) -> bool:
        """Look around: whether somebody has stopped it, nobody looks any more, or it takes too long."""
        now = await marks.aread(self._key)
        if now.lock == self._mine:
            await marks.arenew_lock(self._key)
        if self._pages_count:
            await marks.anote_progress(self._key, self.progress())
        self._is_late = time.monotonic() - self._started > FETCH_S
        is_stopped = now.is_stopped and (self._pages_count > 0 or self._is_shown)
        return self._is_late or is_stopped or not (self._is_attended() or now.is_watched)

    async def _aread(self, interface: RapidProInterface) -> None:
        cursors = set[str]()
        if self.weight >= MAX_WEIGHT:  # gone on with, and no room is left
            self._rows.stopped_because = "size_cap"
            return
        while True:
            started = time.monotonic()
            async with aclosing(interface.aiter_flows(cursor=self._cursor)) as pages:
                async for page in pages:
                    self._take(page)
                    if self._cursor in cursors:
                        self._rows.stopped_because, self._cursor = "repeated_cursor", ""
                    elif self._cursor and self._pages_count >= MAX_PAGES:
                        self._rows.stopped_because = "page_cap"
                    elif self._cursor and self.weight >= MAX_WEIGHT:
                        self._rows.stopped_because = "size_cap"
                    if not self._cursor or self._rows.stopped_because:
                        return
                    cursors.add(self._cursor)
                    await self._atell()
                    if time.monotonic() - started > _OPERATION_S:
                        break

    def _take(self, page: Page[Flow]) -> None:
        page.rows = kept.light(flow for flow in page.rows if flow.uuid not in self._known)
        self._known.update(flow.uuid for flow in page.rows)
        self._rows.take(page)
        self.weight += sum(map(_weight, page.rows))
        self._cursor = "" if page.stopped_because == "repeated_cursor" else page.following.get("cursor", "")
        self._pages_count += 1

    async def _atell(self) -> None:
        """Show everybody how far it is, and look whether one may go on. Raises TokenWithdrawn."""
        if len(self._rows) >= self._keep_at:
            self._keep_at = 2 * len(self._rows)
            await self._akeep_part()
        await marks.anote_progress(self._key, self.progress())
        self._came.set()
        if self._is_too_much():
            raise BusyException("Too much is on its way.", retry_after_s=30)
        if not await selectors.ais_usable(self._token):
            await kept.adrop(self._token)
            raise TokenWithdrawn
        # A database has fewer connections than lists may be on their way, and a server takes its time.
        await _aclose_old_connections()

    def _is_too_much(self) -> bool:
        """Return whether the lists on their way weigh too much together, and this one more than the others."""
        here = _here().values()
        total = sum(arrival.weight for arrival in here)
        return total > MAX_WEIGHT_OF_ALL and self.weight * len(here) >= total

    # --- How it ends ----------------------------------------------------------------------------

    async def _afailed(self, error: BaseException) -> BaseException:
        """Return the error, after what came was kept, and the failure noted for those who look at what is kept."""
        if not isinstance(error, AbstractRequestException):
            return error
        if error.kind in FINAL:
            await kept.adrop(self._token)
            return error
        await self._akeep_part()
        if await kept.aget(self._token) is not None:
            told, self.reference = as_told(error, self._token.access), reference()
            log_problem(told, self._token, self.reference)
            await marks.anote_problem(self._key, told.kind, self.reference, told.retry_after_s)
        return error

    async def _astopped(self) -> KeptFlows:
        found = await self._akeep_part() or self._last
        if found is None:
            raise BusyException("The list was stopped before anything of it came.")
        return found

    async def _akeep_part(self) -> KeptFlows | None:
        """Keep what came, unless a whole list of before is better."""
        if self._last is not None and self._last.is_whole:
            return None
        part = await self.apart() if self._rows and self._pages_count else None
        if part is not None:
            await self._akeep(part)
        return part

    async def _akeep(self, flows: KeptFlows) -> None:
        await services.arecord_use(self._token)
        await kept.aput(self._token, flows)
        # Replaced, deleted or disabled while the server answered: what drops a list then has come too early for this.
        if not await services.aholds_still(self._token):
            await kept.adrop(self._token)


_arrivals: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Arrival]] = WeakKeyDictionary()


def _here() -> dict[str, Arrival]:
    return _arrivals.setdefault(asyncio.get_running_loop(), {})


def find(key: str) -> Arrival | None:
    """Return the list of that name which this loop reads or waits for."""
    arrival = _here().get(key)
    return None if arrival is None or arrival.is_ending else arrival


def join(token: RapidProToken, last: KeptFlows | None, part: KeptFlows | None, *, seen: bool) -> Arrival:
    """Return the token's list on its way, begun if it was not. Raises BusyException if too many are."""
    here, key = _here(), kept.key_of(token)
    arrival = find(key)
    if arrival is None:
        of_one = sum(arrival.owner_id == token.owner_id for arrival in here.values())
        if len(here) >= MOST or of_one >= MOST_OF_ONE:
            raise BusyException("Too many lists are on their way.", retry_after_s=5)
        arrival = here[key] = Arrival(token, last, part, seen=seen)
    return arrival


async def aclose() -> None:
    """End all lists of the running loop, keeping what came, for a server that stops."""
    tasks = {arrival.task for arrival in _here().values()}
    for arrival in list(_here().values()):
        arrival.end()
    if tasks:
        _, left = await asyncio.wait(tasks, timeout=_CLOSE_S)
        for task in left:
            task.cancel()
