"""The states that a token can be in."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class TokenState(models.TextChoices):
    """What the last check of a token found."""

    UNCHECKED = "unchecked", _("Not checked yet")
    WORKING = "working", _("Working")
    REJECTED = "rejected", _("Refused by the server")
    NOT_ALLOWED = "not_allowed", _("Not allowed")
    RATE_LIMITED = "rate_limited", _("Rate limited")
    UNREACHABLE = "unreachable", _("Unreachable")
    NOT_RAPIDPRO = "not_rapidpro", _("Not RapidPro")
    SERVER_ERROR = "server_error", _("Server error")
    LOCKED = "locked", _("Locked")
    DISABLED = "disabled", _("Disabled by staff")


# The server answered, and said no to this token.
REFUSED = frozenset({TokenState.REJECTED, TokenState.NOT_ALLOWED})
# Nothing was learnt of the token: these neither break it nor mend it.
UNTOLD = frozenset({TokenState.UNCHECKED, TokenState.RATE_LIMITED, TokenState.LOCKED, TokenState.DISABLED})
