"""What Django's and allauth's signals tell about accounts, written down; connected in accounts/apps.py.

Inside User.save and inside deletions these run in the same transaction as the change.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from allauth.account.models import EmailAddress
from allauth.account.signals import email_confirmed
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models import Model, Q
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete, pre_save

from accounts.audit.actions import Action, Outcome
from accounts.audit.chain import Fact
from accounts.audit.services import record
from accounts.models import User

_RIGHTS = ("is_active", "is_staff", "is_superuser")
_WATCHED = (*_RIGHTS, "email", "password")


def connect() -> None:
    """Begin to listen."""
    user_logged_in.connect(_signed_in)
    user_login_failed.connect(_sign_in_failed)
    user_logged_out.connect(_signed_out)
    email_confirmed.connect(_email_confirmed)
    pre_save.connect(_before_save, sender=User)
    post_save.connect(_saved, sender=User)
    pre_delete.connect(_before_closing, sender=User)
    post_delete.connect(_closed, sender=User)
    post_delete.connect(_group_deleted, sender=Group)
    for through in (User.groups.through, User.user_permissions.through, Group.permissions.through):
        m2m_changed.connect(_rights_changed, sender=through)
    if apps.is_installed("allauth.mfa"):
        from allauth.mfa import signals

        signals.authenticator_added.connect(_authenticator_added)
        signals.authenticator_removed.connect(_authenticator_removed)
        signals.authenticator_reset.connect(_authenticator_reset)
        signals.authentication_failed.connect(_second_factor_failed)


# --- In and out ---------------------------------------------------------------------------------


def _signed_in(sender: object, user: User, **kwargs: Any) -> None:
    record(Action.SIGNED_IN, owner=user, by=user)


def _sign_in_failed(sender: object, credentials: Mapping[str, Any], **kwargs: Any) -> None:
    # What was typed is not kept: people type passwords into the wrong field. Whose account was meant is.
    typed = [str(credentials[name]).lower() for name in ("username", "email", "login") if credentials.get(name)]
    meant = User.objects.filter(Q(username__in=typed) | Q(email__in=typed)).first() if typed else None
    record(Action.SIGN_IN_FAILED, owner=meant, outcome=Outcome.REFUSED, details={"known_account": meant is not None})


def _signed_out(sender: object, user: User | None, **kwargs: Any) -> None:
    if user is not None:
        record(Action.SIGNED_OUT, owner=user, by=user)


def _email_confirmed(sender: object, email_address: EmailAddress, **kwargs: Any) -> None:
    record(Action.EMAIL_CONFIRMED, owner=email_address.user_id, details={"email": email_address.email})


def _authenticator_added(sender: object, user: User, authenticator: Any, **kwargs: Any) -> None:
    record(Action.AUTHENTICATOR_ADDED, owner=user, details={"kind": str(authenticator.type)})


def _authenticator_removed(sender: object, user: User, authenticator: Any, **kwargs: Any) -> None:
    record(Action.AUTHENTICATOR_REMOVED, owner=user, details={"kind": str(authenticator.type)})


def _authenticator_reset(sender: object, user: User, authenticator: Any, **kwargs: Any) -> None:
    record(Action.AUTHENTICATOR_ADDED, owner=user, details={"kind": str(authenticator.type), "again": True})


def _second_factor_failed(sender: object, user: User, **kwargs: Any) -> None:
    record(Action.SIGN_IN_FAILED, owner=user, outcome=Outcome.REFUSED, details={"second_factor": True})


# --- The account's row --------------------------------------------------------------------------


def _before_save(sender: object, instance: User, update_fields: Iterable[str] | None, **kwargs: Any) -> None:
    watched = _WATCHED if update_fields is None else [name for name in _WATCHED if name in set(update_fields)]
    rows = User._base_manager.filter(pk=instance.pk).values(*watched)
    instance._audit_before = rows.first() if watched and instance.pk else None  # type: ignore[attr-defined]


def _saved(sender: object, instance: User, created: bool, **kwargs: Any) -> None:
    before = instance.__dict__.pop("_audit_before", None) or {}
    now = {name: getattr(instance, name) for name in _WATCHED}
    changed = {name for name, value in before.items() if value != now[name]}
    if created:
        record(Action.ACCOUNT_MADE, owner=instance, details={name: now[name] for name in _RIGHTS if now[name]})
    if rights := changed.intersection(_RIGHTS):
        record(Action.PERMISSIONS_CHANGED, owner=instance, details={name: now[name] for name in sorted(rights)})
    if "email" in changed:
        record(Action.EMAIL_CHANGED, owner=instance, details={"from": before["email"], "to": now["email"]})
    # A better hash of the same password, saved at a sign-in, is no change: then Django holds no new password here.
    has_new = instance._password is not None  # type: ignore[attr-defined]  # not in the stubs
    if "password" in changed and (has_new or not instance.has_usable_password()):
        record(Action.PASSWORD_CHANGED, owner=instance, details={"usable": instance.has_usable_password()})


def _before_closing(sender: object, instance: User, **kwargs: Any) -> None:
    # The person's row is locked before the log's head is, by the entries of the tokens that go too. Who saves a token
    # of this person takes the two in the same order; in the other one both would wait for each other.
    User._base_manager.select_for_update().filter(pk=instance.pk).first()


def _closed(sender: object, instance: User, **kwargs: Any) -> None:
    record(Action.ACCOUNT_CLOSED, owner=instance)


# --- Groups and permissions ---------------------------------------------------------------------

_SAID = {"post_add": "added", "post_remove": "removed", "pre_clear": "removed"}


def _rights_changed(
    sender: type[Model], instance: Model, action: str, reverse: bool, model: type[Model], pk_set: Any, **kwargs: Any
) -> None:
    """Write an entry for each person or group whose rights changed, whichever end the change came from."""
    if action not in _SAID:
        return
    others = list(model._base_manager.filter(pk__in=pk_set) if pk_set is not None else _linked(sender, instance, model))
    pairs = [(other, [instance]) for other in others] if reverse else [(instance, others)] if others else []
    for holder, given in pairs:
        what = "permissions" if isinstance(given[0], Permission) else "groups"
        details: dict[str, Fact] = {f"{what}_{_SAID[action]}": [_name(right) for right in given]}
        if isinstance(holder, User):
            record(Action.PERMISSIONS_CHANGED, owner=holder, details=details)
        else:
            record(Action.PERMISSIONS_CHANGED, details=details | {"group": str(holder)})


def _linked(through: type[Model], instance: Model, model: type[Model]) -> Iterable[Model]:
    """Return what is linked to `instance` just before a clear."""
    here, there = (
        next(field.name for field in through._meta.fields if field.related_model is wanted)
        for wanted in (type(instance), model)
    )
    return [getattr(row, there) for row in through._base_manager.filter(**{here: instance}).select_related(there)]


def _name(right: Model) -> str:
    return f"{right.content_type.app_label}.{right.codename}" if isinstance(right, Permission) else str(right)


def _group_deleted(sender: object, instance: Group, **kwargs: Any) -> None:
    record(Action.PERMISSIONS_CHANGED, details={"group": instance.name, "deleted": True})
