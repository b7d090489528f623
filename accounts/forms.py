"""The profile and the closing of an account."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django import forms
from django.conf import settings
from django.utils import timezone
from django.utils.translation import get_language_info
from django.utils.translation import gettext_lazy as _

from accounts.models import User

# Names of the database that are no places: left out of the choice, still valid where they are set.
_NO_PLACES = {"posix", "right", "Etc", "SystemV", "US", "localtime", "Factory"}


def time_zone_choices(now: datetime | None = None) -> list[tuple[str, str | list[tuple[str, str]]]]:
    """Return the time zones by region, each with its offset of today, UTC first."""
    moment = now or timezone.now()
    regions: dict[str, list[tuple[str, str]]] = {}
    for name in sorted(available_timezones()):
        region, slash, place = name.partition("/")
        if slash and region not in _NO_PLACES:
            offset = moment.astimezone(ZoneInfo(name)).strftime("%z")
            label = f"{place.replace('_', ' ')} (UTC{offset[:3]}:{offset[3:5]})"
            regions.setdefault(region, []).append((name, label))
    return [("UTC", "UTC"), *regions.items()]


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
        label=_("Time zone"), choices=time_zone_choices, help_text=_("Every time on these pages is shown in it.")
    )

    class Meta:
        model = User
        fields = ["name", "language", "time_zone"]
        labels = {"name": _("Name")}
        help_texts = {"name": _("As you want to be called here.")}
        widgets = {"name": forms.TextInput(attrs={"autocomplete": "name"})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.time_zone == "Etc/UTC":
            self.initial["time_zone"] = "UTC"


class CloseAccountForm(forms.Form):
    """The password once more, before everything is destroyed."""

    password = forms.CharField(
        label=_("Your password"), strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        self.user = user
        super().__init__(*args, **kwargs)

    def clean_password(self) -> str:
        """Return the password. Raises ValidationError for a wrong one."""
        password: str = self.cleaned_data["password"]
        if not self.user.check_password(password):
            raise forms.ValidationError(_("This is not your password."), code="password")
        return password
