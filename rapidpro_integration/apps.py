"""The start of the application: none without usable keys and servers; and what the client needs of the site."""

import atexit
from typing import Any

from django.apps import AppConfig
from django.apps import apps as global_apps
from django.apps.registry import Apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db.models.signals import post_migrate
from django.tasks.signals import task_finished
from django.utils.translation import gettext_lazy as _


def _seed_servers(*, apps: Apps = global_apps, using: str, **kwargs: Any) -> None:
    """Give each server that the setting names a row, so that an administrator can pause it or close it to some.

    A row that is there stays as it is; without one the server is open all the same, so a restart is enough.
    """
    from rapidpro_integration import servers

    try:
        model = apps.get_model("rapidpro_integration", "Server")
    except LookupError:
        return  # a migration backwards, to where there were no rows
    for origin in servers.named():
        may_be_private = origin in servers.private_origins()
        row = {"name": servers.host(origin)[:80], "open_to_all": True, "allow_private": may_be_private}
        model._default_manager.using(using).get_or_create(origin=origin, defaults=row)


def _take_tasks_out_of_the_admin() -> None:
    """Unregister the pages that django-tasks-db brings: they ask for no fresh proof, and leave nothing in the log.

    The admin has found the applications' pages by now: it stands before all others in INSTALLED_APPS.
    """
    from django.contrib import admin
    from django_tasks_db.models import DBTaskResult

    if admin.site.is_registered(DBTaskResult):
        admin.site.unregister(DBTaskResult)


class RapidProIntegrationConfig(AppConfig):
    """What you connected: tokens, workspaces and flows."""

    name = "rapidpro_integration"
    verbose_name = _("RapidPro")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Listen for deletions, and stop the start when the keys are missing or malformed.

        The message names the setting and never a key.
        """
        from accounts.audit import words
        from accounts.audit.actions import Action
        from config import sentry
        from rapidpro_integration import checks, receivers, servers, vault  # noqa: F401  # the checks register themselves
        from rapidpro_integration.client.origins import OriginError
        from rapidpro_integration.health import tasks, wording  # noqa: F401  # a worker finds the tasks by their paths
        from rapidpro_integration.models import TokenState
        from rapidpro_integration.openings import Purpose

        receivers.connect()
        words.register("state", dict(TokenState.choices))
        words.register("about", {**dict(Action.choices), **wording.MAILS})
        words.register("purpose", dict(Purpose.choices))
        problem = ""
        try:
            vault.ring()
            servers.named()
            servers.private_origins()
        except (vault.KeyRingError, OriginError) as error:
            problem = str(error)
        if problem:
            raise ImproperlyConfigured(problem)
        _take_tasks_out_of_the_admin()
        sentry.start()
        post_migrate.connect(_seed_servers, sender=self)
        self._equip_client()

    def _equip_client(self) -> None:
        from config import lifespan
        from rapidpro_integration import arrivals, ready, waits
        from rapidpro_integration.client import pools, transport, wire
        from rapidpro_integration.observations import metrics, writing
        from rapidpro_integration.observations.recorder import recorder

        transport.quota.store = waits.shared_store()
        transport.observer = recorder.note
        wire.certificate_observer = recorder.note_certificate
        # Registered first, so run last: the requests before it are counted too.
        lifespan.at_shutdown(writing.awrite)
        lifespan.at_shutdown(pools.aclose)
        lifespan.at_shutdown(arrivals.aclose)  # before the connections that they use
        lifespan.every(settings.OBSERVATIONS_EVERY_S, writing.awrite)
        task_finished.connect(writing.write_between_tasks)
        atexit.register(writing.write_at_exit)
        metrics.connect()
        ready.connect()
