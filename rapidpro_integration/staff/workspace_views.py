"""What workspaces have used of their requests, and who used it."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.http import Http404, HttpRequest, HttpResponseBase
from django.views.decorators.http import require_safe

from rapidpro_integration import servers
from rapidpro_integration.staff import ranges, tokens
from rapidpro_integration.staff import workspaces as queries
from rapidpro_integration.staff.exporting import acsv_response
from rapidpro_integration.staff.frame import anote_look, needs, page_response


@require_safe
@needs("staff_workspaces")
async def workspaces(request: HttpRequest) -> HttpResponseBase:
    """Show the workspaces that were drawn on in the last 60 minutes, the most used first."""
    context = await sync_to_async(_list)(request)
    await anote_look(request, "workspace")
    return page_response(request, "workspaces", "workspaces.html", **context)


def _list(request: HttpRequest) -> dict[str, Any]:
    now, form = datetime.now(UTC), queries.WorkspaceFilterForm(request.GET)
    form.offer_servers(tokens.server_counts())
    page = queries.page_of(form.rows(now), request.GET.get("page"), now)
    return {"form": form, "page": page, "budget": queries.BUDGET}


@require_safe
@needs("staff_workspaces")
async def workspaces_csv(request: HttpRequest) -> HttpResponseBase:
    """Send the same workspaces, all of them, as a file."""
    rows = queries.WorkspaceFilterForm(request.GET).rows(datetime.now(UTC))
    lines = (queries.line_of(row, []) for row in rows.iterator(chunk_size=500))
    return await acsv_response(request, "workspaces", lines, queries.EXPORTED)


@require_safe
@needs("staff_workspaces")
async def workspace(request: HttpRequest) -> HttpResponseBase:
    """Show one workspace: `?server=https://host&workspace=<uuid>`."""
    context = await sync_to_async(_one)(request)
    await anote_look(request, "workspace")
    return page_response(request, "workspaces", "workspace.html", **context)


def _one(request: HttpRequest) -> dict[str, Any]:
    origin = request.GET.get("server", "")
    try:
        workspace_uuid = UUID(request.GET.get("workspace", ""))
    except ValueError:
        raise Http404 from None
    # PostgreSQL takes no NUL in a text.
    name = None if "\0" in origin else queries.name_of(origin, workspace_uuid)
    if name is None:
        raise Http404
    within = ranges.range_of(request.GET, default="24h")
    return {
        "name": name,
        "origin": origin,
        "host": servers.host(origin),
        "workspace_uuid": workspace_uuid,
        "chart": queries.chart_of(within, origin, workspace_uuid),
        "page": queries.drawers_of(within, origin, workspace_uuid, request.GET.get("page")),
        "within": within,
        "ranges": [choice for choice in ranges.CHOICES if choice[0] in {"24h", "7d", "30d"}],
    }
