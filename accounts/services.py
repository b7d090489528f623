"""Writes on accounts: each is one sync transaction, wrapped once for the async views."""

from allauth.account.models import EmailAddress
from asgiref.sync import sync_to_async
from django.contrib.sessions.models import Session
from django.db import transaction

from accounts.models import User


class LastSuperuser(Exception):
    """Nobody would be left to administer the site."""


def save_profile(user: User) -> None:
    """Save name, language and time zone, and nothing else.

    The row may have changed since it was read: a new password or a deactivation must not be undone here.
    """
    user.save(update_fields=["name", "language", "time_zone"])


def change_address(user: User) -> None:
    """Let the address on the user's row, still to be confirmed, be the only one that can open the account."""
    with transaction.atomic():
        EmailAddress.objects.filter(user=user).delete()
        EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=False)


def close_account(user: User) -> None:
    """Destroy the account with everything that belongs to it, tokens included, and end all its sessions.

    Raises LastSuperuser for the only active superuser.
    """
    with transaction.atomic():
        if user.is_superuser:
            # All are locked, in one order: of the last two who leave at once, the second sees that the first is gone.
            superusers = User.objects.select_for_update().filter(is_superuser=True, is_active=True).order_by("pk")
            if {superuser.pk for superuser in superusers} <= {user.pk}:
                raise LastSuperuser
        mine = [
            session.pk
            for session in Session.objects.iterator()
            if session.get_decoded().get("_auth_user_id") == str(user.pk)
        ]
        Session.objects.filter(pk__in=mine).delete()
        user.delete()


asave_profile = sync_to_async(save_profile)
aclose_account = sync_to_async(close_account)
