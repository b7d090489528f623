"""How servers are doing; pausing one and ending the pause."""

from typing import Any

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from rapidpro_integration.staff import ranges
from rapidpro_integration.staff import server_health as queries
from rapidpro_integration.staff.exporting import acsv_response
from rapidpro_integration.staff.frame import needs, page_response
from rapidpro_integration.staff.tables import page_of_few


@require_safe
@needs("staff_servers")
async def servers(request: HttpRequest) -> HttpResponseBase:
    """Show all servers, the worst first."""
    return page_response(request, "servers", "servers.html", **await sync_to_async(_list)(request))


def _list(request: HttpRequest) -> dict[str, Any]:
    within = ranges.range_of(request.GET)
    lines = queries.lines(within)
    wanted = request.GET.get("condition", "")
    if wanted in queries.Condition.values:
        lines = [line for line in lines if line.condition == wanted]
    page = page_of_few(lines, request.GET.get("page"))
    return {
        "page": page,
        "charts": queries.request_charts(within),
        "within": within,
        "ranges": ranges.CHOICES,
        "conditions": queries.Condition.choices,
        "condition": wanted,
    }


@require_safe
@needs("staff_servers")
async def servers_csv(request: HttpRequest) -> HttpResponseBase:
    """Send the servers as a file."""
    lines = await sync_to_async(queries.lines)(ranges.range_of(request.GET))
    return await acsv_response(request, "servers", lines, queries.EXPORTED)


@require_safe
@needs("staff_servers")
async def server(request: HttpRequest) -> HttpResponseBase:
    """Show one server: `?server=https://host`."""
    within = ranges.range_of(request.GET)
    lines = await sync_to_async(queries.lines)(within, request.GET.get("server", "") or "-")
    if not lines:
        raise Http404
    charts = await sync_to_async(queries.request_charts)(within, lines[0].origin)
    context = {"line": lines[0], "charts": charts, "within": within, "ranges": ranges.CHOICES}
    return page_response(request, "servers", "server.html", **context)


@require_POST
@needs("staff_servers", "staff_server_actions")
async def server_pause(request: HttpRequest) -> HttpResponseBase:
    """Pause the server that is named, or end its pause."""
    origin, paused = request.POST.get("server", ""), request.POST.get("paused") == "yes"
    lines = await sync_to_async(queries.lines)(queries.last_day(), origin or "-")
    if not lines:
        raise Http404
    if await sync_to_async(queries.set_paused)(origin, paused=paused):
        text = _("%(server)s is paused: nothing is sent to it.") if paused else _("The pause of %(server)s has ended.")
        messages.success(request, text % {"server": lines[0].host})
    return HttpResponseRedirect(f"{reverse('staff:server')}?{urlencode({'server': origin})}")
