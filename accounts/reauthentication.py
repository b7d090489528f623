"""A fresh proof of who somebody is, before what cannot be taken back: within five minutes, or it is asked for."""

import time
from collections.abc import Awaitable, Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, cast

from allauth.account import app_settings
from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.login import get_authentication_records
from allauth.core.exceptions import ReauthenticationRequired
from django.contrib import messages
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from accounts.selectors import person

type View = Callable[..., HttpResponseBase]
type AsyncView = Callable[..., Awaitable[HttpResponseBase]]


def is_recent(request: HttpRequest) -> bool:
    """Return whether the signed-in person has proved who they are in the last five minutes; the sign-in counts too.

    Asks the session alone, which the guard of every page has loaded: no query.
    """
    records = get_authentication_records(request, person(request))
    return bool(records) and 0 <= time.time() - records[-1]["at"] < app_settings.REAUTHENTICATION_TIMEOUT


def require_fresh_proof(request: HttpRequest) -> None:
    """Raise ReauthenticationRequired, which becomes `ask_again`, unless the proof is recent."""
    if not is_recent(request):
        raise ReauthenticationRequired


def reauthentication_required[V: View | AsyncView](view: V) -> V:
    """Return the view, sync or async, behind a fresh proof."""
    if iscoroutinefunction(view):

        @wraps(view)
        async def aguarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            require_fresh_proof(request)
            response: HttpResponseBase = await view(request, *args, **kwargs)
            return response

        return cast("V", aguarded)

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        require_fresh_proof(request)
        return cast("HttpResponseBase", view(request, *args, **kwargs))

    return cast("V", guarded)


def ask_again(request: HttpRequest) -> HttpResponseBase:
    """Send the person to prove who they are and then back to the page; what was posted is dropped, and they are told.

    allauth would keep the posted fields in the session until then: a token or a new password must never lie there.
    """
    if request.method not in {"GET", "HEAD"}:
        messages.warning(request, _("Nothing was changed. Confirm that it is you, then send the form once more."))
    methods = get_adapter().get_reauthentication_methods(request.user)
    address = methods[0]["url"] if methods else resolve_url("account_login")
    return HttpResponseRedirect(f"{address}?{urlencode({REDIRECT_FIELD_NAME: request.get_full_path()})}")
