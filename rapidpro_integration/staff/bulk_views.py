"""Actions on tokens: chosen, confirmed, watched, undone. One address shows an action from its draft to its end."""

from uuid import UUID

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from accounts.selectors import person
from rapidpro_integration.models import RapidProToken
from rapidpro_integration.staff import bulk, tokens
from rapidpro_integration.staff.frame import needs, page_response
from rapidpro_integration.staff.models import BulkAction, BulkKind

# So many of the tokens are named on the page that asks whether that is meant.
_NAMED = 20


@require_POST
@needs("staff_tokens", "staff_token_actions")
async def act(request: HttpRequest) -> HttpResponseBase:
    """Prepare an action on the ticked tokens, or on all that fit the filters, and lead to its confirmation."""
    kind = request.POST.get("kind", "")
    if kind not in BulkKind.values:
        raise Http404
    ids = await sync_to_async(_chosen)(request)
    if not ids:
        messages.warning(request, _("Choose at least one token first."))
        return HttpResponseRedirect(f"{reverse('staff:tokens')}?{request.GET.urlencode()}")
    prepared = await sync_to_async(bulk.prepare)(person(request), kind, ids)
    return HttpResponseRedirect(resolve_url("staff:action", prepared.pk))


def _chosen(request: HttpRequest) -> list[str]:
    if request.POST.get("everything"):
        return tokens.ids_of(tokens.TokenFilterForm(request.GET).rows(), bulk.MAX_TOKENS)
    return tokens.known_ids(request.POST.getlist("token"))


@require_http_methods(["GET", "HEAD", "POST"])
@needs("staff_tokens", "staff_token_actions")
async def action(request: HttpRequest, action_id: UUID) -> HttpResponseBase:
    """Ask whether it is meant, begin (POST), then show how far it is and how it ended."""
    row = await BulkAction.objects.select_related("undone_by", "undoes").filter(pk=action_id).afirst()
    if row is None:
        raise Http404
    if request.method == "POST":
        if row.staff_id != person(request).pk:
            raise Http404
        if not await sync_to_async(bulk.confirm)(row, request.POST.get("note", "").replace("\0", "")[:300]):
            messages.info(request, _("This has begun already."))
        return HttpResponseRedirect(resolve_url("staff:action", row.pk))
    named = RapidProToken.objects.filter(pk__in=row.token_ids[:_NAMED]).select_related("owner")
    rows = [token async for token in named.defer("sealed", "fingerprint", "last_four")]
    context = {
        "action": row,
        "tokens": rows,
        "more": row.total - len(rows),
        "is_own": row.staff_id == person(request).pk,
        "undone_by": getattr(row, "undone_by", None),
    }
    return page_response(request, "tokens", "action.html", **context)


@require_POST
@needs("staff_tokens", "staff_token_actions")
async def undo(request: HttpRequest, action_id: UUID) -> HttpResponseBase:
    """Take an action back."""
    row = await BulkAction.objects.filter(pk=action_id).afirst()
    if row is None:
        raise Http404
    back = await sync_to_async(bulk.undo)(row, person(request))
    if back is None:
        messages.warning(request, _("There is nothing to undo any more."))
    return HttpResponseRedirect(resolve_url("staff:action", (back or row).pk))
