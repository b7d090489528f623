"""The rows of a token's health: what each check found, when the next is due, who works on it, and what was told.

The columns of a token's row are here as an abstract class, so that `RapidProToken` reads as what it is.
"""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from rapidpro_integration.states import UNTOLD, TokenState


class Trigger(models.TextChoices):
    """Why a check was made."""

    DUE = "due", _("on its own")
    HAND = "hand", _("by hand")
    SAVE = "save", _("when it was saved")
    STAFF = "staff", _("by staff")
    USE = "use", _("while it was used")


class HealthColumns(models.Model):
    """What a token's row says of its health. Written by `health.recording` and `health.leases` alone."""

    # None: never scheduled, which is due.
    next_check_on = models.DateTimeField(_("next check"), null=True, blank=True, editable=False)
    # Who checks it now, and until when nobody else may; a worker that was killed leaves a lease that runs out.
    leased_until = models.DateTimeField(_("being checked until"), null=True, blank=True, editable=False)
    leased_by = models.CharField(_("being checked by"), max_length=80, blank=True, db_default="", editable=False)
    # Checks in a row that did not find it working; those that tell nothing (rate limited) do not count.
    failures_in_a_row = models.PositiveIntegerField(_("failures in a row"), default=0, db_default=0, editable=False)
    # Since when it has not been found working; None while it works, and before the first check that says anything.
    broken_since = models.DateTimeField(_("broken since"), null=True, blank=True, editable=False)
    # When the owner was told that it is broken; None once it works again.
    broken_told_on = models.DateTimeField(_("owner told"), null=True, blank=True, editable=False)
    # When the token that is sealed here now was saved, which a rotation of the keys does not change.
    secret_saved_on = models.DateTimeField(_("token saved"), default=timezone.now, db_default=Now(), editable=False)
    rotate_by_days = models.PositiveSmallIntegerField(
        _("replace after (days)"), null=True, blank=True, help_text=_("The owner's own wish.")
    )
    staff_rotate_by_days = models.PositiveSmallIntegerField(
        _("replace after (days), by staff"), null=True, blank=True, help_text=_("The owner cannot ask for more.")
    )
    # The earlier of the two, kept as a date so that it can be searched: `health.rotating` keeps it true.
    rotate_on = models.DateTimeField(_("to be replaced by"), null=True, blank=True, editable=False)
    rotate_told_on = models.DateTimeField(_("reminded"), null=True, blank=True, editable=False)

    class Meta:
        abstract = True


def failed() -> Q:
    """Return the condition of a check that did not find its token working; one that tells nothing has not failed."""
    return ~Q(state__in=sorted({TokenState.WORKING, *UNTOLD}))


class TokenCheck(models.Model):
    """What one check of one token found. Never holds anything of the token itself."""

    token = models.ForeignKey(
        "rapidpro_integration.RapidProToken",
        on_delete=models.CASCADE,
        related_name="checks",
        db_index=False,  # the index below begins with it
        verbose_name=_("token"),
    )
    started_on = models.DateTimeField(_("started"))
    state = models.CharField(_("state"), max_length=16, choices=TokenState)
    # The kind of error (client.errors.Kind) as its owner may know it; empty where there was none.
    kind = models.CharField(_("kind of failure"), max_length=16, blank=True)
    http_status = models.PositiveSmallIntegerField(_("HTTP status"), null=True, blank=True)
    duration_ms = models.PositiveIntegerField(_("duration (ms)"), default=0)
    reference = models.CharField(_("reference"), max_length=16, blank=True)
    trigger = models.CharField(_("why"), max_length=8, choices=Trigger)
    # As it was then: a token that is replaced may move to another one.
    server = models.CharField(_("server"), max_length=255)
    # {"name": ["before", "now"]}, for "workspace", "name", "time_zone" and "role"; None where nothing had changed.
    drift = models.JSONField(_("changes behind the token"), null=True, blank=True, default=None)

    class Meta:
        verbose_name = _("check of a token")
        verbose_name_plural = _("checks of tokens")
        ordering = ["-started_on", "-pk"]
        indexes = [
            models.Index(fields=["token", "-started_on"], name="rapidpro_check_token"),
            models.Index(fields=["started_on"], name="rapidpro_check_started"),
            models.Index(fields=["server", "-started_on"], name="rapidpro_check_server"),
            models.Index(
                fields=["token", "-started_on"], condition=Q(drift__isnull=False), name="rapidpro_check_drift"
            ),
            models.Index(fields=["-started_on"], condition=failed(), name="rapidpro_check_failed"),
        ]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(condition=Q(state__in=TokenState.values), name="rapidpro_check_state_known"),
            models.CheckConstraint(condition=Q(trigger__in=Trigger.values), name="rapidpro_check_trigger_known"),
        ]

    def __str__(self) -> str:
        return f"{self.started_on:%Y-%m-%d %H:%M} {self.state}"


class WorkerBeat(models.Model):
    """The last sign of life of one process that works in the background."""

    class Role(models.TextChoices):
        """What the process does."""

        WORKER = "worker", _("worker")
        WATCH = "watch", _("scheduler")

    worker_id = models.CharField(_("worker"), max_length=64, primary_key=True)
    role = models.CharField(_("role"), max_length=8, choices=Role, default=Role.WORKER)
    host = models.CharField(_("host"), max_length=80, blank=True)
    started_on = models.DateTimeField(_("started"))
    beat_on = models.DateTimeField(_("last beat"))

    class Meta:
        verbose_name = _("worker")
        verbose_name_plural = _("workers")
        ordering = ["-beat_on"]
        indexes = [models.Index(fields=["role", "-beat_on"], name="rapidpro_worker_beat")]

    def __str__(self) -> str:
        return self.worker_id


class DigestWish(models.Model):
    """One person's wish for a weekly mail about all their tokens; nobody gets one who has not asked for it."""

    person = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="digest_wish", verbose_name=_("person")
    )
    wanted = models.BooleanField(_("wanted"), default=True)
    sent_on = models.DateTimeField(_("last sent"), null=True, blank=True)

    class Meta:
        verbose_name = _("wish for a weekly mail")
        verbose_name_plural = _("wishes for a weekly mail")

    def __str__(self) -> str:
        return str(self.person_id)
