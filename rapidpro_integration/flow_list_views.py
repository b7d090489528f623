"""The page of a workspace's flows, answered from the kept list."""

import asyncio
from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.audit.actions import Action
from accounts.audit.services import arecord
from accounts.limits import limited
from accounts.selectors import person
from rapidpro_integration import selectors, services
from rapidpro_integration.client.errors import AbstractRequestException
from rapidpro_integration.exports import FORMATS, file_response
from rapidpro_integration.flow_filters import DEFAULT_SORT, Counts, FlowQuery, search
from rapidpro_integration.flow_forms import TITLES, FlowFilterForm, fields_of, options_of, plain_query
from rapidpro_integration.flow_lists import Listing, alisting, aprogress, astop
from rapidpro_integration.flow_numbers import changes_of, numbers_of
from rapidpro_integration.flow_rows import flow_rows
from rapidpro_integration.flow_views import _aproblem
from rapidpro_integration.models import RapidProToken
from rapidpro_integration.problems import PROBLEMS

ROWS_A_PAGE = 250

# Of these the first click puts the largest or the newest on top.
_LARGEST_FIRST = frozenset({"runs", "rate", "modified", "created"})
# The fields that are folded away until one of them is used.
_MORE = ("after", "before", "created_after", "created_before", "idle", "rate_from", "rate_to")
# What htmx puts in place besides the rows: what the filters say, and never the field that somebody is typing in.
_SWAPPED = ",".join(
    [
        *("#asof", "#clear", "#id_sort", "#id_label", "#id_type", "#id_archived", "#count_no_runs"),
        *(f"#slot_{name}" for name in ("q", "label", "type", "archived", *_MORE)),
    ]
)


@dataclass(frozen=True, slots=True)
class Heading:
    """A column's heading: `order` is how it is sorted now ("" if it is not), `href` leads to what a click asks for."""

    title: Promise
    order: str
    href: str
    is_number: bool


def _href(asked: QueryDict, **changes: str) -> str:
    """Return the same filters on their first page, with these changes."""
    values = dict(asked.lists()) | {name: [value] for name, value in changes.items()}
    values.pop("page", None)
    return f"?{urlencode(values, doseq=True)}"


def _headings(asked: QueryDict, sort: str) -> list[Heading]:
    found = []
    for name, title in TITLES.items():
        order = {name: "ascending", f"-{name}": "descending"}.get(sort, "")
        down = order == "ascending" if order else name in _LARGEST_FIRST
        href = _href(asked, sort=f"-{name}" if down else name)
        found.append(Heading(title, order, href, name in {"runs", "rate"}))
    return found


@require_safe
async def flow_list(request: HttpRequest, token_id: UUID) -> HttpResponseBase:
    """Show the flows of one of the person's workspaces: filtered, sorted, 250 a page. Bad filters ask no server.

    Of a list that is still on its way it shows what came, and how far it is.
    """
    token = await selectors.aget_token_or_404(person(request).pk, token_id)
    query, form = plain_query(request.GET), None
    if query is None:
        form = FlowFilterForm(request.GET)
        if not form.is_valid():
            return await _alist_page(request, token, form)
        query = form.query()
    try:
        listing = await alisting(token, whole=False)
    except AbstractRequestException as error:
        return await _awhole_page(request, error, token)
    return await _alist_page(request, token, form, query, listing)


def _list_page(
    request: HttpRequest,
    token: RapidProToken,
    form: FlowFilterForm | None,
    query: FlowQuery | None = None,
    listing: Listing | None = None,
) -> HttpResponse:
    """Return the page; without a query it shows what is wrong with the filters. `form` is None if none is used."""
    fields = fields_of(form, request.GET.get("sort", ""))
    context: dict[str, object] = {
        "section": "tokens",
        "token": token,
        "fields": fields,
        "invalid": query is None,
        "more": {name: fields[name] for name in _MORE},
        "more_open": any(request.GET.get(name) for name in (*_MORE, "labels_too", "no_runs")),
        "swapped": _SWAPPED,
        "list_url": reverse("rapidpro:flow-list", args=[token.pk]),
        "options": options_of(request.GET, Counts()),
    }
    if query is not None and listing is not None:
        context |= _facts(listing) | _found(request, token, query, listing)
    return render(request, "rapidpro_integration/flow_list.html", context)


def _found(request: HttpRequest, token: RapidProToken, query: FlowQuery, listing: Listing) -> dict[str, object]:
    since = services.note_look(token)
    found = search(listing.flows, query)
    page = Paginator(found.flows, ROWS_A_PAGE).get_page(request.GET.get("page"))
    return {
        # Of a part nobody knows what is new.
        "changes": changes_of(listing.flows.rows, since) if since and listing.progress is None else None,
        "found": found,
        "options": options_of(request.GET, found.counts),
        "headings": _headings(request.GET, query.sort),
        "same_filters": _href(request.GET),
        "exports": {kind.upper(): reverse("rapidpro:flow-export", args=[token.pk, kind]) for kind in FORMATS},
        "sorted": query.sort != DEFAULT_SORT,
        "page": page,
        "rows": flow_rows(token.pk, page.object_list),
        "filtered": query.is_filtered,
    }


