"""One GET to one origin: time limits, another try where it may help, and every failure made into an error of ours.

On the way out a request passes the workspace's quota, the bulkheads and the origin's breaker; then the wire. The place
where the wire's exceptions end is `_failure_of`.
"""

import asyncio
import logging
import math
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import aiohttp
import httpx
import stamina

from rapidpro_integration.client import bodies, errors, observing, retries
from rapidpro_integration.client.breaker import Breaker, Verdict
from rapidpro_integration.client.budgets import Budget
from rapidpro_integration.client.credentials import Credential
from rapidpro_integration.client.errors import AbstractRequestException, Kind, error_for_response
from rapidpro_integration.client.permits import Limits
from rapidpro_integration.client.pools import LoopState, Server, here
from rapidpro_integration.client.quota import Quota, scope_of
from rapidpro_integration.client.resolving import AddressRefused, LookUpTimedOut, TooManyLookUps
from rapidpro_integration.client.wire import Opened, RawHeaders, Wire

logger = logging.getLogger("rapidpro_integration.client")
# A script that configures no logging gets the exception, and not a line on stderr besides.
logger.addHandler(logging.NullHandler())
logging.getLogger("stamina").addHandler(logging.NullHandler())

CONNECT_S = 3.0
READ_S = 8.0
REQUEST_DEADLINE_S = 15.0
MAX_BODY_BYTES = 8 * 1024 * 1024
# Less time than this, and another try could not succeed: stamina's own wait takes up to 0.7 of it.
_SHORTEST_TRY_S = 1.0
USER_AGENT = "rapidpro-console/0.1"

#: What this process knows of servers and workspaces, shared by its threads and loops.
breaker = Breaker()
quota = Quota()
retry_budget = retries.RetryBudget()
#: Who counts what requests meet.
observer: observing.Observer = observing.unobserved

type Params = Mapping[str, str | list[str]]

_HEADERS = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": USER_AGENT}
_WIRE_ERRORS = (
    httpx.HTTPError,
    httpx.InvalidURL,
    httpx.StreamError,
    aiohttp.ClientError,
    OSError,
    ValueError,
    bodies.BodyError,
)


def forget() -> None:
    """Forget what servers have shown so far: pauses, waits and spent tries. For tests, and after a network is back."""
    breaker.reset()
    quota.reset()
    retry_budget.reset()


@dataclass(slots=True)
class Caller:
    """For whom a request goes out: a tenant, who has permits of their own, and a workspace, which has a quota.

    `workspace` is learnt from the answers (X-Temba-Workspace) where it is not known before. `name` is what an observer
    knows the token by.
    """

    tenant: str
    workspace: str = ""
    name: str = ""


@dataclass(slots=True)
class Answer:
    """A whole answer: its status, the lines of its head, its decoded body, and the address that was asked."""

    status_code: int
    raw_headers: RawHeaders
    content: bytes
    duration_ms: int
    address: str

    @property
    def headers(self) -> httpx.Headers:
        """The head. Made when it is asked for, since next to nobody does."""
        return httpx.Headers(list(self.raw_headers))


