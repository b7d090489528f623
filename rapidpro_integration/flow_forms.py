"""The filters of the list of flows, as they stand in its address."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from rapidpro_integration.flow_filters import DEFAULT_SORT, NO_TYPE, SORTS, Counts, FlowQuery, Window, fold
from rapidpro_integration.templatetags.rapidpro import flow_type

TITLES: dict[str, Promise] = {
    "name": gettext_lazy("Name"),
    "type": gettext_lazy("Type"),
    "labels": gettext_lazy("Labels"),
    "runs": gettext_lazy("Runs"),
    "rate": gettext_lazy("Completed"),
    "modified": gettext_lazy("Modified"),
    "created": gettext_lazy("Created"),
}
_ARCHIVED = {"no": False, "yes": True}


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a filter, with the number of flows that it would show."""

    value: str
    text: str
    count: int
    is_chosen: bool


def _day(label: Any) -> forms.DateField:
    return forms.DateField(
        label=label, required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )


def _number(label: Any, first: int, last: int) -> forms.IntegerField:
    return forms.IntegerField(label=label, required=False, min_value=first, max_value=last)


class FlowFilterForm(forms.Form):
    """Filters and order. Days are whole days in the person's time zone."""

    q = forms.CharField(
        label=gettext_lazy("Name"), required=False, max_length=200, widget=forms.TextInput({"type": "search"})
    )
    labels_too = forms.BooleanField(label=gettext_lazy("Search labels too"), required=False)
    label = forms.CharField(required=False, max_length=500, strip=False)
    type = forms.CharField(required=False, max_length=100)
    archived = forms.ChoiceField(required=False, choices=[(value, value) for value in ("", *_ARCHIVED)])
    no_runs = forms.BooleanField(label=gettext_lazy("Without runs"), required=False)
    after = _day(gettext_lazy("Modified from"))
    before = _day(gettext_lazy("Modified until"))
    created_after = _day(gettext_lazy("Created from"))
    created_before = _day(gettext_lazy("Created until"))
    idle = _number(gettext_lazy("Idle for days"), 1, 36_500)
    rate_from = _number(gettext_lazy("Completed from %"), 0, 100)
    rate_to = _number(gettext_lazy("Completed to %"), 0, 100)
    sort = forms.CharField(label=gettext_lazy("Order"), required=False, widget=forms.Select)

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__(data, label_suffix="")
        # The usual order comes first, for a browser chooses the first one where none is named.
        orders = [DEFAULT_SORT, *(sort for sort in SORTS if sort != DEFAULT_SORT)]
        arrows = [(sort, f"{TITLES[sort.removeprefix('-')]} {'↓' if sort[0] == '-' else '↑'}") for sort in orders]
        widget = self.fields["sort"].widget
        assert isinstance(widget, forms.Select)  # noqa: S101  # narrows the type
        widget.choices = arrows

    def clean_sort(self) -> str:
        """Return the order; one that nobody can have chosen is the usual one."""
        wanted = self.cleaned_data["sort"]
        return wanted if wanted in SORTS else DEFAULT_SORT

    def clean(self) -> dict[str, Any]:
        """Put what does not fit together beside the second field of a pair."""
        cleaned: dict[str, Any] = super().clean() or {}
        for name in ("after", "before", "created_after", "created_before"):
            # Nobody means these, and the first and the last day of the calendar have no UTC in every zone.
            if cleaned.get(name) and not 1900 <= cleaned[name].year <= 2200:
                self.add_error(name, self.fields[name].error_messages["invalid"])
        for first, last in (("after", "before"), ("created_after", "created_before")):
            if cleaned.get(first) and cleaned.get(last) and cleaned[first] > cleaned[last]:
                self.add_error(last, _("The last day is earlier than the first one."))
        low, high = cleaned.get("rate_from"), cleaned.get("rate_to")
        if low is not None and high is not None and low > high:
            self.add_error("rate_to", _("The highest rate is lower than the lowest one."))
        return cleaned

    def query(self) -> FlowQuery:
        """Return what a valid form asks for."""
        cleaned = self.cleaned_data
        idle = cleaned["idle"]
        return FlowQuery(
            name=cleaned["q"],
            labels_too=cleaned["labels_too"],
            label=cleaned["label"],
            type=cleaned["type"],
            archived=_ARCHIVED.get(cleaned["archived"]),
            no_runs=cleaned["no_runs"],
            modified=_window(cleaned["after"], cleaned["before"]),
            created=_window(cleaned["created_after"], cleaned["created_before"]),
            idle_since=timezone.now() - timedelta(days=idle) if idle else None,
            rate=(cleaned["rate_from"], cleaned["rate_to"]),
            sort=cleaned["sort"],
        )

    def options(self, counts: Counts) -> dict[str, list[Option]]:
        """Return the options of label, type and archived; what is chosen is among them even if nothing has it."""
        labels = sorted({*counts.labels, *self._chosen("label")}, key=fold)
        types = sorted({*counts.types, *self._chosen("type")})
        states = [("no", _("Active"), counts.archived[False]), ("yes", _("Archived"), counts.archived[True])]
        return {
            "label": self._options("label", ((name, name, counts.labels[name]) for name in labels)),
            "type": self._options(
                "type", ((name, flow_type("" if name == NO_TYPE else name), counts.types[name]) for name in types)
            ),
            "archived": self._options("archived", states),
        }

    def _chosen(self, name: str) -> list[str]:
        value = str(self.data.get(name, ""))
        return [value] if value else []

    def _options(self, name: str, rows: Iterable[tuple[str, str, int]]) -> list[Option]:
        chosen = self._chosen(name)
        return [Option(value, text, count, value in chosen) for value, text, count in rows]


def _window(first: date | None, last: date | None) -> Window:
    zone = timezone.get_current_timezone()
    return (
        datetime.combine(first, time.min, tzinfo=zone) if first else None,
        datetime.combine(last, time.max, tzinfo=zone) if last else None,
    )