# What the page needs of the database and of a processor, in one thread and one way to it.
_alist_page = sync_to_async(_list_page)


def _facts(listing: Listing) -> dict[str, object]:
    return {
        "flows": listing.flows,
        "problem": PROBLEMS[listing.problem] if listing.problem else None,
        "reference": listing.reference,
        "progress": listing.progress,
        "is_part": listing.progress is not None and not listing.flows.is_whole,
        "is_stopped": listing.is_stopped,
    }


async def _awhole_page(request: HttpRequest, error: AbstractRequestException, token: RapidProToken) -> HttpResponseBase:
    response = await _aproblem(request, error, token)
    if request.headers.get("HX-Request") == "true":
        # htmx swaps in no page of a problem: it loads the whole page again instead, and so the person sees it.
        response.headers["HX-Refresh"] = "true"
    return response


@require_POST
@limited("flows_refresh")
async def flow_refresh(request: HttpRequest, token_id: UUID) -> HttpResponseBase:
    """Ask the server for the list now, and go back to the page with the same filters, which shows how far it is."""
    token = await selectors.aget_token_or_404(person(request).pk, token_id)
    try:
        listing = await alisting(token, anew=True, go_on="go_on" in request.POST, whole=False)
    except AbstractRequestException as error:
        return await _aproblem(request, error, token)
    if listing.problem is None and listing.progress is None:
        whole = _("The list is up to date.") if listing.flows.is_whole else _("The list has grown.")
        messages.success(request, whole)
    return _back(request, token)


@require_safe
async def flow_progress(request: HttpRequest, token_id: UUID) -> HttpResponseBase:
    """Send the part of the list's page that says how far the list is; when it is there, that part fetches it."""
    token = await selectors.aget_token_or_404(person(request).pk, token_id)
    if request.headers.get("HX-Request") != "true":
        return _back(request, token)
    context = {"token": token, "progress": await aprogress(token), "swapped": _SWAPPED}
    return TemplateResponse(request, "rapidpro_integration/flow_progress.html", context)


@require_POST
async def flow_stop(request: HttpRequest, token_id: UUID) -> HttpResponseBase:
    """Stop reading the list, keep what came, and go back to the page with the same filters."""
    token = await selectors.aget_token_or_404(person(request).pk, token_id)
    await astop(token)
    return _back(request, token)


@require_safe
async def flow_numbers(request: HttpRequest, token_id: UUID) -> HttpResponseBase:
    """Show the numbers of the flows that fit the filters, and what changed since the last visit."""
    token = await selectors.aget_token_or_404(person(request).pk, token_id)
    form = FlowFilterForm(request.GET)
    if not form.is_valid():
        return _back(request, token)
    try:
        listing = await alisting(token)
    except AbstractRequestException as error:
        return await _aproblem(request, error, token)
    since = await services.anote_look(token)
    query = form.query()
    found = await asyncio.to_thread(search, listing.flows, query)
    context: dict[str, object] = {
        **_facts(listing),
        "section": "tokens",
        "token": token,
        "found": found,
        "filtered": query.is_filtered,
        "numbers": await asyncio.to_thread(numbers_of, found.flows),
        "changes": await asyncio.to_thread(changes_of, found.flows, since) if since else None,
    }
    return TemplateResponse(request, "rapidpro_integration/flow_numbers.html", context)


@require_safe
async def flow_export(request: HttpRequest, token_id: UUID, kind: str) -> HttpResponseBase:
    """Send exactly the flows that the page with the same filters shows, in its order, all pages, as a file."""
    token = await selectors.aget_token_or_404(person(request).pk, token_id)
    form = FlowFilterForm(request.GET)
    if kind not in FORMATS:
        raise Http404
    if not form.is_valid():
        return _back(request, token)
    try:
        flows = (await alisting(token)).flows
    except AbstractRequestException as error:
        return await _aproblem(request, error, token)
    found = await asyncio.to_thread(search, flows, form.query())
    await arecord(Action.FLOWS_EXPORTED, token=token, details={"format": kind, "flows": len(found.flows)})
    zone = timezone.get_current_timezone()
    return await asyncio.to_thread(file_response, token, flows, found.flows, kind, zone)


def _back(request: HttpRequest, token: RapidProToken) -> HttpResponseRedirect:
    """Return to the list with the filters that the request came with."""
    query = request.GET.urlencode()
    return HttpResponseRedirect(reverse("rapidpro:flow-list", args=[token.pk]) + (f"?{query}" if query else ""))
