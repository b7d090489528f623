"""The pages on which people read what was done with their account and their tokens."""

from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse
from django.views.decorators.http import require_safe

from accounts.audit import selectors
from accounts.audit.actions import Action
from accounts.audit.exporting import csv_response
from accounts.audit.services import arecord
from accounts.selectors import person


def _token_id(request: HttpRequest) -> UUID | None:
    text = request.GET.get("token", "")
    try:
        return UUID(text) if text else None
    except ValueError:
        raise Http404 from None


@require_safe
async def log(request: HttpRequest) -> HttpResponseBase:
    """Show the log of the person's account and tokens, newest first, or that of one token."""
    token_id = _token_id(request)
    page = await selectors.apage_of(person(request).pk, token_id, request.GET.get("page"))
    context = {"page": page, "token_id": token_id, "section": "profile"}
    return TemplateResponse(request, "accounts/log.html", context)


@require_safe
async def log_csv(request: HttpRequest) -> HttpResponseBase:
    """Send the same log whole, as a file for a spreadsheet."""
    owner, token_id = person(request), _token_id(request)
    await arecord(Action.LOG_EXPORTED, owner=owner)
    return csv_response(selectors.entries_of(owner.pk, token_id), full=False)
