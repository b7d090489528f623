"""Sign-in and the profile."""

from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from allauth.account.forms import LoginForm
from django import forms
from django.conf import settings
from django.forms.utils import flatatt
from django.utils import timezone
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language_info
from django.utils.translation import gettext_lazy as _

from accounts.models import User

# Names of the database that are no places: left out of the choice, still valid where they are set.
_NO_PLACES = {"posix", "right", "Etc", "SystemV", "US", "localtime", "Factory"}


def _label(name: str, place: str, moment: datetime) -> str:
    offset = moment.astimezone(ZoneInfo(name)).strftime("%z")
    return f"{place.replace('_', ' ')} (UTC{offset[:3]}:{offset[3:5]})"


@lru_cache(maxsize=2)
def _regions(moment: datetime) -> dict[str, list[tuple[str, str]]]:
    regions: dict[str, list[tuple[str, str]]] = {}
    for name in sorted(available_timezones()):
        region, slash, place = name.partition("/")
        if slash and region not in _NO_PLACES:
            regions.setdefault(region, []).append((name, _label(name, place, moment)))
    return regions


def time_zone_choices(
    current: str = "UTC", now: datetime | None = None
) -> list[tuple[str, str | list[tuple[str, str]]]]:
    """Return the time zones by region, each with its offset of this hour: UTC first, then `current` if it is no place.

    Without `current`, saving the form would move a person from "Etc/GMT+3" to UTC unasked.
    """
    # Looking up 450 zones takes 25 ms: once an hour is enough.
    moment = (now or timezone.now()).replace(minute=0, second=0, microsecond=0)
    regions = _regions(moment)
    first: list[tuple[str, str | list[tuple[str, str]]]] = [("UTC", "UTC")]
    offered = {name for zones in regions.values() for name, _label_of_it in zones}
    if current not in offered | {"UTC"} and current in available_timezones():
        first.append((current, _label(current, current, moment)))
    return [*first, *regions.items()]


class SignInForm(LoginForm):  # type: ignore[misc]  # allauth has no types
    """allauth's own, with a first field that says what it takes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].label = _("E-mail address or user name")
        self.fields["login"].widget.attrs.update(autocomplete="username", placeholder="")


class LongSelect(forms.Select):
    """A select of hundreds of options, written in one go: Django renders a template for each, which took 20 ms."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """Return it as HTML."""
        chosen = set(self.format_value(value))
        attributes = flatatt(self.build_attrs(self.attrs, {**(attrs or {}), "name": name}))
        return mark_safe(f"<select{attributes}>{''.join(self._lines(self.choices, chosen))}</select>")  # noqa: S308

    def _lines(self, choices: Any, chosen: set[str]) -> Iterator[str]:
        for value, label in choices:
            if isinstance(label, list):
                yield f'<optgroup label="{escape(value)}">{"".join(self._lines(label, chosen))}</optgroup>'
            else:
                selected = " selected" if value in chosen else ""
                yield f'<option value="{escape(value)}"{selected}>{escape(label)}</option>'


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg]  # generic for mypy only
    """Name, language and time zone."""

    # Each language by its own name: who reads only Arabic does not look for "Arabic".
    language = forms.ChoiceField(
        label=_("Language"),
        required=False,
        choices=[
            ("", _("As my browser asks")),
            *((code, get_language_info(code)["name_local"]) for code, _name in settings.LANGUAGES),
        ],
    )
    time_zone = forms.ChoiceField(
        label=_("Time zone"), help_text=_("Every time on these pages is shown in it."), widget=LongSelect
    )

    class Meta:
        model = User
        fields = ["name", "language", "time_zone"]
        labels = {"name": _("Name")}
        help_texts = {"name": _("As you want to be called here.")}
        widgets = {"name": forms.TextInput(attrs={"autocomplete": "name"})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zone = self.fields["time_zone"]
        assert isinstance(zone, forms.ChoiceField)  # noqa: S101  # narrows the type
        zone.choices = time_zone_choices(self.instance.time_zone)
