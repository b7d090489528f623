"""Background work: what there is, trying again what failed, taking back what has not begun."""

from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.audit.actions import Action
from accounts.audit.services import arecord
from rapidpro_integration.health import work as health_work
from rapidpro_integration.staff import tasks as queries
from rapidpro_integration.staff.exporting import acsv_response
from rapidpro_integration.staff.frame import needs, page_response
from rapidpro_integration.staff.tables import Order, page_of


@require_safe
@needs("staff_work")
async def work(request: HttpRequest) -> HttpResponseBase:
    """Show the tasks that fit the filters, and the workers."""
    return page_response(request, "work", "work.html", **await sync_to_async(_list)(request))


def _list(request: HttpRequest) -> dict[str, Any]:
    form = queries.WorkFilterForm(request.GET)
    order = Order.of(queries.COLUMNS, request.GET, queries.DEFAULT_ORDER)
    return {
        "form": form,
        "page": page_of(order.apply(form.rows()), request.GET.get("page")),
        "headings": order.headings,
        "counts": queries.status_counts(),
        "statuses": queries.STATUSES,
        "workers": [(worker, queries.is_alive(worker)) for worker in queries.workers()],
        "is_kept_here": health_work.is_kept_here(),
    }


@require_safe
@needs("staff_work")
async def work_csv(request: HttpRequest) -> HttpResponseBase:
    """Send the same tasks, all of them, as a file."""
    rows = queries.WorkFilterForm(request.GET).rows().order_by("-enqueued_at")
    return await acsv_response(request, "work", rows, queries.EXPORTED)


@require_POST
@needs("staff_work", "staff_work_actions")
async def work_change(request: HttpRequest, result_id: UUID) -> HttpResponseBase:
    """Put a failed task into the queue again, or take a queued one out of it."""
    change = {"retry": health_work.retry, "cancel": health_work.cancel}.get(request.POST.get("change", ""))
    if change is None:
        raise Http404
    try:
        done = await sync_to_async(change)(result_id)
    except health_work.NotOurs:
        messages.error(request, _("This work is kept elsewhere (TASKS_BACKEND): use the tools of that place."))
    else:
        if done:
            details = {"change": request.POST["change"], "task": str(result_id)}
            await arecord(Action.WORK_CHANGED, details=details)
            text = _("It is in the queue again.") if request.POST["change"] == "retry" else _("It was taken out.")
            messages.success(request, text)
        else:
            messages.warning(request, _("It is not in that state any more: look at the list again."))
    return HttpResponseRedirect(f"{resolve_url('staff:work')}?{request.GET.urlencode()}")
