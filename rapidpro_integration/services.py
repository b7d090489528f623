"""Writes: each is one sync transaction, wrapped once for the async views (`aadd_token` is `add_token`)."""

import uuid
from datetime import timedelta
from typing import Any

from asgiref.sync import sync_to_async
from django.db import IntegrityError, transaction
from django.utils import timezone

from rapidpro_integration import canaries, servers, vault
from rapidpro_integration.checking import CheckOutcome
from rapidpro_integration.models import RapidProToken, TokenState
from rapidpro_integration.vault import Secret

# How fine "last used" is kept: a page opened ten times in a minute is one write.
_USED_EVERY = timedelta(minutes=1)


class TokenAlreadySaved(Exception):  # exceptions end in the fact
    """The owner has this token for this server already, in the row `existing`."""

    def __init__(self, existing: RapidProToken) -> None:
        super().__init__(str(existing.pk))
        self.existing = existing


class TokenChangedMeanwhile(Exception):  # exceptions end in the fact
    """The row was replaced or deleted since it was read."""


def sealed_fields(secret: Secret, *, row_id: uuid.UUID, owner_id: int, server: str) -> dict[str, Any]:
    """Return the columns of RapidProToken that hold this secret, sealed and fingerprinted with the first key."""
    sealed = vault.seal_token(secret, row_id=row_id, owner_id=owner_id, origin=server)
    return {
        "server": server,
        "sealed": sealed.text,
        "key_id": sealed.key_id,
        "fingerprint": vault.ring().fingerprint(secret, owner_id=owner_id, origin=server),
        "last_four": vault.last_four(secret),
    }


def find_token(owner_id: int, server: str, secret: Secret) -> RapidProToken | None:
    """Return the owner's row that holds this very token for this server, sealed under whichever key."""
    fingerprints = vault.ring().fingerprints(secret, owner_id=owner_id, origin=server)
    return RapidProToken.objects.filter(owner_id=owner_id, server=server, fingerprint__in=fingerprints).first()


def _default_label(outcome: CheckOutcome, server: str) -> str:
    return (outcome.workspace.name if outcome.workspace else "")[:80].strip() or servers.host(server)[:80]


def add_token(owner_id: int, label: str, server: str, secret: Secret, outcome: CheckOutcome) -> RapidProToken:
    """Seal and save a new token with what its check found; an empty label becomes the workspace's name.

    Raises TokenAlreadySaved, and KeyUnfitError when the sealing key may not be used.
    """
    row_id = uuid.uuid4()
    try:
        with transaction.atomic(), canaries.sealing():
            if existing := find_token(owner_id, server, secret):
                raise TokenAlreadySaved(existing)
            return RapidProToken.objects.create(
                id=row_id,
                owner_id=owner_id,
                label=label or _default_label(outcome, server),
                **sealed_fields(secret, row_id=row_id, owner_id=owner_id, server=server),
                **outcome.fields(),
            )
    except IntegrityError:
        # Somebody's second click was faster than the look-up above.
        existing = find_token(owner_id, server, secret)
        if existing is None:
            raise
    raise TokenAlreadySaved(existing)


def replace_token(token: RapidProToken, server: str, secret: Secret, outcome: CheckOutcome) -> None:
    """Put a new secret (and perhaps another server) into the row; the label and the address of its pages stay.

    What was known of the old token's workspace is dropped unless the new one's check tells it anew.
    Raises TokenAlreadySaved and TokenChangedMeanwhile, and KeyUnfitError when the sealing key may not be used.
    """
    forgotten: dict[str, Any] = {
        "workspace_uuid": None,
        "workspace_name": "",
        "workspace_country": "",
        "workspace_languages": [],
        "workspace_time_zone": "",
    }
    fields = sealed_fields(secret, row_id=token.pk, owner_id=token.owner_id, server=server)
    try:
        with transaction.atomic(), canaries.sealing():
            existing = find_token(token.owner_id, server, secret)
            if existing is not None and existing.pk != token.pk:
                raise TokenAlreadySaved(existing)
            _update_unchanged(token, forgotten | fields | outcome.fields())
    except IntegrityError:
        existing = find_token(token.owner_id, server, secret)
        if existing is None:
            raise
    else:
        return
    raise TokenAlreadySaved(existing)


def _update_unchanged(token: RapidProToken, fields: dict[str, Any]) -> None:
    """Update the row only if it still holds the token that was read and is not disabled (compare and set)."""
    rows = RapidProToken.objects.filter(pk=token.pk).exclude(state=TokenState.DISABLED)
    if rows.filter(sealed=token.sealed).update(**fields):
        return
    # A rotation of the keys may have sealed the same token anew in the meantime: to a person nothing has changed.
    now = rows.first()
    if now is None or not vault.holds_the_same(now, token) or not rows.filter(sealed=now.sealed).update(**fields):
        raise TokenChangedMeanwhile


def record_check(token: RapidProToken, outcome: CheckOutcome) -> None:
    """Save what a check found. Raises TokenChangedMeanwhile when the row no longer holds the token that was checked."""
    _update_unchanged(token, outcome.fields())


def record_use(token: RapidProToken) -> None:
    """Save that the token was used just now, at most once a minute."""
    now = timezone.now()
    if token.last_used_on is None or now - token.last_used_on > _USED_EVERY:
        RapidProToken.objects.filter(pk=token.pk).update(last_used_on=now)


def rename_token(token: RapidProToken, label: str) -> None:
    """Give the row another label."""
    RapidProToken.objects.filter(pk=token.pk).update(label=label, changed_on=timezone.now())


def delete_token(token: RapidProToken) -> None:
    """Destroy the row and the sealed token in it."""
    RapidProToken.objects.filter(pk=token.pk).delete()


def disable_token(token: RapidProToken) -> bool:
    """Stop all use of the token until staff enable it again; return whether that changed anything."""
    rows = RapidProToken.objects.filter(pk=token.pk).exclude(state=TokenState.DISABLED)
    return bool(rows.update(state=TokenState.DISABLED, changed_on=timezone.now()))


def enable_token(token: RapidProToken) -> bool:
    """Let a disabled token be used again, as not checked yet; return whether that changed anything."""
    rows = RapidProToken.objects.filter(pk=token.pk, state=TokenState.DISABLED)
    return bool(rows.update(state=TokenState.UNCHECKED, changed_on=timezone.now()))


afind_token = sync_to_async(find_token)
aadd_token = sync_to_async(add_token)
areplace_token = sync_to_async(replace_token)
arecord_check = sync_to_async(record_check)
arecord_use = sync_to_async(record_use)
arename_token = sync_to_async(rename_token)
adelete_token = sync_to_async(delete_token)
