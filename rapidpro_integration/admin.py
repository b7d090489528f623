"""Token administration: find, check, disable and enable tokens, without any way to read or to add one."""

import asyncio
from collections.abc import Sequence
from typing import Any

from asgiref.sync import async_to_sync
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import AbstractBaseUser
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.admin import FreshProofAdmin
from accounts.audit.looks import RecordsLooks
from rapidpro_integration import selectors, server_admin, services
from rapidpro_integration.checking import CheckOutcome, acheck_token
from rapidpro_integration.models import RapidProToken, TokenState, Trigger
from rapidpro_integration.problems import log_problem

__all__ = ["RapidProTokenAdmin", "server_admin"]

# One administrator's click must not become a wave of requests to somebody's server.
_CHECKS_AT_ONCE = 4
_CHECKS_A_CLICK = 100
_NEVER_SHOWN = frozenset({"sealed", "key_id", "fingerprint", "last_four"})


async def _acheck_all(tokens: Sequence[RapidProToken]) -> list[CheckOutcome]:
    limit = asyncio.Semaphore(_CHECKS_AT_ONCE)

    async def acheck_one(token: RapidProToken) -> CheckOutcome:
        async with limit:
            return await acheck_token(token)

    return await asyncio.gather(*(acheck_one(token) for token in tokens))


@admin.register(RapidProToken)
class RapidProTokenAdmin(RecordsLooks, FreshProofAdmin):
    """All tenants' tokens: their facts and states, never the sealed text, the key or the fingerprint."""

    list_display = ["label", "owner", "state", "workspace_name", "server", "checked_on", "last_used_on", "created_on"]
    list_filter = ["state", "server"]
    list_select_related = ["owner"]
    search_fields = ["label", "owner__email", "owner__username", "workspace_name", "server", "id"]
    date_hierarchy = "created_on"
    actions = ["check_now", "disable", "enable"]
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
        return self.readonly_fields

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

    @admin.action(description=gettext_lazy("Check now"), permissions=["change"])
    def check_now(self, request: HttpRequest, queryset: QuerySet[RapidProToken]) -> None:
        """Ask each token's server and save what it says."""
        # The tokens of a deactivated person are not used any more, not even to see whether they work.
        tokens = list(queryset.filter(owner__is_active=True).exclude(state=TokenState.DISABLED)[:_CHECKS_A_CLICK])
        working = 0
        for token, outcome in zip(tokens, async_to_sync(_acheck_all)(tokens), strict=True):
            if outcome.error:
                log_problem(outcome.error, token, outcome.reference)
            try:
                services.record_check(token, outcome, Trigger.STAFF)
            except services.TokenChangedMeanwhile:
                continue
            working += outcome.state == TokenState.WORKING
        self._log(request, tokens, "Checked.")
        text = ngettext(
            "%(count)d token checked, %(working)d working.",
            "%(count)d tokens checked, %(working)d working.",
            len(tokens),
        )
        self.message_user(request, text % {"count": len(tokens), "working": working}, messages.SUCCESS)
        if queryset.count() > len(tokens):
            self.message_user(
                request,
                _("Disabled tokens, those of deactivated people, and all beyond the first %d were left out.")
                % _CHECKS_A_CLICK,
                messages.WARNING,
            )

    @admin.action(description=gettext_lazy("Disable"), permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[RapidProToken]) -> None:
        """Stop all use of the tokens."""
        changed = [token for token in queryset if services.disable_token(token)]
        self._log(request, changed, "Disabled.")
        text = ngettext("%(count)d token disabled.", "%(count)d tokens disabled.", len(changed))
        self.message_user(request, text % {"count": len(changed)}, messages.SUCCESS)

    @admin.action(description=gettext_lazy("Enable"), permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[RapidProToken]) -> None:
        """Let disabled tokens be used again."""
        changed = [token for token in queryset if services.enable_token(token)]
        self._log(request, changed, "Enabled.")
        text = ngettext("%(count)d token enabled.", "%(count)d tokens enabled.", len(changed))
        self.message_user(request, text % {"count": len(changed)}, messages.SUCCESS)