class Transport:
    """GETs of one caller to one origin, within one budget."""

    def __init__(self, server: Server, credential: Credential, caller: Caller, budget: Budget, limits: Limits) -> None:
        self._server, self._credential, self._caller = server, credential, caller
        self._origin = server.origin
        self._limits = limits
        self.budget = budget

    async def get(self, path: str, params: Params) -> Answer:
        """Return the answer to a GET of `path`, whatever its status, with its body decoded and the token left out.

        Connection failures, time-outs, 5xx and 429 are tried again, ATTEMPTS times in all, inside the budget. The body
        of an error answer is empty where it cannot be decoded or is too large: its status says enough.
        Raises a RequestFailureException without an answer, a ResponseParsingException for a success that cannot be
        read.
        """
        retry_budget.add_request()
        address = _address(self._origin + path, params)
        with self.budget:
            try:
                return await self._attempt(path, address)
            except _Failure as failure:
                last = failure
            if last.is_fleeting:
                try:
                    return await self._again(path, address, last)
                except _Failure as failure:
                    # One that was only held back says less than the failure before it.
                    last = last if failure.error.kind in {Kind.PAUSED, Kind.BUSY} else failure
        if last.answer is not None:
            return last.answer
        raise last.error

    async def _again(self, path: str, address: str, failure: "_Failure") -> Answer:
        """Try again, as stamina says; the first try was made without it, since most succeed. Raises _Failure."""
        tries = 0

        async def attempt() -> Answer:
            nonlocal tries
            tries += 1
            if tries == 1:
                raise failure
            return await self._attempt(path, address)

        def whether_again(caught: Exception) -> bool | float:
            # stamina asks after the last try too, which must not cost the budget one.
            return tries < retries.ATTEMPTS and self._whether_again(caught)

        caller = stamina.AsyncRetryingCaller(attempts=retries.ATTEMPTS, timeout=None, wait_max=2.0, wait_jitter=0.5)
        return await caller(whether_again, attempt)

    def _whether_again(self, caught: Exception) -> bool | float:
        if not isinstance(caught, _Failure) or not caught.is_fleeting:
            return False
        if caught.error.kind is Kind.TIMED_OUT and self.budget.seconds_left < REQUEST_DEADLINE_S:
            # Somebody has been waiting for a while: time for one more such wait there must be.
            return False
        nap_s = retries.nap_s(caught.error, self.budget.seconds_left - _SHORTEST_TRY_S)
        if nap_s is None or not retry_budget.take():
            return False
        return nap_s or True

    async def _attempt(self, path: str, address: str) -> Answer:
        """Return an answer that needs no other try. Raises _Failure."""
        if (wait_s := await quota.await_s(self._quota_key(path), shared=bool(self._caller.workspace))) > 0:
            raise _Failure(errors.RateLimitedException(status_code=429, retry_after_s=math.ceil(wait_s)))
        state = await here()
        held_back: AbstractRequestException | None = None
        try:
            async with state.permits.take(self._caller.tenant, self._origin, self._limits, self.budget.seconds_left):
                answer = await self._guarded(state, path, address)
        except (errors.BusyException, errors.PausedException) as caught:
            held_back = caught
        if held_back is not None:
            raise _Failure(held_back)
        if answer.status_code != 429 and answer.status_code < 500:
            return answer
        error = error_for_response(answer.status_code, answer.headers, answer.content, credential=self._credential)
        assert error is not None  # noqa: S101  # narrows the type: the status is no success
        if answer.status_code == 429:
            await quota.anote(self._quota_key(path), error.retry_after_s, shared=bool(self._caller.workspace))
        raise _Failure(error, answer, is_fleeting=True)

    def _quota_key(self, path: str) -> str:
        return f"{self._origin} {self._caller.workspace or self._credential.mark()} {scope_of(path)}"

    async def _guarded(self, state: LoopState, path: str, address: str) -> Answer:
        """Ask, and tell the breaker what came of it. Raises PausedException, _Failure."""
        ticket = breaker.enter(self._origin, self._caller.tenant, self._credential.mark())
        verdict = Verdict.NOTHING
        try:
            answer = await self._timed(state, path, address)
            verdict = Verdict.FAILED if answer.status_code >= 500 else Verdict.ALIVE
        except _Failure as failure:
            verdict = failure.verdict
            raise
        finally:
            breaker.leave(ticket, verdict)
        return answer

    async def _timed(self, state: LoopState, path: str, address: str) -> Answer:
        started, progress = time.monotonic(), _Progress()
        failure: _Failure | None = None
        hurried = False
        allowed_s = min(REQUEST_DEADLINE_S, self.budget.seconds_left)
        try:
            async with asyncio.timeout(None) as limit:
                state.deadlines.add(limit, allowed_s)
                try:
                    answer, body = await self._exchange(state.wire(self._server), address, progress)
                finally:
                    state.deadlines.drop(limit)
        except _WIRE_ERRORS as caught:
            failure = _failure_of(caught, progress.status)
            if limit.expired() and allowed_s < CONNECT_S:
                # A caller in such a hurry says nothing of the server.
                failure.verdict, hurried = Verdict.NOTHING, True
        except asyncio.CancelledError:
            self._observe(observing.ABANDONED, progress.status, round((time.monotonic() - started) * 1000))
            raise
        duration_ms = round((time.monotonic() - started) * 1000)
        if failure is None:
            self._learn(answer.header("x-temba-workspace"))
            self._observe(observing.outcome_of(answer.status, body), answer.status, duration_ms)
            logger.info("GET %s status=%d duration_ms=%d", path, answer.status, duration_ms)
            return Answer(answer.status, answer.raw_headers, body, duration_ms, address)
        error = failure.error
        if error.kind is not Kind.BUSY:  # then nothing went out
            self._observe(observing.ABANDONED if hurried else error.kind, progress.status, duration_ms)
        logger.warning(
            "GET %s error=%s kind=%s status=%s duration_ms=%d",
            path,
            type(error).__name__,
            error.kind,
            error.status_code,
            duration_ms,
        )
        raise failure

    def _observe(self, outcome: str, status: int | None, duration_ms: int) -> None:
        observer(self._origin, self._caller.workspace, self._caller.name, outcome, status, duration_ms)

    def _learn(self, workspace: str) -> None:
        if workspace != self._caller.workspace and len(workspace) == 36 and workspace.isascii():
            self._caller.workspace = workspace

    async def _exchange(self, wire: Wire, address: str, progress: "_Progress") -> tuple[Opened, bytes]:
        headers = _HEADERS | {"Authorization": self._credential.authorization()}
        answer = await wire.open(address, headers, CONNECT_S, READ_S)
        progress.status = answer.status
        try:
            body = await bodies.read(answer, min(MAX_BODY_BYTES, self.budget.bytes_left))
        except bodies.BodyError:
            # Of an answer that is no success the status says enough.
            if 200 <= answer.status < 300:
                raise
            body = b""
        finally:
            await answer.aclose()
        self.budget.bytes_left -= len(body)
        return answer, body


