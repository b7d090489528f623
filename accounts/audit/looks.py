"""Staff who look at somebody's facts in the admin leave an entry, and the person can see it."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from accounts.audit.actions import Action
from accounts.audit.services import record

_ROWS_NAMED = 20


class RecordsLooks(admin.ModelAdmin):  # type: ignore[type-arg]  # generic for mypy only
    """A ModelAdmin whose lists and pages write down who looked at what, before they show it."""

    def looked_at(self, row: Any) -> dict[str, Any]:
        """Return whose facts the row holds, as arguments of `record`: {"owner": …} or {"token": …}."""
        return {}

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show a row."""
        return self._look(request, object_id, "page", super().change_view(request, object_id, *args, **kwargs))

    def history_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show what staff did with a row."""
        return self._look(request, object_id, "history", super().history_view(request, object_id, *args, **kwargs))

    def delete_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show what would go with a row."""
        return self._look(request, object_id, "deletion", super().delete_view(request, object_id, *args, **kwargs))

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show a list. What was searched for is not kept, for it may be a pasted token: what was found is."""
        response = super().changelist_view(request, *args, **kwargs)
        found = (response.context_data or {}).get("cl") if isinstance(response, TemplateResponse) else None
        if found is not None:
            rows: list[Model] = list(found.result_list)
            whose = self.looked_at(rows[0]) if len(rows) == 1 else {}
            details = {
                "what": self._what(),
                "page": "list",
                "searched": bool(found.query),
                "filters": sorted(found.get_filters_params()),
                "found": found.result_count,
                "rows": [str(row.pk) for row in rows[:_ROWS_NAMED]],
            }
            record(Action.FACTS_VIEWED, details=details, **whose)
        return response

    def _what(self) -> str:
        return str(self.opts.model_name)

    def _look(self, request: HttpRequest, object_id: str, page: str, response: HttpResponse) -> HttpResponse:
        row = self.get_object(request, unquote(object_id)) if isinstance(response, TemplateResponse) else None
        if row is not None:
            details = {"what": self._what(), "page": page, "row": str(row.pk)}
            record(Action.FACTS_VIEWED, details=details, **self.looked_at(row))
        return response
