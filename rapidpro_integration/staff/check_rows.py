"""The checks of everybody's tokens, one row each."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from rapidpro_integration import servers
from rapidpro_integration.client.errors import Kind
from rapidpro_integration.health.models import failed
from rapidpro_integration.models import TokenCheck, TokenState, Trigger
from rapidpro_integration.staff.exporting import Columns
from rapidpro_integration.staff.ranges import Range

EXPORTED: Columns = {
    "started_on": lambda check: check.started_on,
    "token_id": lambda check: check.token_id,
    "token": lambda check: check.token.label,
    "owner": lambda check: check.token.owner.email,
    "server": lambda check: check.server,
    "state": lambda check: check.state,
    "kind": lambda check: check.kind,
    "http_status": lambda check: check.http_status,
    "duration_ms": lambda check: check.duration_ms,
    "trigger": lambda check: check.trigger,
    "reference": lambda check: check.reference,
}


class CheckFilterForm(forms.Form):
    """The filters of the list of checks, as they stand in its address."""

    state = forms.ChoiceField(label=_("Found"), required=False, choices=[("", _("Anything")), *TokenState.choices])
    kind = forms.ChoiceField(
        label=_("Kind of failure"),
        required=False,
        choices=[("", _("Any")), *((kind.value, kind.value) for kind in Kind)],
    )
    trigger = forms.ChoiceField(label=_("Why"), required=False, choices=[("", _("Any")), *Trigger.choices])
    server = forms.CharField(label=_("Server"), required=False, max_length=255, widget=forms.Select)
    failed = forms.BooleanField(label=_("Failed"), required=False)
    drift = forms.BooleanField(label=_("Something had changed"), required=False)
    token = forms.UUIDField(required=False, widget=forms.HiddenInput)

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__(data, label_suffix="")

    def offer_servers(self, origins: Mapping[str, int]) -> None:
        """Let these servers be chosen."""
        widget = self.fields["server"].widget
        assert isinstance(widget, forms.Select)  # noqa: S101  # narrows the type
        widget.choices = [("", _("Any")), *((origin, servers.host(origin)) for origin in origins)]

    def rows(self, within: Range) -> QuerySet[TokenCheck]:
        """Return the checks of that time that fit, the newest first; none for filters that make no sense."""
        rows = TokenCheck.objects.filter(started_on__gte=within.since)
        if not self.is_valid():
            return rows.none()
        cleaned = self.cleaned_data
        exact = {"state": "state", "kind": "kind", "trigger": "trigger", "server": "server", "token": "token_id"}
        rows = rows.filter(**{field: cleaned[name] for name, field in exact.items() if cleaned[name]})
        if cleaned["failed"]:
            rows = rows.filter(failed())
        return rows.filter(drift__isnull=False) if cleaned["drift"] else rows


def shown(rows: QuerySet[TokenCheck]) -> QuerySet[TokenCheck]:
    """Return the rows with their tokens and owners, and nothing of what a token holds."""
    hidden = [f"token__{name}" for name in ("sealed", "key_id", "fingerprint", "last_four")]
    return rows.select_related("token__owner").defer(*hidden, "token__owner__password")