class _Progress:
    """How far an exchange came: the status, once there is one."""

    __slots__ = ("status",)

    def __init__(self) -> None:
        self.status: int | None = None


class _Failure(Exception):
    """A try that did not succeed: what it means, what it shows of the server, and whether another one may help."""

    def __init__(
        self,
        error: AbstractRequestException,
        answer: Answer | None = None,
        *,
        is_fleeting: bool = False,
        verdict: Verdict = Verdict.NOTHING,
    ) -> None:
        super().__init__(type(error).__name__)
        self.error, self.answer, self.is_fleeting, self.verdict = error, answer, is_fleeting, verdict


def _address(address: str, params: Params) -> str:
    return f"{address}?{urlencode(params, doseq=True)}" if params else address


def _failure_of(caught: Exception, status: int | None) -> _Failure:
    """Return what a failure on the wire means. `status` is that of the answer, where its head had come already.

    A refused connection, a failed look-up and a bad certificate can come wrapped: so the causes are read too.
    """
    causes = list(_chain(caught))

    def has(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    if has(bodies.BodyTooLarge):
        return _Failure(errors.TooLargeException(status_code=status), verdict=Verdict.ALIVE)
    if has(bodies.BodyUndecodable):
        return _Failure(errors.MalformedException(status_code=status), verdict=Verdict.ALIVE)
    if has(ssl.SSLError, ssl.CertificateError, aiohttp.ClientSSLError) and status is None:
        return _Failure(errors.TlsFailedException(), verdict=Verdict.NO_CONNECTION)
    if has(AddressRefused):
        # Nothing is said of the server, and it must not look different from one that is down.
        return _Failure(errors.UnreachableException())
    if has(TooManyLookUps):
        return _Failure(errors.BusyException("Too many names are being looked up.", retry_after_s=5))
    if has(TimeoutError, LookUpTimedOut) or (
        isinstance(caught, httpx.TimeoutException) and not has(aiohttp.ClientError, OSError)
    ):
        return _Failure(errors.TimedOutException(status_code=status), is_fleeting=True, verdict=Verdict.FAILED)
    if status is not None:
        broken = errors.MalformedException("The server's answer broke off.", status_code=status)
        return _Failure(broken, is_fleeting=True, verdict=Verdict.FAILED)
    return _Failure(errors.UnreachableException(), is_fleeting=True, verdict=Verdict.NO_CONNECTION)


def _chain(failure: BaseException | None) -> Iterator[BaseException]:
    # A chain can lead back into itself: an exception that a library raises again while another is handled.
    seen: set[int] = set()
    while failure is not None and id(failure) not in seen:
        seen.add(id(failure))
        yield failure
        failure = failure.__cause__ or failure.__context__
