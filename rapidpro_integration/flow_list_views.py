"""The page of a workspace's flows, answered from the kept list."""

from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.selectors import person
from rapidpro_integration import selectors
from rapidpro_integration.client.errors import AbstractRequestException
from rapidpro_integration.flow_lists import alisting
from rapidpro_integration.flow_views import _aproblem
from rapidpro_integration.forms import FlowWindowForm
from rapidpro_integration.problems import PROBLEMS

ROWS_A_PAGE = 250


@require_safe
async def flow_list(request: HttpRequest, token_id: UUID) -> HttpResponseBase:
    """Show the flows of one of the person's workspaces, newest first, whole or in a window of modification days."""
    token = await selectors.aget_token_or_404(person(request).pk, token_id)
    context: dict[str, object] = {"section": "tokens", "token": token, "form": (form := FlowWindowForm(request.GET))}
    if form.is_valid():
        try:
            listing = await alisting(token)
        except AbstractRequestException as error:
            return await _aproblem(request, error, token)
        flows = listing.flows
        rows = [flow for flow in flows.rows if form.admits(flow.modified_on)]
        context |= {
            "flows": flows,
            "problem": PROBLEMS[listing.problem] if listing.problem else None,
            "page": Paginator(rows, ROWS_A_PAGE).get_page(request.GET.get("page")),
            "filtered": any(form.window()),
        }
    return TemplateResponse(request, "rapidpro_integration/flow_list.html", context)


@require_POST
async def flow_refresh(request: HttpRequest, token_id: UUID) -> HttpResponseBase:
    """Ask the server for the list now, and go back to the page with the same filters."""
    token = await selectors.aget_token_or_404(person(request).pk, token_id)
    try:
        listing = await alisting(token, anew=True)
    except AbstractRequestException as error:
        return await _aproblem(request, error, token)
    if listing.problem is None:
        messages.success(request, _("The list is up to date."))
    query = request.GET.urlencode()
    return HttpResponseRedirect(reverse("rapidpro:flow-list", args=[token.pk]) + (f"?{query}" if query else ""))
