"""What people type: tokens, labels and servers. Nothing here asks the database."""

import unicodedata
from collections.abc import Collection
from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rapidpro_integration import servers
from rapidpro_integration.client.origins import OriginError
from rapidpro_integration.health import rotating
from rapidpro_integration.servers import Reach
from rapidpro_integration.vault import Secret

MAX_TOKEN_LENGTH = 256


def _no_control_characters(text: str) -> None:
    # Direction overrides count too: a label must not be able to turn the text around it.
    if any(unicodedata.category(character) in {"Cc", "Cf"} and character not in "\u200c\u200d" for character in text):
        raise forms.ValidationError(_("Remove the invisible characters."), code="control")


class LabelField(forms.CharField):
    """The name that an owner gives to a token."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("label", _("Label"))
        super().__init__(max_length=80, validators=[_no_control_characters], **kwargs)


class TokenField(forms.CharField):
    """A RapidPro API token: cleaned of what a paste brings along, written once and never rendered again."""

    widget = forms.PasswordInput(
        render_value=False, attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}
    )

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("label", _("API token"))
        kwargs.setdefault(
            "help_text", _("In RapidPro: Settings → Account → API tokens. It is sealed at once and never shown again.")
        )
        super().__init__(**kwargs)

    def to_python(self, value: Any) -> str:
        """Return the token without surrounding blanks and without a leading "Token"."""
        text = str(super().to_python(value) or "").strip()
        scheme, _blank, rest = text.partition(" ")
        return rest.strip() if scheme.lower() == "token" else text

    def validate(self, value: Any) -> None:
        """Raise ValidationError for what cannot be a token; no message repeats any of it."""
        super().validate(value)
        if len(value) > MAX_TOKEN_LENGTH:
            raise forms.ValidationError(_("A token has at most 256 characters."), code="too_long")
        if any(character.isspace() for character in value):
            raise forms.ValidationError(_("A token has no spaces or line breaks inside."), code="space")
        if not value.isascii() or not value.isprintable():
            raise forms.ValidationError(_("A token has only letters, digits and signs of ASCII."), code="characters")


class OriginField(forms.CharField):
    """The address of a server, brought into its one form."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=255, empty_value="", **kwargs)
        self.widget.attrs |= {"inputmode": "url", "spellcheck": "false", "autocapitalize": "off", "dir": "ltr"}

    def to_python(self, value: Any) -> str:
        """Return the canonical origin. Raises ValidationError, with the same words whatever is wrong with it."""
        text = str(super().to_python(value) or "")
        try:
            return servers.acceptable(text) if text else ""
        except OriginError:
            raise forms.ValidationError(
                _("This is not the address of a server: use https://host."), code="origin"
            ) from None


class SecretForm(forms.Form):
    """A token for a server that the person may use. The template shows `force` only after a check has failed."""

    server = forms.ChoiceField(label=_("Server"))
    other_server = OriginField(
        label=_("Another server"), required=False, help_text=_("Its address, as https://rapidpro.example.org.")
    )
    token = TokenField()
    force = forms.BooleanField(label=_("Save it all the same"), required=False)
    force_offered = False

    def __init__(self, *args: Any, reach: Reach, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.reach = reach
        choices = [(server.origin, server.title) for server in reach.servers]
        server = self.fields["server"]
        assert isinstance(server, forms.ChoiceField)  # noqa: S101  # narrows the type
        if reach.any_public:
            server.required = False
            choices.append(("", gettext("Another server")))
        else:
            del self.fields["other_server"]
        server.choices = choices

    def clean(self) -> dict[str, Any]:
        """Put the one server that is meant into `server`, with the person's access to it. Raises ValidationError."""
        cleaned: dict[str, Any] = super().clean() or {}
        if "server" not in cleaned or (self.reach.any_public and "other_server" not in cleaned):
            return cleaned
        listed, other = cleaned["server"], cleaned.pop("other_server", "")
        if listed and other:
            # A list always has something chosen: the token must not go there while the person means the other one.
            self.add_error("other_server", _("Choose a server, or “Another server” and type its address: not both."))
            return cleaned
        found = self.reach.find(listed or other) if listed or other else None
        if found is None:
            # The same words for a server that is closed to this person and for one that nobody has heard of.
            self.add_error("server", _("This server is not on your list."))
        else:
            cleaned |= {"server": found.origin, "access": found.access}
        return cleaned

    def take_secret(self) -> Secret:
        """Return the cleaned token, masked; afterwards the form no longer holds it."""
        self.data = {name: value for name, value in self.data.items() if name != self.add_prefix("token")}
        return Secret(self.cleaned_data.pop("token"))


class TokenAddForm(SecretForm):
    """A new token."""

    label = LabelField(
        required=False, help_text=_("Optional: the workspace's own name is taken if you leave it empty.")
    )
    field_order = ["label", "server", "other_server", "token", "force"]


class TokenReplaceForm(SecretForm):
    """Another token for a row that exists."""


class TokenRenameForm(forms.Form):
    """Another label."""

    label = LabelField()


class TokenAgeForm(forms.Form):
    """After how many days a token is to be replaced."""

    days = forms.IntegerField(
        label=_("Replace after (days)"),
        required=False,
        min_value=rotating.MIN_DAYS,
        max_value=rotating.MAX_DAYS,
        help_text=_("From 1 to 3650, counted from the day that the token was saved here. Leave it empty for never."),
    )


class ServerRequestForm(forms.Form):
    """A wish for a server that is not on the person's list."""

    name = forms.CharField(label=_("Name"), max_length=80, validators=[_no_control_characters])
    origin = OriginField(label=_("Address"), help_text=_("As https://rapidpro.example.org, with nothing behind."))
    reason = forms.CharField(
        label=_("Reason"),
        max_length=500,
        validators=[_no_control_characters],
        help_text=_("Who runs the server, and what you need it for."),
    )

    def __init__(self, *args: Any, reach: Reach, waiting: Collection[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.reach, self.waiting = reach, waiting

    def clean_origin(self) -> str:
        """Return the address. Raises ValidationError for one that the person can use or has asked for already."""
        origin = str(self.cleaned_data["origin"])
        if self.reach.find(origin) is not None:
            raise forms.ValidationError(_("You can use this server already."), code="open")
        if origin in self.waiting:
            raise forms.ValidationError(_("You have asked for this server already."), code="waiting")
        return origin
