"""What you connected: one row for each RapidPro token, sealed, and one for each key that sealed any."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from rapidpro_integration import servers, vault


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


class RapidProToken(models.Model):
    """One RapidPro API token of one owner: sealed, with what its last check told about its workspace."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="rapidpro_tokens", verbose_name=_("owner")
    )
    label = models.CharField(_("label"), max_length=80)
    server = models.CharField(_("server"), max_length=255, help_text=_("Canonical origin, as https://textit.com"))

    sealed = models.TextField(_("sealed token"), editable=False)
    key_id = models.CharField(_("key id"), max_length=32, editable=False)
    fingerprint = models.CharField(_("fingerprint"), max_length=64, editable=False)
    last_four = models.CharField(_("last four characters"), max_length=4, blank=True, editable=False)

    state = models.CharField(_("state"), max_length=16, choices=TokenState, default=TokenState.UNCHECKED)
    workspace_uuid = models.UUIDField(_("workspace UUID"), null=True, blank=True)
    workspace_name = models.CharField(_("workspace"), max_length=255, blank=True)
    workspace_country = models.CharField(_("country"), max_length=64, blank=True)
    workspace_languages = models.JSONField(_("languages"), default=list, blank=True)
    workspace_time_zone = models.CharField(_("workspace time zone"), max_length=64, blank=True)

    created_on = models.DateTimeField(_("created"), auto_now_add=True)
    changed_on = models.DateTimeField(_("changed"), auto_now=True)
    checked_on = models.DateTimeField(_("checked"), null=True, blank=True)
    last_used_on = models.DateTimeField(_("last used"), null=True, blank=True)
    check_duration_ms = models.PositiveIntegerField(_("duration of the last check (ms)"), null=True, blank=True)
    check_status = models.PositiveSmallIntegerField(_("HTTP status of the last check"), null=True, blank=True)
    check_reference = models.CharField(_("reference of the last check"), max_length=16, blank=True)
    retry_on = models.DateTimeField(_("not to be asked before"), null=True, blank=True)

    class Meta:
        verbose_name = _("RapidPro token")
        verbose_name_plural = _("RapidPro tokens")
        ordering = [Lower("label"), "created_on"]
        indexes = [models.Index(fields=["state", "server"], name="rapidpro_token_state_server")]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["owner", "server", "fingerprint"], name="rapidpro_token_saved_once"),
            models.CheckConstraint(condition=Q(state__in=TokenState.values), name="rapidpro_token_state_known"),
            models.CheckConstraint(
                condition=Q(sealed__startswith="v1.") & ~Q(key_id=""), name="rapidpro_token_is_sealed"
            ),
            models.CheckConstraint(
                condition=Q(fingerprint__regex=r"^[0-9a-f]{64}$"), name="rapidpro_token_fingerprint"
            ),
            models.CheckConstraint(
                condition=Q(last_four="") | Q(last_four__regex=r"^.{4}$"), name="rapidpro_token_last_four"
            ),
            models.CheckConstraint(
                condition=Q(server__regex=r"^(https://[^/]+|http://(127\.0\.0\.1|localhost)(:[0-9]+)?)$"),
                name="rapidpro_token_server_https",
            ),
            models.CheckConstraint(condition=~Q(label=""), name="rapidpro_token_label_given"),
            models.CheckConstraint(
                condition=~Q(state=TokenState.WORKING) | Q(workspace_uuid__isnull=False, checked_on__isnull=False),
                name="rapidpro_token_working_means_checked",
            ),
        ]

    def __str__(self) -> str:
        return self.label

    def get_absolute_url(self) -> str:
        """Return the address of the token's page."""
        return reverse("rapidpro:token-detail", args=[self.pk])

    @property
    def shown_state(self) -> TokenState:
        """The state as it is now: a row that does not open, or whose server is no longer on the list, is locked."""
        if self.state == TokenState.DISABLED:
            return TokenState.DISABLED
        if self.server not in servers.allowed() or vault.lock_reason(self) is not None:
            return TokenState.LOCKED
        return TokenState.UNCHECKED if self.state == TokenState.LOCKED else TokenState(self.state)

    @property
    def server_host(self) -> str:
        """The server as a person calls it, without the scheme."""
        return servers.host(self.server)


class KeyCanary(models.Model):
    """What the key with this id was when it first sealed something, so that another key under its id is noticed."""

    key_id = models.CharField(_("key id"), max_length=32, primary_key=True, editable=False)
    check_value = models.CharField(_("check value"), max_length=64, editable=False)
    created_on = models.DateTimeField(_("first used"), auto_now_add=True)
    retired_on = models.DateTimeField(_("retired"), null=True, blank=True)

    class Meta:
        verbose_name = _("key canary")
        verbose_name_plural = _("key canaries")

    def __str__(self) -> str:
        return self.key_id
