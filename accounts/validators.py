"""What a password may be."""

from django.core.exceptions import ValidationError
from django.utils.translation import ngettext

from accounts.models import User

MAX_PASSWORD_LENGTH = 1000


class MaximumLengthValidator:
    """Refuses passwords longer than 1,000 characters: no sentence is, and a book only costs time to digest."""

    def validate(self, password: str, user: User | None = None) -> None:
        """Raise ValidationError for a password that is too long."""
        if len(password) > MAX_PASSWORD_LENGTH:
            raise ValidationError(self.get_help_text(), code="password_too_long")

    def get_help_text(self) -> str:
        """Return the rule in words."""
        text = ngettext(
            "A password has at most %(count)d character.",
            "A password has at most %(count)d characters.",
            MAX_PASSWORD_LENGTH,
        )
        return text % {"count": MAX_PASSWORD_LENGTH}
