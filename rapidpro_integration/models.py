"""What you connected: one row for each RapidPro token, sealed, and one for each key that sealed any."""

import uuid
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from rapidpro_integration import servers, vault
from rapidpro_integration.client.origins import OriginError
from rapidpro_integration.health.models import DigestWish, HealthColumns, TokenCheck, Trigger, WorkerBeat
from rapidpro_integration.observations.models import ServerHour, TokenStateHour, WorkspaceHour
from rapidpro_integration.servers import Access
from rapidpro_integration.staff.models import BulkAction, BulkKind
from rapidpro_integration.staff.permissions import PERMISSIONS
from rapidpro_integration.states import TokenState

__all__ = [
    "BulkAction",
    "BulkKind",
    "DigestWish",
    "KeyCanary",
    "RapidProToken",
    "RequestState",
    "Server",
    "ServerHour",
    "ServerRequest",
    "TokenCheck",
    "TokenState",
    "TokenStateHour",
    "Trigger",
    "WorkerBeat",
    "WorkspaceHour",
]

# The form of a canonical origin; what it may name is decided before it gets here.
_ORIGIN = r"^(https://[^/]+|http://(127\.0\.0\.1|localhost)(:[0-9]+)?)$"


class RapidProToken(HealthColumns):
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
    # When the owner last looked at the flows, and when the visit before this one ended (services.note_look).
    flows_seen_on = models.DateTimeField(_("flows seen"), null=True, blank=True, editable=False)
    flows_seen_before_on = models.DateTimeField(_("flows seen before"), null=True, blank=True, editable=False)
    check_duration_ms = models.PositiveIntegerField(_("duration of the last check (ms)"), null=True, blank=True)
    check_status = models.PositiveSmallIntegerField(_("HTTP status of the last check"), null=True, blank=True)
    check_reference = models.CharField(_("reference of the last check"), max_length=16, blank=True)
    retry_on = models.DateTimeField(_("not to be asked before"), null=True, blank=True)

    # Whether the owner may use the server: `selectors` loads it with the row. A row read in another way is closed.
    access: str = Access.CLOSED

    class Meta:
        verbose_name = _("RapidPro token")
        verbose_name_plural = _("RapidPro tokens")
        ordering = [Lower("label"), "created_on"]
        permissions: ClassVar[list[tuple[str, Any]]] = list(PERMISSIONS.items())
        indexes = [
            models.Index(fields=["state", "server"], name="rapidpro_token_state_server"),
            models.Index(fields=["server", "workspace_uuid", "owner"], name="rapidpro_token_workspace"),
            models.Index(fields=["next_check_on"], name="rapidpro_token_next_check"),
            models.Index(fields=["created_on"], name="rapidpro_token_created"),
            models.Index(fields=["state"], condition=Q(checked_on__isnull=True), name="rapidpro_token_never_checked"),
            models.Index(
                fields=["broken_since"], condition=Q(broken_since__isnull=False), name="rapidpro_token_broken_since"
            ),
            models.Index(
                fields=["server"], condition=Q(leased_until__isnull=False), name="rapidpro_token_leased_server"
            ),
            models.Index(fields=["rotate_on"], condition=Q(rotate_on__isnull=False), name="rapidpro_token_rotate_on"),
        ]
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
                condition=Q(server__regex=_ORIGIN),
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
        """The state as it is now: a row that does not open, or whose server is closed to its owner, is locked."""
        if self.state == TokenState.DISABLED:
            return TokenState.DISABLED
        if self.access == Access.CLOSED or vault.lock_reason(self) is not None:
            return TokenState.LOCKED
        return TokenState.UNCHECKED if self.state == TokenState.LOCKED else TokenState(self.state)

    @property
    def server_host(self) -> str:
        """The server as a person calls it, without the scheme."""
        return servers.host(self.server)


class Server(models.Model):
    """A RapidPro server that tokens may be sent to: by all people or by some, by a setting's word or an approval."""

    name = models.CharField(_("name"), max_length=80)
    origin = models.CharField(
        _("address"), max_length=255, unique=True, help_text=_("As https://rapidpro.example.org, with nothing behind.")
    )
    open_to_all = models.BooleanField(_("open to all"), default=False)
    users = models.ManyToManyField(
        settings.AUTH_USER_MODEL, related_name="rapidpro_servers", blank=True, verbose_name=_("open to")
    )
    paused = models.BooleanField(
        _("paused"), default=False, help_text=_("Nothing is sent to it while this is set, whatever the settings say.")
    )
    allow_private = models.BooleanField(
        _("may be in a private network"),
        default=False,
        help_text=_("Counts only if the setting RAPIDPRO_PRIVATE_ORIGINS names the address too."),
    )
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        verbose_name=_("approved by"),
    )
    approved_on = models.DateTimeField(_("approved"), null=True, blank=True, editable=False)
    notes = models.TextField(_("notes"), blank=True)
    created_on = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("RapidPro server")
        verbose_name_plural = _("RapidPro servers")
        ordering = [Lower("name"), "origin"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(condition=Q(origin__regex=_ORIGIN), name="rapidpro_server_origin"),
            models.CheckConstraint(condition=~Q(name=""), name="rapidpro_server_name_given"),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Bring the address into its one form. Raises ValidationError for what is no server's."""
        super().clean()
        try:
            self.origin = servers.acceptable(self.origin)
        except OriginError:
            raise ValidationError({"origin": _("This is not the address of a server: use https://host.")}) from None

    @property
    def is_named(self) -> bool:
        """Whether RAPIDPRO_SERVERS names it: then it is open as long as it does."""
        return self.origin in servers.named()


class RequestState(models.TextChoices):
    """What became of a wish for a server."""

    WAITING = "waiting", _("Not answered yet")
    APPROVED = "approved", _("Approved")
    REFUSED = "refused", _("Refused")


class ServerRequest(models.Model):
    """One person's wish to use a server. Apart from `Server`, so that nobody learns of other people's servers."""

    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="server_requests", verbose_name=_("person")
    )
    name = models.CharField(_("name"), max_length=80)
    origin = models.CharField(_("address"), max_length=255)
    reason = models.CharField(_("reason"), max_length=500)
    state = models.CharField(_("state"), max_length=16, choices=RequestState, default=RequestState.WAITING)
    asked_on = models.DateTimeField(_("asked"), auto_now_add=True)
    answer = models.CharField(_("answer"), max_length=500, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("decided by"),
    )
    decided_on = models.DateTimeField(_("decided"), null=True, blank=True)

    class Meta:
        verbose_name = _("server request")
        verbose_name_plural = _("server requests")
        ordering = ["-asked_on", "-pk"]
        indexes = [models.Index(fields=["asked_on"], name="rapidpro_server_request_asked")]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["person", "origin"],
                condition=Q(state=RequestState.WAITING),
                name="rapidpro_server_request_waits_once",
            ),
            models.CheckConstraint(condition=Q(state__in=RequestState.values), name="rapidpro_server_request_state"),
            models.CheckConstraint(condition=Q(origin__regex=_ORIGIN), name="rapidpro_server_request_origin"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def server_host(self) -> str:
        """The server as a person calls it, without the scheme."""
        return servers.host(self.origin)


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
