"""The guard and the frame of every staff page."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import wraps
from typing import Any

from asgiref.sync import sync_to_async
from django.core.cache import cache
from django.http import Http404, HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.audit.actions import Action
from accounts.audit.chain import Fact
from accounts.audit.services import record
from accounts.selectors import person
from rapidpro_integration.staff.permissions import PERMISSIONS, aheld_by

type AsyncView = Callable[..., Coroutine[Any, Any, HttpResponseBase]]

# How often an open page asks for its numbers anew.
REFRESH_S = 30
# The same look of the same person at the same page is one entry of the audit log for so long.
_ONE_LOOK_S = 600


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the bar on top: its name is the end of its permission's and its address's."""

    name: str
    title: Promise

    @property
    def permission(self) -> str:
        """What it needs."""
        return f"staff_{self.name}"

    @property
    def address(self) -> str:
        """Where it is."""
        return reverse(f"staff:{self.name}")


PAGES = (
    Page("overview", gettext_lazy("Overview")),
    Page("tokens", gettext_lazy("Tokens")),
    Page("servers", gettext_lazy("Servers")),
    Page("workspaces", gettext_lazy("Workspaces")),
    Page("users", gettext_lazy("People")),
    Page("work", gettext_lazy("Work")),
    Page("audit", gettext_lazy("Audit log")),
)


def held_by(request: HttpRequest) -> frozenset[str]:
    """Return which of PERMISSIONS the guarded request's person has."""
    held: frozenset[str] = vars(request).get("staff_permissions", frozenset())
    return held


def allows(request: HttpRequest, permission: str) -> bool:
    """Return whether the guarded request's person has one of PERMISSIONS."""
    return permission in held_by(request)


def needs(*permissions: str) -> Callable[[AsyncView], AsyncView]:
    """Return a decorator for a view that staff with all these permissions get.

    Other people learn nothing (404); staff without a permission are told which one it is (403).
    """

    def decorate(view: AsyncView) -> AsyncView:
        @wraps(view)
        async def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            user = person(request)
            if not user.is_staff:
                raise Http404
            held = await aheld_by(user)
            for permission in permissions:
                if permission not in held:
                    return refused(request, permission)
            vars(request)["staff_permissions"] = held
            return await view(request, *args, **kwargs)

        return guarded

    return decorate


def refused(request: HttpRequest, permission: str) -> TemplateResponse:
    """Return the page that names the permission that is missing."""
    advice = _("It takes the permission “%(permission)s”, which your account does not have. Ask your administrator.")
    context = {"title": _("You may not do that"), "advice": advice % {"permission": PERMISSIONS[permission]}}
    return TemplateResponse(request, "error.html", context, status=403)


def page_response(request: HttpRequest, name: str, template: str, /, **context: Any) -> TemplateResponse:
    """Return the page `name` of PAGES, or one below it."""
    held = held_by(request)
    frame = {
        "section": "staff",
        "staff_pages": [page for page in PAGES if page.permission in held],
        "staff_page": name,
        "can": {permission: permission in held for permission in PERMISSIONS},
        "is_live": request.GET.get("live") != "no",
        "refresh_s": REFRESH_S,
        "as_of": timezone.now(),
    }
    return TemplateResponse(request, f"staff/{template}", frame | context)


def note_look(request: HttpRequest, what: str, **whose: Any) -> None:
    """Write down that staff looked at people's facts: once for the same page with the same filters in ten minutes.

    What was searched for is not kept, for it may be a pasted token; which filters were set is.
    """
    asked = f"{person(request).pk} {what} {sorted(request.GET.lists())} {whose.get('owner')}"
    key = f"staff-look:{salted_hmac('staff look', asked, algorithm='sha256').hexdigest()}"
    if cache.add(key, 1, _ONE_LOOK_S):
        details: dict[str, Fact] = {
            "what": what,
            "page": "staff",
            "filters": sorted(name for name in request.GET if request.GET[name]),
        }
        record(Action.FACTS_VIEWED, details=details, **whose)


anote_look = sync_to_async(note_look)
