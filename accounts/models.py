"""Who you are."""

import uuid
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


def validate_time_zone(value: str) -> None:
    """Raise ValidationError unless `value` is a name of the IANA time zone database."""
    if value not in available_timezones():
        raise ValidationError(_("“%(value)s” is not a time zone we know."), params={"value": value}, code="time_zone")


class User(AbstractUser):
    """A person who signs in; also the tenant that tokens belong to."""

    first_name = None  # type: ignore[assignment]  # one name field: not every name has two parts
    last_name = None  # type: ignore[assignment]
    name = models.CharField(_("name"), max_length=150, blank=True)
    email = models.EmailField(_("e-mail address"))
    language = models.CharField(_("language"), max_length=10, choices=settings.LANGUAGES, blank=True)
    time_zone = models.CharField(_("time zone"), max_length=64, default="UTC", validators=[validate_time_zone])

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        constraints = [
            models.UniqueConstraint(
                Lower("email"),
                name="accounts_user_email_unique",
                violation_error_message=_("A user with this e-mail address exists already."),
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.email or self.username

    def clean(self) -> None:
        """Bring name and address into the one form they are kept in, before anything is compared."""
        super().clean()
        self._fold()

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save; user name and e-mail address always in small letters, as allauth looks them up."""
        self._fold()
        super().save(*args, **kwargs)

    def _fold(self) -> None:
        self.username = self.username.lower()
        self.email = self.email.lower()

    def get_full_name(self) -> str:
        """Return the name the person goes by, else the e-mail address."""
        return str(self)

    def get_short_name(self) -> str:
        """Return the same as get_full_name: there is one name field."""
        return str(self)

    @property
    def zone(self) -> ZoneInfo:
        """The time zone in which every time is shown to this person."""
        try:
            return ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError):
            # A name that a later time zone database has dropped must not break every page of this person.
            return ZoneInfo("UTC")


class SignedInSession(models.Model):
    """A session in which somebody is signed in, with what its owner needs to recognise it. It ends with the session."""

    # The session's own key opens the account: no address or page shows it.
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    session = models.OneToOneField(Session, on_delete=models.CASCADE, related_name="signed_in")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="signed_in_sessions")
    address = models.GenericIPAddressField(_("address"), null=True)
    user_agent = models.CharField(_("browser"), max_length=300, blank=True)
    first_seen_on = models.DateTimeField(_("signed in"), default=timezone.now)
    last_seen_on = models.DateTimeField(_("last seen"), default=timezone.now)

    class Meta:
        ordering = ["-last_seen_on"]

    def __str__(self) -> str:
        return str(self.pk)
