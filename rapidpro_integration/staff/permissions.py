"""The permissions of the staff pages: rows of Django's own, declared on RapidProToken. Superusers have them all."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.models import User

APP = "rapidpro_integration"

# Code name: what it allows. The words are what an administrator reads in the list of permissions.
PERMISSIONS: dict[str, Promise] = {
    "staff_overview": _("See the staff overview"),
    "staff_tokens": _("See everybody's tokens"),
    "staff_token_actions": _("Check, disable and enable tokens and ask for new ones"),
    "staff_last_four": _("See the last four characters of tokens"),
    "staff_servers": _("See how servers are doing"),
    "staff_server_actions": _("Pause servers and end pauses"),
    "staff_workspaces": _("See what workspaces have used of their requests"),
    "staff_users": _("See all people and what they have done"),
    "staff_user_actions": _("Deactivate people and let them in again"),
    "staff_work": _("See background work"),
    "staff_work_actions": _("Retry and cancel background work"),
    "staff_audit": _("Search and export the audit log"),
}


async def aheld_by(user: User) -> frozenset[str]:
    """Return which of PERMISSIONS the person has; asks the database twice, and not at all for a superuser."""
    if user.is_superuser:
        return frozenset(PERMISSIONS)
    held = await user.aget_all_permissions()
    return frozenset(name for name in PERMISSIONS if f"{APP}.{name}" in held)
