"""What this site decides about accounts that allauth leaves open."""

import unicodedata

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Sign-up by setting; user names without signs that cannot be seen."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Return whether a stranger may make an account."""
        return bool(settings.SIGNUP_OPEN)

    def clean_username(self, username: str, shallow: bool = False) -> str:
        """Return the user name as allauth cleans it. Raises ValidationError for control and direction characters."""
        if any(unicodedata.category(character) in {"Cc", "Cf"} for character in username):
            raise ValidationError(_("Remove the invisible characters."), code="control")
        return str(super().clean_username(username, shallow))
