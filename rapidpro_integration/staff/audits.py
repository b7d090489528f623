"""The whole audit log, for staff: filters and order."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from accounts.audit.actions import Action, Outcome
from accounts.audit.models import AuditEntry
from rapidpro_integration.staff.ranges import Range


class AuditFilterForm(forms.Form):
    """The filters of the audit log, as they stand in its address."""

    q = forms.CharField(
        label=_("Person or token"), required=False, max_length=200, widget=forms.TextInput({"type": "search"})
    )
    action = forms.ChoiceField(label=_("What"), required=False, choices=lambda: [("", _("Anything")), *Action.choices])
    outcome = forms.ChoiceField(label=_("How it ended"), required=False, choices=[("", _("Any")), *Outcome.choices])
    reference = forms.CharField(label=_("Reference"), required=False, max_length=16)
    address = forms.CharField(label=_("Address"), required=False, max_length=45)
    person = forms.IntegerField(required=False, min_value=1, max_value=2**62, widget=forms.HiddenInput)
    token = forms.UUIDField(required=False, widget=forms.HiddenInput)

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__(data, label_suffix="")

    def rows(self, within: Range) -> QuerySet[AuditEntry]:
        """Return the entries of that time that fit, the newest first; none for filters that make no sense."""
        rows = AuditEntry.objects.filter(when__gte=within.since)
        if not self.is_valid():
            return rows.none()
        cleaned = self.cleaned_data
        if text := cleaned["q"]:
            names = Q(actor_name__icontains=text) | Q(owner_name__icontains=text)
            rows = rows.filter(names | Q(token_label__icontains=text))
        exact = {"action": "action", "outcome": "outcome", "address": "address", "token": "token_id"}
        rows = rows.filter(**{field: cleaned[name] for name, field in exact.items() if cleaned[name]})
        if cleaned["reference"]:
            rows = rows.filter(reference=cleaned["reference"].upper())
        if who := cleaned["person"]:
            rows = rows.filter(Q(actor_id=who) | Q(owner_id=who))
        return rows
