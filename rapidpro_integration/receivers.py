"""Deletions of tokens, however they come about, written down in their own transaction."""

from typing import Any

from django.db.models.signals import post_delete

from accounts.audit.actions import Action
from accounts.audit.services import record
from rapidpro_integration import kept, notices
from rapidpro_integration.models import RapidProToken


def connect() -> None:
    """Begin to listen."""
    post_delete.connect(_deleted, sender=RapidProToken)


def _deleted(sender: object, instance: RapidProToken, **kwargs: Any) -> None:
    # By its owner, by staff in the admin, or with the closing of the account: one signal for all of them.
    kept.drop_on_commit(instance)
    entry = record(Action.TOKEN_DELETED, token=instance, details={"server": instance.server})
    notices.tell_owner(entry, instance.server)
