"""The start of the application: it refuses to run without a usable key ring."""

from django.apps import AppConfig
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _


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
        from rapidpro_integration import receivers, servers, vault
        from rapidpro_integration.client.origins import OriginError
        from rapidpro_integration.models import TokenState
        from rapidpro_integration.openings import Purpose

        receivers.connect()
        words.register("state", dict(TokenState.choices))
        words.register("about", dict(Action.choices))
        words.register("purpose", dict(Purpose.choices))
        problem = ""
        try:
            vault.ring()
            servers.allowed()
        except (vault.KeyRingError, OriginError) as error:
            problem = str(error)
        if problem:
            raise ImproperlyConfigured(problem)
