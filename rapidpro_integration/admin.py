"""Token administration: find, check, disable and enable tokens, without any way to read or to add one."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.admin import FreshProofAdmin
from accounts.audit.looks import RecordsLooks
from accounts.audit.models import AuditEntry
from accounts.selectors import person
from rapidpro_integration import selectors, server_admin, services
from rapidpro_integration.models import RapidProToken, TokenCheck, TokenState
from rapidpro_integration.servers import Access
from rapidpro_integration.staff import bulk, tokens
from rapidpro_integration.staff.bulk import ask_owner

__all__ = ["RapidProTokenAdmin", "TokenCheckAdmin", "server_admin"]

# One administrator's click must not become a wave of requests to somebody's server.
_CHECKS_A_CLICK = 100
# So many of the tokens are named on the page that asks whether that is meant.
_NAMED = 20
_LAST = 20
_NEVER_SHOWN = frozenset({"sealed", "key_id", "fingerprint", "last_four"})


def _table(headings: Iterable[Any], rows: Iterable[Iterable[Any]]) -> SafeString:
    """Return the rows as a small table."""
    head = format_html_join("", '<th scope="col">{}</th>', ((heading,) for heading in headings))
    lines = [format_html_join("", "<td>{}</td>", ((cell,) for cell in row)) for row in rows]
    if not lines:
        return format_html("{}", _("None yet."))
    body = format_html_join("", "<tr>{}</tr>", ((line,) for line in lines))
    return format_html("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>", head, body)


class _Wanting(admin.SimpleListFilter):
    """What staff look for among tokens, in the words of the staff pages."""

    title = gettext_lazy("what it wants")
    parameter_name = "wants"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the choices."""
        return [
            ("attention", gettext_lazy("Needs attention")),
            ("never", gettext_lazy("Never checked")),
            ("shared", gettext_lazy("Workspace held by several people")),
            ("rotate", gettext_lazy("Should be replaced by now")),
            ("idle", gettext_lazy("Idle for 30 days")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[RapidProToken]) -> QuerySet[RapidProToken]:
        """Return the tokens that want what is chosen."""
        conditions: dict[str | None, Callable[[], Any]] = {
            "attention": lambda: Q(state__in=tokens.BROKEN),
            "never": lambda: Q(checked_on=None),
            "shared": tokens.held_by_others,
            "rotate": lambda: Q(rotate_on__lt=timezone.now()),
            "idle": lambda: tokens.idle_since(30),
        }
        condition = conditions.get(self.value())
        return queryset.filter(condition()) if condition else queryset


@admin.register(RapidProToken)
class RapidProTokenAdmin(RecordsLooks, FreshProofAdmin):
    """All tenants' tokens: their facts and states, never the sealed text, the key or the fingerprint."""

    list_display = ["label", "owner", "state", "workspace_name", "server", "checked_on", "last_used_on", "created_on"]
    list_filter = ["state", _Wanting, "server", "owner__is_active", "checked_on", "last_used_on"]
    list_select_related = ["owner"]
    ordering = ["-created_on"]
    list_per_page = 50
    show_full_result_count = False
    search_fields = ["label", "owner__email", "owner__username", "workspace_name", "server", "id"]
    date_hierarchy = "created_on"
    actions = ["check_now", "disable", "enable", "ask_for_new"]
    readonly_fields = [
        "id",
        "owner",
        "label",
        "server",
        "state",
        "workspace_name",
        "workspace_uuid",
        "workspace_country",
        "workspace_languages",
        "workspace_time_zone",
        "created_on",
        "changed_on",
        "checked_on",
        "last_used_on",
        "check_duration_ms",
        "check_status",
        "check_reference",
    ]

    def get_fields(self, request: HttpRequest, obj: RapidProToken | None = None) -> Sequence[str]:  # type: ignore[override]
        """Return the facts alone: what is not listed here is never shown."""
        return [*self.readonly_fields, "last_checks", *(["last_entries"] if _may_see_log(request) else [])]

    def get_readonly_fields(self, request: HttpRequest, obj: RapidProToken | None = None) -> Sequence[str]:  # type: ignore[override]
        """Return all fields: nothing is typed here."""
        return self.get_fields(request, obj)

    @admin.display(description=gettext_lazy("last checks"))
    def last_checks(self, token: RapidProToken) -> SafeString:
        """Return what the last checks found."""
        rows = token.checks.all()[:_LAST]
        headings = (_("When"), _("Found"), _("HTTP status"), _("Took"), _("Why"), _("Reference"))
        cells = (
            (
                date_format(timezone.localtime(row.started_on), "DATETIME_FORMAT"),
                row.get_state_display(),
                row.http_status or "–",
                f"{row.duration_ms} ms",
                row.get_trigger_display(),
                row.reference,
            )
            for row in rows
        )
        return _table(headings, cells)

    @admin.display(description=gettext_lazy("last entries of the audit log"))
    def last_entries(self, token: RapidProToken) -> SafeString:
        """Return what was done with the token last."""
        rows = AuditEntry.objects.filter(token_id=token.pk)[:_LAST]
        cells = (
            (
                date_format(timezone.localtime(row.when), "DATETIME_FORMAT"),
                row.get_action_display(),
                row.get_outcome_display(),
                row.actor_name,
                row.reference,
            )
            for row in rows
        )
        return _table((_("When"), _("What"), _("How it ended"), _("Who"), _("Reference")), cells)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False: only its owner types a token, on the owner's own pages."""
        return False

    def looked_at(self, row: RapidProToken) -> dict[str, Any]:
        """Return the token, and with it its owner."""
        return {"token": row}

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """Refuse look-ups that would tell what a sealed token is, letter by letter."""
        return not _NEVER_SHOWN.intersection(lookup.split("__")) and super().lookup_allowed(lookup, value, request)

    def get_queryset(self, request: HttpRequest) -> QuerySet[RapidProToken]:
        """Return the rows that are fit to be shown here."""
        return selectors.with_access(super().get_queryset(request).defer("fingerprint", "last_four"))

    def _log(self, request: HttpRequest, tokens: Sequence[RapidProToken], change: str) -> None:
        assert isinstance(request.user, AbstractBaseUser)  # noqa: S101  # the admin lets in nobody else
        if tokens:
            LogEntry.objects.log_actions(request.user.pk, tokens, CHANGE, change_message=change)

    def _confirmation(
        self, request: HttpRequest, queryset: QuerySet[RapidProToken], title: str
    ) -> TemplateResponse | None:
        """Return the page that asks whether it is meant, None once it is."""
        if "confirmed" in request.POST or not queryset.exists():
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            "tokens": queryset[:_NAMED],
            "more": max(0, queryset.count() - _NAMED),
            # All that the list holds are chosen anew by its filters: they may be more than a form can carry.
            "ids": request.POST.getlist(ACTION_CHECKBOX_NAME),
            "across": request.POST.get("select_across", "0"),
            "action": request.POST.get("action", ""),
            "checkbox": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "admin/rapidpro_integration/rapidprotoken/confirm.html", context)

    @admin.action(description=gettext_lazy("Check now"), permissions=["change"])
    def check_now(self, request: HttpRequest, queryset: QuerySet[RapidProToken]) -> TemplateResponse | None:
        """Ask each token's server and save what it says, after a second look."""
        if page := self._confirmation(request, queryset, _("Check these tokens?")):
            return page
        # The tokens of a deactivated person are not used any more, not even to see whether they work.
        wanted = queryset.filter(owner__is_active=True).exclude(state=TokenState.DISABLED)
        usable = wanted.exclude(access=Access.CLOSED)  # type: ignore[misc]  # an annotation of with_access
        chosen = list(usable[:_CHECKS_A_CLICK])
        checked = bulk.check(chosen)
        working = sum(outcome.state == TokenState.WORKING for _, outcome in checked)
        self._log(request, [token for token, _ in checked], "Checked.")
        text = ngettext(
            "%(count)d token checked, %(working)d working.",
            "%(count)d tokens checked, %(working)d working.",
            len(checked),
        )
        self.message_user(request, text % {"count": len(checked), "working": working}, messages.SUCCESS)
        if queryset.count() > len(chosen):
            self.message_user(
                request,
                _("Disabled tokens, those of deactivated people, and all beyond the first %d were left out.")
                % _CHECKS_A_CLICK,
                messages.WARNING,
            )
        return None

    @admin.action(description=gettext_lazy("Disable"), permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[RapidProToken]) -> TemplateResponse | None:
        """Stop all use of the tokens, after a second look."""
        if page := self._confirmation(request, queryset, _("Disable these tokens?")):
            return page
        changed = [token for token in queryset if services.disable_token(token)]
        self._log(request, changed, "Disabled.")
        text = ngettext("%(count)d token disabled.", "%(count)d tokens disabled.", len(changed))
        self.message_user(request, text % {"count": len(changed)}, messages.SUCCESS)
        return None

    @admin.action(description=gettext_lazy("Enable"), permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[RapidProToken]) -> TemplateResponse | None:
        """Let disabled tokens be used again, after a second look."""
        if page := self._confirmation(request, queryset, _("Enable these tokens?")):
            return page
        changed = [token for token in queryset if services.enable_token(token)]
        self._log(request, changed, "Enabled.")
        text = ngettext("%(count)d token enabled.", "%(count)d tokens enabled.", len(changed))
        self.message_user(request, text % {"count": len(changed)}, messages.SUCCESS)
        return None

    @admin.action(description=gettext_lazy("Ask for a new one"), permissions=["change"])
    def ask_for_new(self, request: HttpRequest, queryset: QuerySet[RapidProToken]) -> TemplateResponse | None:
        """Ask the owners by mail to replace the tokens, after a second look."""
        if page := self._confirmation(request, queryset, _("Ask for new tokens in place of these?")):
            return page
        asked = [token for token in queryset if ask_owner(token)]
        self._log(request, asked, "Asked for a new one.")
        text = ngettext("%(count)d owner asked.", "%(count)d owners asked.", len(asked))
        self.message_user(request, text % {"count": len(asked)}, messages.SUCCESS)
        return None


