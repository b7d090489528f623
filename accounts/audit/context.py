"""Who is asking, and from where: known to every entry without being handed through every call."""

import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from inspect import iscoroutinefunction
from pathlib import Path

from allauth.account.adapter import get_adapter
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from config import request_ids

type Handler = Callable[[HttpRequest], HttpResponseBase]
type AsyncHandler = Callable[[HttpRequest], Awaitable[HttpResponseBase]]


@dataclass(frozen=True, slots=True)
class Source:
    """Who does something, and from where. `person` is None for a stranger and for a program."""

    person_id: int | None
    name: str
    address: str = ""
    agent: str = ""
    reference: str = ""


_request: ContextVar[HttpRequest | None] = ContextVar("audit_request", default=None)
_program: ContextVar[str] = ContextVar("audit_program", default="")


def name_of(person: AbstractBaseUser | None) -> str:
    """Return the text by which an entry names a person, for when the account is gone: "Amina <amina@example.org>"."""
    if person is None:
        return ""
    email, name = getattr(person, "email", ""), getattr(person, "name", "")
    return f"{name} <{email}>" if name and email else name or email or person.get_username()


def _address(request: HttpRequest) -> str:
    # The adapter's answer, so that the log and the rate limits believe the same proxies.
    try:
        return str(get_adapter().get_client_ip(request))
    except PermissionDenied:
        return ""  # a server behind a Unix socket knows none


def source() -> Source:
    """Return who is asking now: the request's person, or the program that runs."""
    request = _request.get()
    if request is None:
        return Source(None, _program.get() or " ".join((Path(sys.argv[0]).name, *sys.argv[1:2])))
    person = getattr(request, "user", None)
    if person is None or not person.is_authenticated:
        person = None
    agent = request.headers.get("User-Agent", "")
    return Source(person.pk if person else None, name_of(person), _address(request), agent, request_ids.reference())


@contextmanager
def acting_as(program: str) -> Iterator[None]:
    """Name the program that acts, as "manage.py tokens rotate", for the entries written inside."""
    before = _program.set(program)
    try:
        yield
    finally:
        _program.reset(before)


@sync_and_async_middleware
def remember_request(get_response: Handler | AsyncHandler) -> Handler | AsyncHandler:
    """Return a middleware that lets every entry written during a request say who asked, and from where."""
    if iscoroutinefunction(get_response):

        async def amiddleware(request: HttpRequest) -> HttpResponseBase:
            before = _request.set(request)
            try:
                response: HttpResponseBase = await get_response(request)
            finally:
                _request.reset(before)
            return response

        return amiddleware

    def middleware(request: HttpRequest) -> HttpResponseBase:
        before = _request.set(request)
        try:
            response = get_response(request)
        finally:
            _request.reset(before)
        assert isinstance(response, HttpResponseBase)  # noqa: S101  # narrows the type of the sync branch
        return response

    return middleware
