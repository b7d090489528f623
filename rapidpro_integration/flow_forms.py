"""The filters of the list of flows, as they stand in its address."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any

from django import forms
from django.utils import timezone, translation
from django.utils.functional import Promise
from django.utils.safestring import SafeString
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


@dataclass(frozen=True, slots=True)
class Field:
    """A field as HTML: its label with and without the element, its errors ("" without any), and what one types in."""

    label_tag: SafeString
    label: str
    errors: SafeString
    widget: SafeString


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


def plain_query(data: Mapping[str, Any]) -> FlowQuery | None:
    """Return what an address asks for that has no filter, an order at most; None if a form must read it."""
    if any(data.get(name) for name in FlowFilterForm.base_fields if name != "sort"):
        return None
    sort = data.get("sort")
    return FlowQuery(sort=sort if sort in SORTS else DEFAULT_SORT)


def options_of(data: Mapping[str, Any], counts: Counts) -> dict[str, list[Option]]:
    """Return the options of label, type and archived; what is chosen is among them even if nothing has it."""
    chosen = {name: str(data.get(name, "")) for name in ("label", "type", "archived")}

    def options(name: str, rows: Iterable[tuple[str, str, int]]) -> list[Option]:
        return [Option(value, text, count, value == chosen[name]) for value, text, count in rows]

    labels = sorted({*counts.labels, chosen["label"]} - {""}, key=fold)
    types = sorted({*counts.types, chosen["type"]} - {""})
    states = [("no", _("Active"), counts.archived[False]), ("yes", _("Archived"), counts.archived[True])]
    return {
        "label": options("label", ((name, name, counts.labels[name]) for name in labels)),
        "type": options(
            "type", ((name, flow_type("" if name == NO_TYPE else name), counts.types[name]) for name in types)
        ),
        "archived": options("archived", states),
    }


def fields_of(form: FlowFilterForm | None, sort: str) -> dict[str, Field]:
    """Return the fields for the page by name; what is empty, and the order, is rendered once for each language.

    `form` is None if all are empty; `sort` is the order as it stands in the address.
    """
    blank = _blank_fields(translation.get_language(), sort if sort in SORTS else "")
    if form is None:
        return blank
    return {
        name: field if name == "sort" or not (form.data.get(name) or name in form.errors) else _field(form[name])
        for name, field in blank.items()
    }


@lru_cache(maxsize=256)
def _blank_fields(language: str | None, sort: str) -> dict[str, Field]:  # the language is a part of the key
    form = FlowFilterForm({"sort": sort})
    return {bound.name: _field(bound) for bound in form}


def _field(bound: forms.BoundField) -> Field:
    # What Django's forms render is safe, and `str` would forget that.
    return Field(bound.label_tag(), str(bound.label), SafeString(bound.errors), SafeString(bound))


def _window(first: date | None, last: date | None) -> Window:
    zone = timezone.get_current_timezone()
    return (
        datetime.combine(first, time.min, tzinfo=zone) if first else None,
        datetime.combine(last, time.max, tzinfo=zone) if last else None,
    )