def _may_see_log(request: HttpRequest) -> bool:
    return person(request).has_perm("accounts.view_auditentry")


@admin.register(TokenCheck)
class TokenCheckAdmin(RecordsLooks, FreshProofAdmin):
    """What the checks of all tokens found: read, searched, never changed."""

    list_display = ["started_on", "token", "state", "http_status", "duration_ms", "trigger", "server", "reference"]
    list_filter = ["state", "trigger", "server", "started_on"]
    list_select_related = ["token"]
    list_per_page = 50
    show_full_result_count = False
    date_hierarchy = "started_on"
    search_fields = ["=reference", "token__label", "token__owner__email"]
    readonly_fields = (
        *("token", "started_on", "state", "kind", "http_status", "duration_ms", "trigger", "server", "reference"),
        "drift",
    )

    def looked_at(self, row: TokenCheck) -> dict[str, Any]:
        """Return the token, and with it its owner."""
        return {"token": row.token}

    def get_queryset(self, request: HttpRequest) -> QuerySet[TokenCheck]:
        """Return the rows without what their tokens hold."""
        rows: QuerySet[TokenCheck] = super().get_queryset(request)
        return rows.select_related("token").defer(*(f"token__{name}" for name in _NEVER_SHOWN))

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False: checks write themselves."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return False: a check is never changed."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return False on its own pages: checks go by themselves, or with their token or its owner."""
        match = request.resolver_match
        return match is None or f"_{self.opts.model_name}_" not in str(match.url_name)

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """Refuse look-ups that would tell what a sealed token is, letter by letter."""
        return not _NEVER_SHOWN.intersection(lookup.split("__")) and super().lookup_allowed(lookup, value, request)
