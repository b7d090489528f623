"""What ends sessions, and what begins one, whichever page or command it comes from."""

from typing import Any

from allauth.account import signals as account_signals
from allauth.mfa import signals as mfa_signals
from django.contrib.auth.signals import user_logged_in
from django.db.models.signals import post_save
from django.dispatch import receiver
from django.http import HttpRequest

from accounts import services
from accounts.models import User


@receiver(user_logged_in)
def note_sign_in(request: HttpRequest, user: User, **kwargs: Any) -> None:
    """List the new session at once, not only with its second request."""
    services.note_session(request, user)


@receiver([account_signals.password_changed, account_signals.password_set, account_signals.password_reset])
@receiver([mfa_signals.authenticator_added, mfa_signals.authenticator_removed, mfa_signals.authenticator_reset])
def end_other_sessions(request: HttpRequest, user: User, **kwargs: Any) -> None:
    """End every other session when the password or the second factor changes: one of them may be a thief's."""
    own = request.session.session_key if request.user == user else None
    services.end_sessions(user, but=own)
    if own:
        services.note_session(request, user)


@receiver(post_save, sender=User)
def end_sessions_of_the_deactivated(instance: User, **kwargs: Any) -> None:
    """End the sessions of a person who has been deactivated, in the admin or elsewhere."""
    if not instance.is_active:
        services.end_sessions(instance)
