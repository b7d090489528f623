"""What staff asked to be done with many tokens at once: asked, confirmed, done bit by bit, perhaps undone."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class BulkKind(models.TextChoices):
    """What is done with each of the tokens."""

    CHECK = "check", _("Check")
    DISABLE = "disable", _("Disable")
    ENABLE = "enable", _("Enable")
    ASK = "ask", _("Ask for a new one")


class BulkAction(models.Model):
    """One action on some tokens. It waits for its confirmation first; `done_count` says how far it has come."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(_("action"), max_length=16, choices=BulkKind)
    staff = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+", verbose_name=_("who")
    )
    staff_name = models.CharField(_("who"), max_length=255, blank=True)
    # As text, in the order in which they are dealt with.
    token_ids = models.JSONField(_("tokens"), default=list)
    changed_ids = models.JSONField(_("changed tokens"), default=list)
    done_count = models.PositiveIntegerField(_("dealt with"), default=0)
    note = models.CharField(_("note to the owners"), max_length=300, blank=True)
    undoes = models.OneToOneField("self", on_delete=models.SET_NULL, null=True, related_name="undone_by")
    created_on = models.DateTimeField(_("asked"), auto_now_add=True)
    started_on = models.DateTimeField(_("confirmed"), null=True)
    finished_on = models.DateTimeField(_("finished"), null=True)

    class Meta:
        verbose_name = _("bulk action")
        verbose_name_plural = _("bulk actions")
        ordering = ["-created_on"]
        default_permissions = ()
        indexes = [models.Index(fields=["-created_on"], name="rapidpro_bulk_created")]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(condition=Q(kind__in=BulkKind.values), name="rapidpro_bulk_kind"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} × {self.total}"

    @property
    def total(self) -> int:
        """How many tokens it is for."""
        return len(self.token_ids)

    @property
    def is_running(self) -> bool:
        """Whether it has begun and not ended."""
        return self.started_on is not None and self.finished_on is None

    @property
    def inverse(self) -> str:
        """What undoes it, "" where nothing does."""
        return {BulkKind.DISABLE.value: BulkKind.ENABLE.value, BulkKind.ENABLE.value: BulkKind.DISABLE.value}.get(
            self.kind, ""
        )
