"""The application of users and their sessions."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    """Who you are."""

    name = "accounts"
    verbose_name = _("Accounts")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Listen to what must end or begin a session, and begin to write down what happens to accounts."""
        from accounts import receivers  # noqa: F401  # importing it connects the receivers
        from accounts.audit import receivers as audit_receivers
        from config import checks  # noqa: F401  # the checks of a production register themselves

        audit_receivers.connect()
