"""Rows by the hour: of a server, of a workspace's request budget, and of the states of tokens.

Every number is a column of its own, so that any number of processes can add to it and a page can sum it up. Times are
the beginnings of hours, in UTC. A token and a workspace are named by id and not linked: counts outlive what they count,
and a row deleted meanwhile must not keep a batch from being written.
"""

from typing import ClassVar
from uuid import UUID

from django.db import models
from django.utils.translation import gettext_lazy as _

#: In place of a token that is not saved (one that is being tried) and of a workspace that is not known yet.
UNKNOWN = UUID(int=0)


def _count() -> "models.PositiveIntegerField[int, int]":
    return models.PositiveIntegerField(default=0)


class ServerHour(models.Model):
    """What one hour's requests to one server met."""

    server = models.CharField(_("server"), max_length=255)
    hour = models.DateTimeField(_("hour"))
    requests = _count()
    last_success_on = models.DateTimeField(_("last success"), null=True, blank=True)
    # The end of the certificate that was shown; of several the one that ends last.
    certificate_until = models.DateTimeField(_("certificate until"), null=True, blank=True)

    # How each ended (recorder.Outcome): their sum is `requests`.
    ok = _count()
    rejected = _count()
    not_allowed = _count()
    rate_limited = _count()
    bad_request = _count()
    not_found = _count()
    server_error = _count()
    redirected = _count()
    unreachable = _count()
    timed_out = _count()
    tls = _count()
    not_rapidpro = _count()
    malformed = _count()
    too_large = _count()
    abandoned = _count()

    # The HTTP status of those that were answered.
    status_2xx = _count()
    status_3xx = _count()
    status_4xx = _count()
    status_5xx = _count()

    # How long answers, and waits in vain, took: the buckets of `histogram.BOUNDS_MS`, and their sum.
    duration_ms = models.PositiveBigIntegerField(default=0)
    ms_50 = _count()
    ms_100 = _count()
    ms_200 = _count()
    ms_300 = _count()
    ms_500 = _count()
    ms_750 = _count()
    ms_1000 = _count()
    ms_1500 = _count()
    ms_2000 = _count()
    ms_3000 = _count()
    ms_5000 = _count()
    ms_8000 = _count()
    ms_15000 = _count()
    ms_longer = _count()

    class Meta:
        verbose_name = _("hour of a server")
        verbose_name_plural = _("hours of servers")
        ordering = ["hour", "server"]
        indexes = [models.Index(fields=["hour"], name="rapidpro_server_hour")]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["server", "hour"], name="rapidpro_server_hour_once"),
        ]

    def __str__(self) -> str:
        return f"{self.server} {self.hour:%Y-%m-%d %H}h"


class WorkspaceHour(models.Model):
    """What one token drew in one hour on the request budget of its workspace."""

    server = models.CharField(_("server"), max_length=255)
    workspace_uuid = models.UUIDField(_("workspace UUID"), default=UNKNOWN)
    token = models.UUIDField(_("token"), default=UNKNOWN)
    hour = models.DateTimeField(_("hour"))
    requests = _count()
    rate_limited = _count()

    class Meta:
        verbose_name = _("hour of a workspace")
        verbose_name_plural = _("hours of workspaces")
        ordering = ["hour", "server", "workspace_uuid", "token"]
        indexes = [
            models.Index(fields=["hour"], name="rapidpro_workspace_hour"),
            models.Index(fields=["token", "hour"], name="rapidpro_workspace_hour_token"),
        ]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["server", "workspace_uuid", "token", "hour"], name="rapidpro_workspace_hour_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.workspace_uuid} {self.hour:%Y-%m-%d %H}h"


class TokenStateHour(models.Model):
    """How many tokens were saved in one state when the hour began."""

    hour = models.DateTimeField(_("hour"))
    state = models.CharField(_("state"), max_length=16)
    count = _count()

    class Meta:
        verbose_name = _("hour of a state")
        verbose_name_plural = _("hours of states")
        ordering = ["hour", "state"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["hour", "state"], name="rapidpro_state_hour_once"),
        ]

    def __str__(self) -> str:
        return f"{self.state} {self.hour:%Y-%m-%d %H}h"
