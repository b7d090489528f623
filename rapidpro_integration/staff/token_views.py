"""Everybody's tokens."""

from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.http import require_safe

from rapidpro_integration.staff import tokens as queries
from rapidpro_integration.staff.exporting import acsv_response
from rapidpro_integration.staff.frame import allows, anote_look, needs, page_response
from rapidpro_integration.staff.tables import Order, page_of


@require_safe
@needs("staff_tokens")
async def tokens(request: HttpRequest) -> HttpResponseBase:
    """Show the tokens that fit the filters."""
    context = await sync_to_async(_list)(request)
    await anote_look(request, "rapidprotoken")
    return page_response(request, "tokens", "tokens.html", **context)


def _list(request: HttpRequest) -> dict[str, Any]:
    form = queries.TokenFilterForm(request.GET)
    form.offer_servers(queries.server_counts())
    order = Order.of(queries.COLUMNS, request.GET, queries.DEFAULT_ORDER)
    found = form.rows()
    rows = queries.shown(found, order, last_four=allows(request, "staff_last_four"))
    page = page_of(rows, request.GET.get("page"), count=found.count())
    return {"form": form, "page": page, "headings": order.headings}


@require_safe
@needs("staff_tokens")
async def tokens_csv(request: HttpRequest) -> HttpResponseBase:
    """Send the same rows, all of them, as a file."""
    rows = queries.TokenFilterForm(request.GET).rows().order_by("created_on", "pk")
    return await acsv_response(request, "tokens", rows, queries.EXPORTED)
