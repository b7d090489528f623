"""The whole audit log."""

from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.http import require_safe

from accounts.audit.actions import Action
from accounts.audit.exporting import csv_response
from accounts.audit.services import arecord
from rapidpro_integration.staff import ranges
from rapidpro_integration.staff.audits import AuditFilterForm
from rapidpro_integration.staff.frame import anote_look, needs, page_response
from rapidpro_integration.staff.tables import page_of


@require_safe
@needs("staff_audit")
async def audit(request: HttpRequest) -> HttpResponseBase:
    """Show the entries that fit the filters, newest first."""
    context = await sync_to_async(_list)(request)
    await anote_look(request, "auditentry")
    return page_response(request, "audit", "audit.html", **context)


def _list(request: HttpRequest) -> dict[str, Any]:
    form, within = AuditFilterForm(request.GET), ranges.range_of(request.GET)
    page = page_of(form.rows(within), request.GET.get("page"))
    return {"form": form, "page": page, "within": within, "ranges": ranges.CHOICES}


@require_safe
@needs("staff_audit")
async def audit_csv(request: HttpRequest) -> HttpResponseBase:
    """Send the same entries, all of them, with their signatures."""
    filters = sorted(name for name in request.GET if request.GET[name])
    await arecord(Action.LOG_EXPORTED, details={"filters": filters})
    return csv_response(AuditFilterForm(request.GET).rows(ranges.range_of(request.GET)), full=True)
