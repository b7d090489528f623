"""Where a person is signed in, and the way to end it from here."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth import alogout
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from accounts import selectors, services
from accounts.devices import device_name
from accounts.selectors import person


@require_safe
async def session_list(request: HttpRequest) -> HttpResponseBase:
    """Show the person's sessions, this one first."""
    key = request.session.session_key
    rows = [
        {"row": row, "device": device_name(row.user_agent), "is_this": row.session_id == key}
        async for row in selectors.sessions_of(person(request).pk)
    ]
    rows.sort(key=lambda each: not each["is_this"])
    return TemplateResponse(request, "accounts/session_list.html", {"rows": rows, "section": "profile"})


@require_POST
async def session_end(request: HttpRequest, session_id: UUID) -> HttpResponseBase:
    """End one session; this one is a sign-out."""
    row = await selectors.aget_session_or_404(person(request).pk, session_id)
    if row.session_id == request.session.session_key:
        await alogout(request)
        return HttpResponseRedirect(resolve_url("home"))
    await services.aend_session(row)
    messages.success(request, _("That session has ended."))
    return HttpResponseRedirect(resolve_url("accounts:session-list"))


@require_POST
async def session_end_others(request: HttpRequest) -> HttpResponseBase:
    """End every session but this one."""
    count = await services.aend_sessions(person(request), but=request.session.session_key)
    text = ngettext("%(count)d other session has ended.", "%(count)d other sessions have ended.", count)
    messages.success(request, text % {"count": count})
    return HttpResponseRedirect(resolve_url("accounts:session-list"))
