"""All people, one person, and letting somebody in or not."""

from typing import Any

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from accounts.audit.models import AuditEntry
from accounts.models import User
from accounts.reauthentication import reauthentication_required
from accounts.selectors import person
from rapidpro_integration.staff import people as queries
from rapidpro_integration.staff import tokens
from rapidpro_integration.staff.exporting import acsv_response
from rapidpro_integration.staff.frame import allows, anote_look, needs, page_response
from rapidpro_integration.staff.tables import Order, page_of

_LAST_ENTRIES = 20
_TOKENS_SHOWN = 50


@require_safe
@needs("staff_users")
async def users(request: HttpRequest) -> HttpResponseBase:
    """Show the people who fit the filters."""
    context = await sync_to_async(_list)(request)
    await anote_look(request, "user")
    return page_response(request, "users", "users.html", **context)


def _list(request: HttpRequest) -> dict[str, Any]:
    form = queries.UserFilterForm(request.GET)
    order = Order.of(queries.COLUMNS, request.GET, queries.DEFAULT_ORDER)
    found = form.rows()
    page = page_of(order.apply(queries.shown(found)), request.GET.get("page"), count=found.count())
    return {"form": form, "page": page, "headings": order.headings}


@require_safe
@needs("staff_users")
async def users_csv(request: HttpRequest) -> HttpResponseBase:
    """Send the same rows, all of them, as a file."""
    rows = queries.shown(queries.UserFilterForm(request.GET).rows()).order_by("pk")
    return await acsv_response(request, "people", rows, queries.EXPORTED)


@require_safe
@needs("staff_users")
async def user(request: HttpRequest, user_id: int) -> HttpResponseBase:
    """Show one person: facts, tokens, what was done last."""
    row = await queries.shown(User.objects.filter(pk=user_id)).afirst()
    if row is None:
        raise Http404
    context: dict[str, Any] = {
        "person": row,
        "sessions": await queries.asessions_of(row),
        "may_change": allows(request, "staff_user_actions") and queries.may_change(person(request), row),
    }
    if allows(request, "staff_tokens"):
        context["tokens"] = [token async for token in tokens.of_person(row)[:_TOKENS_SHOWN]]
    if allows(request, "staff_audit"):
        context["entries"] = [entry async for entry in AuditEntry.objects.filter(owner_id=row.pk)[:_LAST_ENTRIES]]
    await anote_look(request, "user", owner=row)
    return page_response(request, "users", "user.html", **context)


@require_http_methods(["GET", "HEAD", "POST"])
@needs("staff_users", "staff_user_actions")
@reauthentication_required
async def active(request: HttpRequest, user_id: int) -> HttpResponseBase:
    """Ask whether to shut the person out, or to let them in again; do it (POST)."""
    row = await User.objects.filter(pk=user_id).defer("password").afirst()
    if row is None or not queries.may_change(person(request), row):
        raise Http404
    if request.method != "POST":
        return page_response(request, "users", "user_active.html", person=row, sessions=await queries.asessions_of(row))
    if request.POST.get("active") not in {"yes", "no"}:
        raise Http404
    wanted = request.POST["active"] == "yes"
    if await queries.aset_active(person(request), user_id, active=wanted):
        text = (
            _("%(person)s can sign in again.") if wanted else _("%(person)s is shut out, and every session has ended.")
        )
        messages.success(request, text % {"person": row})
    return HttpResponseRedirect(resolve_url("staff:user", row.pk))
