"""The page of one flow."""

import json
from uuid import UUID

from django.http import HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse
from django.views.decorators.http import require_safe

from accounts.selectors import person
from rapidpro_integration import selectors, services
from rapidpro_integration.checking import as_told, outcome_of
from rapidpro_integration.client.errors import AbstractRequestException
from rapidpro_integration.interface import RapidProInterface
from rapidpro_integration.models import RapidProToken
from rapidpro_integration.openings import Purpose, anote_opening
from rapidpro_integration.problems import problem_response


async def _aproblem(request: HttpRequest, error: AbstractRequestException, token: RapidProToken) -> HttpResponseBase:
    """Show the error; a refused token is also the newest truth about that token, so it is kept."""
    error = as_told(error, token.access)
    outcome = outcome_of(error)
    await services.arecord_refusal(token, outcome)
    return problem_response(request, error, token, outcome.reference)


def pretty_json(value: object) -> str:
    """Return JSON for people to read; what cannot be sent in a page (a lone surrogate) becomes a question mark."""
    return json.dumps(value, indent=2, ensure_ascii=False).encode("utf-8", "replace").decode()


@require_safe
async def flow_detail(request: HttpRequest, token_id: UUID, flow_uuid: UUID) -> HttpResponseBase:
    """Show one flow; its raw JSON on demand."""
    token = await selectors.aget_token_or_404(person(request).pk, token_id)
    try:
        interface = RapidProInterface.for_token(token)
        await anote_opening(token, Purpose.FLOW)
        flow = await interface.aget_flow(flow_uuid)
    except AbstractRequestException as error:
        return await _aproblem(request, error, token)
    await services.arecord_use(token)
    context: dict[str, object] = {"section": "tokens", "token": token, "flow": flow}
    if flow is None:
        return TemplateResponse(request, "rapidpro_integration/flow_missing.html", context, status=404)
    if "raw" in request.GET:
        context["raw"] = pretty_json(flow.raw)
    return TemplateResponse(request, "rapidpro_integration/flow_detail.html", context)
