"""Names into addresses, for aiohttp: resolved once, every answer allowed, and then connected to exactly those.

    NotResolved (an OSError, so that aiohttp reports a connection that could not be made)
    ├── AddressRefused      an address is not one that a token may be sent to
    ├── LookUpFailed        the name is unknown, or its servers do not answer
    ├── LookUpTimedOut      no answer in time
    └── TooManyLookUps      too many look-ups are hanging already

The C library's look-up cannot be stopped, so each has a thread of its own that the process may leave behind, one a name
at a time. Names that have answered before keep some of the threads for themselves: hanging ones starve nobody.
aiohttp asks no resolver about an IP literal: `require_allowed` is for those.
"""

import asyncio
import logging
import os
import socket
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from weakref import WeakSet

from aiohttp.abc import AbstractResolver, ResolveResult

from rapidpro_integration.client.addresses import is_allowed

LOOK_UP_S = 5.0
LOOK_UPS_AT_ONCE = 32
# How many of those may belong to names that have never answered.
STRANGERS_AT_ONCE = 24
_NAMES_REMEMBERED = 1024
# Whom a name has more addresses than this is not waiting for the last of them.
_MAX_ADDRESSES = 8

_REFUSED = "An address is not one that a token may be sent to."

logger = logging.getLogger(__name__)

type LookUp = Callable[[str], Sequence[str]]


class NotResolved(OSError):
    """A name did not lead to an address that may be connected to. Holds no address and no name."""


class AddressRefused(NotResolved):
    """An address is not one that a token may be sent to, so nothing was connected to."""


class LookUpFailed(NotResolved):
    """The name is unknown, or its servers do not answer."""


class LookUpTimedOut(NotResolved):
    """The name was not resolved in time."""


class TooManyLookUps(NotResolved):
    """So many look-ups are hanging that this one was not begun."""


def require_allowed(address: str, *, private: bool = False) -> None:
    """Raise AddressRefused unless a connection to the IP literal may be made: aiohttp asks no resolver about one."""
    if not is_allowed(address, private=private):
        raise AddressRefused(_REFUSED)


def system_look_up(host: str) -> list[str]:
    """Return the addresses of a name as the system knows them, without repetitions. Blocks; raises OSError."""
    infos = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    # A zone in an IPv6 address ("fe80::1%eth0") stays: it is what the address rules refuse it by.
    return list(dict.fromkeys(str(info[4][0]) for info in infos))


class LookUps:
    """The look-ups of this process: each in a thread of its own, one a name, so many at once. Of no event loop."""

    def __init__(
        self,
        look_up: LookUp = system_look_up,
        *,
        at_once: int = LOOK_UPS_AT_ONCE,
        strangers_at_once: int = STRANGERS_AT_ONCE,
    ) -> None:
        self._look_up = look_up
        self._at_once, self._strangers_at_once = at_once, strangers_at_once
        self._forget()
        _every.add(self)

    def _forget(self) -> None:
        """Start anew: a forked child has none of its parent's threads, and perhaps a lock that one of them held."""
        self._lock = threading.Lock()
        self._under_way: dict[str, Future[Sequence[str]]] = {}
        self._answered: OrderedDict[str, None] = OrderedDict()

    def submit(self, host: str) -> Future[Sequence[str]]:
        """Return the addresses to come; whoever asks for the same name meanwhile gets the same. Raises TooManyLookUps.

        The future ends in LookUpFailed where the name does not lead anywhere. It cannot be cancelled.
        """
        with self._lock:
            if (running := self._under_way.get(host)) is not None:
                return running
            strangers = sum(name not in self._answered for name in self._under_way)
            is_stranger = host not in self._answered
            if len(self._under_way) >= self._at_once or (is_stranger and strangers >= self._strangers_at_once):
                raise TooManyLookUps("Too many names are being looked up.")
            answer: Future[Sequence[str]] = Future()
            answer.set_running_or_notify_cancel()
            self._under_way[host] = answer
        try:
            threading.Thread(target=self._run, args=(host,), name="look-up", daemon=True).start()
        except RuntimeError:
            # The system has no more threads: the name must not count as being looked up for ever.
            self._finish(host, LookUpFailed("No look-up could be begun."))
        return answer

    def _run(self, host: str) -> None:
        try:
            addresses = self._look_up(host)
        except (OSError, UnicodeError):
            self._finish(host, LookUpFailed("The name could not be resolved."))
        except BaseException as error:  # noqa: BLE001  # ours to report where it is waited for, not in this thread
            self._finish(host, error)
        else:
            self._finish(host, addresses)

    def _finish(self, host: str, outcome: Sequence[str] | BaseException) -> None:
        with self._lock:
            answer = self._under_way.pop(host)
            if not isinstance(outcome, BaseException):
                self._answered[host] = None
                self._answered.move_to_end(host)
                if len(self._answered) > _NAMES_REMEMBERED:
                    self._answered.popitem(last=False)
        if isinstance(outcome, BaseException):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)


_every: WeakSet[LookUps] = WeakSet()
_shared = LookUps()


def use_look_up(look_up: LookUp | None) -> None:
    """Have resolvers to come ask `look_up`, for tests that play the DNS; None: the system's own."""
    global _shared  # one seam for the process
    _shared = LookUps(look_up or system_look_up)


def _forget_in_child() -> None:
    for look_ups in _every:
        look_ups._forget()


os.register_at_fork(after_in_child=_forget_in_child)


class Resolver(AbstractResolver):
    """aiohttp's resolver for one origin: `TCPConnector(resolver=Resolver(private=…))`.

    aiohttp connects to the addresses that it gets here, pools the connections by name and has the certificate checked
    for the name, so a name that changes its address between two looks gains nothing.
    """

    def __init__(self, *, private: bool = False, timeout_s: float = LOOK_UP_S, look_ups: LookUps | None = None) -> None:
        self._private = private
        self._timeout_s = timeout_s
        self._look_ups = look_ups or _shared

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a name, each one allowed. Raises NotResolved."""
        addresses = await self._look_up(host)
        if not addresses:
            raise LookUpFailed("The name has no address.")
        if not all(is_allowed(address, private=self._private) for address in addresses):
            # The page does not say so: whoever administers the server finds it here.
            logger.warning("address refused host=%s private_allowed=%s", host, self._private)
            raise AddressRefused(_REFUSED)
        wanted = [(address, _family(address)) for address in addresses]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=its_family,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address, its_family in wanted
            if family in {socket.AF_UNSPEC, its_family}
        ][:_MAX_ADDRESSES]

    async def _look_up(self, host: str) -> Sequence[str]:
        answer = asyncio.wrap_future(self._look_ups.submit(host))
        try:
            async with asyncio.timeout(self._timeout_s):
                return await answer
        except TimeoutError:
            # aiohttp would hand a TimeoutError on as it is; this way every name that leads nowhere ends alike.
            raise LookUpTimedOut("The name was not resolved in time.") from None

    async def close(self) -> None:
        """Do nothing: the look-ups belong to the process."""


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
