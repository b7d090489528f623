"""The pages of a workspace's flows."""

import json
from contextlib import suppress
from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse
from django.views.decorators.http import require_safe

from accounts.selectors import person
from rapidpro_integration import selectors, services
from rapidpro_integration.checking import as_told, outcome_of
from rapidpro_integration.client.errors import AbstractRequestException, Kind
from rapidpro_integration.forms import FlowWindowForm
from rapidpro_integration.interface import RapidProInterface
from rapidpro_integration.models import RapidProToken
from rapidpro_integration.problems import problem_response
from rapidpro_integration.services import TokenChangedMeanwhile

ROWS_A_PAGE = 250


async def _aproblem(request: HttpRequest, error: AbstractRequestException, token: RapidProToken) -> HttpResponseBase:
    """Show the error; a refused token is also the newest truth about that token, so it is kept."""
    error = as_told(error, token.access)
    outcome = outcome_of(error)
    if error.kind in {Kind.REJECTED, Kind.NOT_ALLOWED}:
        # Replaced or disabled since this request read it: then the refusal says nothing about what is there now.
        with suppress(TokenChangedMeanwhile):
            await services.arecord_check(token, outcome)
    return problem_response(request, error, token, outcome.reference)


def pretty_json(value: object) -> str:
    """Return JSON for people to read; what cannot be sent in a page (a lone surrogate) becomes a question mark."""
    return json.dumps(value, indent=2, ensure_ascii=False).encode("utf-8", "replace").decode()


@require_safe
async def flow_list(request: HttpRequest, token_id: UUID) -> HttpResponseBase:
    """Show the flows of one of the person's workspaces, newest first, whole or in a window of modification days."""
    token = await selectors.aget_token_or_404(person(request).pk, token_id)
    context: dict[str, object] = {"section": "tokens", "token": token, "form": (form := FlowWindowForm(request.GET))}
    if form.is_valid():
        after, before = form.window()
        try:
            flows = await RapidProInterface.for_token(token).aget_flows(before_date=before, after_date=after)
        except AbstractRequestException as error:
            return await _aproblem(request, error, token)
        await services.arecord_use(token)
        page = Paginator(flows, ROWS_A_PAGE).get_page(request.GET.get("page"))
        context |= {"flows": flows, "page": page, "filtered": bool(after or before)}
    return TemplateResponse(request, "rapidpro_integration/flow_list.html", context)


@require_safe
async def flow_detail(request: HttpRequest, token_id: UUID, flow_uuid: UUID) -> HttpResponseBase:
    """Show one flow; its raw JSON on demand."""
    token = await selectors.aget_token_or_404(person(request).pk, token_id)
    try:
        flow = await RapidProInterface.for_token(token).aget_flow(flow_uuid)
    except AbstractRequestException as error:
        return await _aproblem(request, error, token)
    await services.arecord_use(token)
    context: dict[str, object] = {"section": "tokens", "token": token, "flow": flow}
    if flow is None:
        return TemplateResponse(request, "rapidpro_integration/flow_missing.html", context, status=404)
    if "raw" in request.GET:
        context["raw"] = pretty_json(flow.raw)
    return TemplateResponse(request, "rapidpro_integration/flow_detail.html", context)
