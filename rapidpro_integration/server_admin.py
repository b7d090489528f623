"""Administration of servers: which there are, whom they are open to, and who has asked for one."""

from collections.abc import Callable, Iterable, Sequence

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.admin import FreshProofAdmin
from accounts.selectors import person
from rapidpro_integration import server_services
from rapidpro_integration.models import RequestState, Server, ServerRequest
from rapidpro_integration.server_services import ServerPaused


def _log(request: HttpRequest, rows: Iterable[Model], change: str) -> None:
    if rows := list(rows):
        LogEntry.objects.log_actions(person(request).pk, rows, CHANGE, change_message=change)


@admin.register(Server)
class ServerAdmin(FreshProofAdmin):
    """The servers: open to all or to some, named by the setting or approved here, paused or not."""

    list_display = ["name", "origin", "open_to_all", "paused", "named", "approved_on", "approved_by"]
    list_filter = ["open_to_all", "paused", "allow_private"]
    list_select_related = ["approved_by"]
    search_fields = ["name", "origin", "notes"]
    autocomplete_fields = ["users"]
    fields = [
        *("name", "origin", "open_to_all", "users", "paused", "allow_private", "notes"),
        *("named", "approved_by", "approved_on", "created_on"),
    ]
    readonly_fields = ["named", "approved_by", "approved_on", "created_on"]
    actions = ["approve", "pause", "resume"]

    def get_readonly_fields(self, request: HttpRequest, obj: Server | None = None) -> Sequence[str]:  # type: ignore[override]
        """Return what cannot be typed: the address too, once there is one, as tokens are sealed for it."""
        return [*self.readonly_fields, *(["origin"] if obj else [])]

    def has_delete_permission(self, request: HttpRequest, obj: Server | None = None) -> bool:
        """Return False for a server that the setting names: without a row it would be open to all. Pause it."""
        return super().has_delete_permission(request, obj) and not (obj and obj.is_named)

    def save_model(self, request: HttpRequest, obj: Server, form: ModelForm, change: bool) -> None:  # type: ignore[type-arg]
        """Save; who adds a server has approved it."""
        if not change:
            obj.approved_by, obj.approved_on = person(request), timezone.now()
        super().save_model(request, obj, form, change)

    @admin.display(description=gettext_lazy("named by the setting"), boolean=True)
    def named(self, server: Server) -> bool:
        """Return whether RAPIDPRO_SERVERS names it."""
        return server.is_named

    def _each(
        self, request: HttpRequest, servers: QuerySet[Server], change: Callable[[Server], bool], done: str
    ) -> None:
        changed = [server for server in servers if change(server)]
        _log(request, changed, done)
        text = ngettext("%(count)d server changed.", "%(count)d servers changed.", len(changed))
        self.message_user(request, text % {"count": len(changed)}, messages.SUCCESS)

    @admin.action(description=gettext_lazy("Approve"), permissions=["change"])
    def approve(self, request: HttpRequest, queryset: QuerySet[Server]) -> None:
        """Keep the servers open even if the setting no longer names them."""
        staff = person(request)
        self._each(request, queryset, lambda server: server_services.approve_server(server, staff), "Approved.")

    @admin.action(description=gettext_lazy("Pause"), permissions=["change"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Server]) -> None:
        """Stop all sending to the servers."""
        self._each(request, queryset, lambda server: server_services.pause_server(server, paused=True), "Paused.")

    @admin.action(description=gettext_lazy("End the pause"), permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Server]) -> None:
        """Let the servers be used again."""
        self._each(request, queryset, lambda server: server_services.pause_server(server, paused=False), "Resumed.")


@admin.register(ServerRequest)
class ServerRequestAdmin(FreshProofAdmin):
    """What people have asked for, and the decision, which is asked for twice."""

    list_display = ["name", "origin", "person", "reason", "state", "asked_on", "decided_by", "decided_on"]
    list_filter = ["state"]
    list_select_related = ["person", "decided_by"]
    search_fields = ["name", "origin", "person__email", "person__username"]
    actions = ["approve", "refuse"]
    readonly_fields = [
        *("name", "origin", "person", "reason", "state", "asked_on", "answer", "decided_by", "decided_on"),
    ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False: people ask on their own pages."""
        return False

    @admin.action(description=gettext_lazy("Approve"), permissions=["change"])
    def approve(self, request: HttpRequest, queryset: QuerySet[ServerRequest]) -> HttpResponseBase | None:
        """Open each server to the person who asked for it, after a second look."""
        return self._decide(request, queryset, RequestState.APPROVED)

    @admin.action(description=gettext_lazy("Refuse"), permissions=["change"])
    def refuse(self, request: HttpRequest, queryset: QuerySet[ServerRequest]) -> HttpResponseBase | None:
        """Refuse the wishes, after a second look."""
        return self._decide(request, queryset, RequestState.REFUSED)

    def _decide(
        self, request: HttpRequest, queryset: QuerySet[ServerRequest], state: RequestState
    ) -> HttpResponseBase | None:
        wishes = list(queryset.filter(state=RequestState.WAITING).select_related("person"))
        if "confirmed" not in request.POST and wishes:
            return self._confirmation(request, wishes, state)
        answer = request.POST.get("answer", "")[:500]
        link = request.build_absolute_uri(reverse("rapidpro:server-list"))
        decided = []
        for wish in wishes:
            try:
                if server_services.decide(wish, person(request), state, answer=answer, link=link):
                    decided.append(wish)
            except ServerPaused:
                text = _("%(server)s is paused: end the pause first.") % {"server": wish.origin}
                self.message_user(request, text, messages.WARNING)
        _log(request, decided, "Approved." if state == RequestState.APPROVED else "Refused.")
        text = ngettext("%(count)d request decided.", "%(count)d requests decided.", len(decided))
        self.message_user(request, text % {"count": len(decided)}, messages.SUCCESS)
        return None

    def _confirmation(
        self, request: HttpRequest, wishes: Sequence[ServerRequest], state: RequestState
    ) -> HttpResponseBase:
        context = {
            **self.admin_site.each_context(request),
            "title": _("Approve these servers?") if state == RequestState.APPROVED else _("Refuse these servers?"),
            "opts": self.opts,
            "wishes": wishes,
            "action": request.POST.get("action", ""),
            "checkbox": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "admin/rapidpro_integration/serverrequest/decide.html", context)
