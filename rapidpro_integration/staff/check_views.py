"""The checks of everybody's tokens."""

from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.http import require_safe

from rapidpro_integration.staff import check_rows as queries
from rapidpro_integration.staff import ranges, tokens
from rapidpro_integration.staff.exporting import acsv_response
from rapidpro_integration.staff.frame import anote_look, needs, page_response
from rapidpro_integration.staff.tables import page_of

_RANGE = "24h"


@require_safe
@needs("staff_tokens")
async def checks(request: HttpRequest) -> HttpResponseBase:
    """Show the checks that fit the filters, newest first."""
    context = await sync_to_async(_list)(request)
    await anote_look(request, "tokencheck")
    return page_response(request, "tokens", "checks.html", **context)


def _list(request: HttpRequest) -> dict[str, Any]:
    form, within = queries.CheckFilterForm(request.GET), ranges.range_of(request.GET, _RANGE)
    form.offer_servers(tokens.server_counts())
    found = form.rows(within)
    page = page_of(queries.shown(found), request.GET.get("page"), count=found.count())
    return {"form": form, "page": page, "within": within, "ranges": ranges.CHOICES}


@require_safe
@needs("staff_tokens")
async def checks_csv(request: HttpRequest) -> HttpResponseBase:
    """Send the same checks, all of them, as a file."""
    rows = queries.CheckFilterForm(request.GET).rows(ranges.range_of(request.GET, _RANGE))
    return await acsv_response(request, "checks", queries.shown(rows), queries.EXPORTED)
