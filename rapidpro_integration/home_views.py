"""The home page: a card for each token, and one search over the flows of all of them."""

import asyncio
from dataclasses import dataclass
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from accounts.limits import limited
from accounts.selectors import person
from config.pages import in_one_hop
from rapidpro_integration import selectors, services
from rapidpro_integration.checking import as_told, outcome_of
from rapidpro_integration.client.errors import AbstractRequestException
from rapidpro_integration.flow_lists import alisting
from rapidpro_integration.models import RapidProToken
from rapidpro_integration.problems import PROBLEMS, Text, log_problem
from rapidpro_integration.workspaces import aoverview, overview

MAX_TYPED = 200
# A card waits no longer than a person does. The page of the flows has more patience, and says how far it is.
FETCH_S = 15.0

_TEMPLATE = "rapidpro_integration/home.html"
_TOO_LONG = _("The server is slow, and nothing was kept. Open the flows of this workspace: that page waits longer.")


@dataclass(frozen=True, slots=True)
class Note:
    """Why a card has nothing new, with the reference under which it stands in the log."""

    title: Text
    advice: Text
    reference: str = ""


@in_one_hop
def home(request: HttpRequest) -> HttpResponseBase:
    """Show the cards of the person's tokens; with `q` also the flows found. What is kept is all that is asked."""
    typed = request.GET.get("q", "").replace("\0", "")[:MAX_TYPED]
    tokens = list(selectors.tokens_of(person(request).pk))
    context = {"section": "home", "overview": overview(tokens, typed), "typed": typed}
    return TemplateResponse(request, _TEMPLATE, context)


@require_POST
@limited("flows_refresh")
async def flow_fetch(request: HttpRequest, token_id: UUID) -> HttpResponseBase:
    """Ask one server for its flows, for FETCH_S at most, and show the card anew: alone for htmx, else all of them."""
    token = await selectors.aget_token_or_404(person(request).pk, token_id)
    note = await _afetch(token)
    if request.headers.get("HX-Request") == "true":
        token = await selectors.aget_token_or_404(person(request).pk, token_id)  # a refusal has changed its state
        view = await aoverview([token])
        return TemplateResponse(request, f"{_TEMPLATE}#card", {"overview": view, "card": view.cards[0], "note": note})
    name = token.workspace_name or token.label
    if note:
        words = format_html("<bdi>{}</bdi>: {}. {}", name, note.title, note.advice)
        messages.warning(request, words)
    else:
        messages.success(request, format_html("<bdi>{}</bdi>: {}", name, _("The list is up to date.")))
    return HttpResponseRedirect(resolve_url("home"))


async def _afetch(token: RapidProToken) -> Note | None:
    """Ask for the token's flows; return what stood in the way."""
    try:
        async with asyncio.timeout(FETCH_S):
            listing = await alisting(token, anew=True)
    except TimeoutError:
        return Note(_("This takes long"), _TOO_LONG)
    except AbstractRequestException as caught:
        error = as_told(caught, token.access)
    else:
        problem = PROBLEMS[listing.problem] if listing.problem else None
        return Note(problem.title, problem.advice) if problem else None
    outcome = outcome_of(error)
    await services.arecord_refusal(token, outcome)
    log_problem(error, token, outcome.reference)
    problem = PROBLEMS[error.kind]
    return Note(problem.title, problem.advice, outcome.reference)
