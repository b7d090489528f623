"""Writes on accounts: each is one sync transaction, wrapped once for the async views."""

from asgiref.sync import sync_to_async
from django.contrib.sessions.models import Session
from django.db import transaction

from accounts.models import User


class LastSuperuser(Exception):
    """Nobody would be left to administer the site."""


def close_account(user: User) -> None:
    """Destroy the account with everything that belongs to it, tokens included, and end all its sessions.

    Raises LastSuperuser for the only active superuser.
    """
    with transaction.atomic():
        others = User.objects.select_for_update().filter(is_superuser=True, is_active=True).exclude(pk=user.pk)
        if user.is_superuser and not others.exists():
            raise LastSuperuser
        mine = [
            session.pk
            for session in Session.objects.iterator()
            if session.get_decoded().get("_auth_user_id") == str(user.pk)
        ]
        Session.objects.filter(pk__in=mine).delete()
        user.delete()


aclose_account = sync_to_async(close_account)
