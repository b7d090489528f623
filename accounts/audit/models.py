"""The rows of the audit log: written once, never changed, and removed only from the old end by `audit prune`."""

from typing import Any, NoReturn

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.audit.actions import Action, Outcome
from accounts.audit.chain import Field


class AppendOnly(Exception):
    """Somebody tried to change or to delete what was written."""


def _refuse(*args: Any, **kwargs: Any) -> NoReturn:
    raise AppendOnly("The audit log is only ever added to: see docs/adr/0008-audit-log.md.")


def _actions() -> list[tuple[str, Any]]:
    # A function, so that a new kind of entry needs no migration.
    return Action.choices


class AuditQuerySet(models.QuerySet["AuditEntry"]):
    """Reads, and nothing else: the database's triggers say the same to who goes around it."""

    update = delete = bulk_update = bulk_create = _refuse
    aupdate = adelete = abulk_update = abulk_create = _refuse
    update_or_create = aupdate_or_create = get_or_create = aget_or_create = _refuse

    def remove_through(self, number: int) -> int:
        """Delete every entry up to `number`, which a tombstone must cover already; return how many. For `prune`."""
        return int(models.QuerySet(self.model, using=self.db).filter(number__lte=number)._raw_delete(self.db))


class AuditEntry(models.Model):
    """One thing that happened. People are kept as plain ids and names: an entry outlives the account it speaks of."""

    number = models.BigIntegerField(_("number"), primary_key=True)
    when = models.DateTimeField(_("when"))
    action = models.CharField(_("action"), max_length=32, choices=_actions)
    outcome = models.CharField(_("outcome"), max_length=16, choices=Outcome, default=Outcome.DONE)
    actor_id = models.BigIntegerField(_("who (id)"), null=True)
    actor_name = models.CharField(_("who"), max_length=255, blank=True)
    owner_id = models.BigIntegerField(_("whose (id)"), null=True)
    owner_name = models.CharField(_("whose"), max_length=255, blank=True)
    token_id = models.UUIDField(_("token (id)"), null=True)
    token_label = models.CharField(_("token"), max_length=80, blank=True)
    address = models.CharField(_("address"), max_length=45, blank=True)
    agent = models.CharField(_("browser"), max_length=120, blank=True)
    reference = models.CharField(_("reference"), max_length=16, blank=True)
    count = models.PositiveIntegerField(_("times"), default=1)
    details = models.JSONField(_("details"), default=dict)
    pruned_through = models.BigIntegerField(_("entries removed up to"), null=True)

    key_id = models.CharField(_("key id"), max_length=8)
    previous = models.CharField(_("signature of the entry before"), max_length=64)
    mac = models.CharField(_("signature"), max_length=64)

    objects = AuditQuerySet.as_manager()

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit log")
        ordering = ["-number"]
        base_manager_name = "objects"
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["owner_id", "-number"], name="accounts_audit_owner"),
            models.Index(fields=["token_id", "-number"], name="accounts_audit_token"),
            models.Index(fields=["when"], name="accounts_audit_when"),
            models.Index(
                fields=["pruned_through"], condition=Q(pruned_through__isnull=False), name="accounts_audit_pruned"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.number}: {self.get_action_display()}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert a new entry; raises AppendOnly for one that is there."""
        if not self._state.adding:
            _refuse()
        super().save(force_insert=True, using=kwargs.get("using"))

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise AppendOnly."""
        _refuse()

    @property
    def shows_source(self) -> bool:
        """Whether the owner may see the address and browser: another person's are facts of that person."""
        return self.actor_id in {None, self.owner_id}

    def signed_fields(self) -> list[Field]:
        """Return what the signature covers beside the key and the signature before: every column but those three."""
        return [
            self.number,
            self.when,
            self.action,
            self.outcome,
            self.actor_id,
            self.actor_name,
            self.owner_id,
            self.owner_name,
            self.token_id,
            self.token_label,
            self.address,
            self.agent,
            self.reference,
            self.count,
            self.details,
            self.pruned_through,
        ]


class AuditHead(models.Model):
    """The log's newest place, one row: the lock that writers queue at, and the proof of where the log ends."""

    number = models.BigIntegerField()
    mac = models.CharField(max_length=64)
    key_id = models.CharField(max_length=8)
    seal = models.CharField(max_length=64)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.number}:{self.mac}"
