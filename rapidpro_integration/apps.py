"""The start of the application: it refuses to run without a usable key ring, and gives the client what it needs."""

from django.apps import AppConfig
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _


class RapidProIntegrationConfig(AppConfig):
    """What you connected: tokens, workspaces and flows."""

    name = "rapidpro_integration"
    verbose_name = _("RapidPro")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Stop the start when the keys are missing or malformed: the message names the setting and never a key."""
        from rapidpro_integration import servers, vault
        from rapidpro_integration.client.origins import OriginError

        problem = ""
        try:
            vault.ring()
            servers.allowed()
        except (vault.KeyRingError, OriginError) as error:
            problem = str(error)
        if problem:
            raise ImproperlyConfigured(problem)
        self._equip_client()

    def _equip_client(self) -> None:
        from config import lifespan
        from rapidpro_integration import waits
        from rapidpro_integration.client import pools, transport

        transport.quota.store = waits.shared_store()
        lifespan.at_shutdown(pools.aclose)
