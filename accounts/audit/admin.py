"""The whole log for staff: read, searched and exported, never changed."""

from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.utils.translation import gettext_lazy as _

from accounts.audit.actions import Action, Outcome
from accounts.audit.exporting import csv_response
from accounts.audit.looks import RecordsLooks
from accounts.audit.models import AuditEntry
from accounts.audit.services import record


@admin.register(AuditEntry)
class AuditEntryAdmin(RecordsLooks):
    """Who did what, when, to whom and from where."""

    list_display = ["number", "what", "when", "people", "token_label", "address", "reference"]
    list_filter = ["action", "outcome", "when"]
    search_fields = ["actor_name", "owner_name", "token_label", "token_id", "address", "reference"]
    date_hierarchy = "when"
    list_per_page = 50
    show_full_result_count = False
    actions = ["export_csv"]
    readonly_fields = [field.name for field in AuditEntry._meta.fields]

    @admin.display(description=_("what"), ordering="action")
    def what(self, entry: AuditEntry) -> str:
        """Return the action, with how it ended and how often where that says something."""
        words = [str(entry.get_action_display())]
        if entry.outcome != Outcome.DONE:
            words.append(str(entry.get_outcome_display()))
        if entry.count > 1:
            words.append(f"× {entry.count}")
        return " · ".join(words)

    @admin.display(description=_("who, and whose"), ordering="actor_name")
    def people(self, entry: AuditEntry) -> str:
        """Return who did it, and whose account or token it was where that is somebody else."""
        actor = entry.actor_name or "–"
        return actor if entry.owner_name in {"", entry.actor_name} else f"{actor} → {entry.owner_name}"

    def looked_at(self, row: AuditEntry) -> dict[str, Any]:
        """Return whose entry it is."""
        return {"owner": row.owner_id}

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False: the log writes itself."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return False: an entry is never changed."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return False: old entries go by `manage.py audit prune`."""
        return False

    @admin.action(description=_("Export as CSV"), permissions=["view"])
    def export_csv(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> StreamingHttpResponse:
        """Send the chosen entries as a file."""
        record(Action.LOG_EXPORTED, details={"entries": queryset.count()})
        return csv_response(queryset, full=True)
