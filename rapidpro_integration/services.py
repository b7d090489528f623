"""Writes: each is one sync transaction, wrapped once for the async views (`aadd_token` is `add_token`)."""

import uuid
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from asgiref.sync import sync_to_async
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.audit.actions import Action
from accounts.audit.chain import Fact
from accounts.audit.context import Source
from accounts.audit.services import record
from config.busy import if_writable
from rapidpro_integration import canaries, kept, notices, servers, vault
from rapidpro_integration.checking import CheckOutcome
from rapidpro_integration.health import recording, rotating
from rapidpro_integration.models import RapidProToken, TokenState, Trigger
from rapidpro_integration.states import REFUSED
from rapidpro_integration.vault import Secret

# How fine "last used" is kept: a page opened ten times in a minute is one write.
_USED_EVERY = timedelta(minutes=1)
# Who comes back after so long has been away.
VISIT_GAP = timedelta(minutes=30)


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
    # On one line: the label stands in mails, in which a server is not to write lines of its own.
    name = " ".join(outcome.workspace.name.split()) if outcome.workspace else ""
    return name[:80].strip() or servers.host(server)[:80]


def add_token(owner_id: int, label: str, server: str, secret: Secret, outcome: CheckOutcome) -> RapidProToken:
    """Seal and save a new token with what its check found; an empty label becomes the workspace's name.

    Raises TokenAlreadySaved, and KeyUnfitError when the sealing key may not be used.
    """
    row_id = uuid.uuid4()
    try:
        with transaction.atomic(), canaries.sealing():
            if existing := find_token(owner_id, server, secret):
                raise TokenAlreadySaved(existing)
            token = RapidProToken.objects.create(
                id=row_id,
                owner_id=owner_id,
                label=label or _default_label(outcome, server),
                **sealed_fields(secret, row_id=row_id, owner_id=owner_id, server=server),
                **outcome.fields(),
                **recording.saved_fields(row_id, outcome),
            )
            recording.write_check(token, outcome, Trigger.SAVE)
            _record_saved(Action.TOKEN_ADDED, token, outcome, {"server": server})
            return token
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
        "flows_seen_on": None,
        "flows_seen_before_on": None,
    }
    fields = sealed_fields(secret, row_id=token.pk, owner_id=token.owner_id, server=server)
    try:
        with transaction.atomic(), canaries.sealing():
            existing = find_token(token.owner_id, server, secret)
            if existing is not None and existing.pk != token.pk:
                raise TokenAlreadySaved(existing)
            forgotten |= recording.saved_fields(token.pk, outcome) | rotating.begun_anew(token)
            _update_unchanged(token, forgotten | fields | outcome.fields())
            recording.write_check(token, outcome, Trigger.SAVE, server=server)
            kept.drop_on_commit(token)
            _record_saved(Action.TOKEN_REPLACED, token, outcome, {"server": server, "server_before": token.server})
    except IntegrityError:
        existing = find_token(token.owner_id, server, secret)
        if existing is None:
            raise
    else:
        return
    raise TokenAlreadySaved(existing)


def _record_saved(action: Action, token: RapidProToken, outcome: CheckOutcome, details: dict[str, Fact]) -> None:
    # It was saved, whatever the server said of it: that is among the details.
    facts = outcome.facts()
    entry = record(action, token=token, reference=outcome.reference, details=details | facts["details"])
    notices.tell_owner(entry, str(details["server"]))


def record_not_saved(owner_id: int, server: str, outcome: CheckOutcome, token: RapidProToken | None) -> None:
    """Write down that somebody tried to add a token, or to replace `token`, and that the check stood in the way."""
    facts = outcome.facts()
    facts["details"] |= {"server": server, "saved": False}
    record(Action.TOKEN_REPLACED if token else Action.TOKEN_ADDED, owner=owner_id, token=token, **facts)


def _update_unchanged(token: RapidProToken, fields: dict[str, Any]) -> None:
    """Update the row only if it still holds the token that was read and is not disabled (compare and set)."""
    rows = RapidProToken.objects.filter(pk=token.pk).exclude(state=TokenState.DISABLED)
    if rows.filter(sealed=token.sealed).update(**fields):
        return
    # A rotation of the keys may have sealed the same token anew in the meantime: to a person nothing has changed.
    now = rows.first()
    if now is None or not vault.holds_the_same(now, token) or not rows.filter(sealed=now.sealed).update(**fields):
        raise TokenChangedMeanwhile


def record_check(
    token: RapidProToken, outcome: CheckOutcome, trigger: Trigger = Trigger.HAND, *, lease: str = ""
) -> None:
    """Save what a check found, when the next one is due, and have the owner told of what is news.

    With `lease` it is saved only while that lease is held. Raises TokenChangedMeanwhile when the row no longer holds
    the token that was checked, or somebody else has taken the lease over.
    """
    with transaction.atomic():
        row = RapidProToken.objects.select_for_update().filter(pk=token.pk).first()
        if row is None or (lease and row.leased_by != lease):
            raise TokenChangedMeanwhile
        judgement = recording.judged(row, outcome)
        released: dict[str, Any] = {"leased_until": None, "leased_by": ""} if lease else {}
        _update_unchanged(token, outcome.fields() | judgement.fields | released)
        recording.write_check(token, outcome, trigger, drift=judgement.drift)
        if judgement.drift and "workspace" in judgement.drift:
            kept.drop_on_commit(token)  # another workspace's flows
        recording.record_and_tell(token, outcome, trigger, judgement, state_before=row.state)


def record_refusal(token: RapidProToken, outcome: CheckOutcome) -> None:
    """Save a refusal that was met while the token was used: it is the newest truth about that token.

    Not if the row was replaced or disabled since it was read: then the refusal says nothing about what is there now.
    """
    if outcome.state in REFUSED:
        with suppress(TokenChangedMeanwhile):
            record_check(token, outcome, Trigger.USE)


def record_use(token: RapidProToken) -> None:
    """Save that the token was used just now, at most once a minute."""
    now = timezone.now()
    if token.last_used_on is None or now - token.last_used_on > _USED_EVERY:
        with if_writable():
            RapidProToken.objects.filter(pk=token.pk).update(last_used_on=now)


def keep_flows(token: RapidProToken, flows: kept.KeptFlows) -> None:
    """Keep a list that has just come, and save that the token was used."""
    record_use(token)
    kept.put(token, flows)
    # Replaced, deleted or disabled while the server answered: what drops a list then has come too early for this one.
    if not holds_still(token):
        kept.drop(token)


def note_look(token: RapidProToken) -> datetime | None:
    """Save that the owner looks at the flows now, at most once a minute; return when the last visit ended.

    Looks that follow each other within VISIT_GAP are one visit. None before the second visit.
    """
    now, seen, before = timezone.now(), token.flows_seen_on, token.flows_seen_before_on
    if seen is not None and now - seen > VISIT_GAP:
        before = seen
    if seen is None or now - seen > _USED_EVERY:
        with if_writable():
            RapidProToken.objects.filter(pk=token.pk).update(flows_seen_on=now, flows_seen_before_on=before)
    return before


def holds_still(token: RapidProToken) -> bool:
    """Return whether the row still holds the token that was read, and nobody has disabled it meanwhile."""
    rows = RapidProToken.objects.filter(pk=token.pk, sealed=token.sealed, server=token.server)
    return rows.exclude(state=TokenState.DISABLED).exists()


def rename_token(token: RapidProToken, label: str) -> None:
    """Give the row another label."""
    with transaction.atomic():
        if RapidProToken.objects.filter(pk=token.pk).update(label=label, changed_on=timezone.now()):
            record(Action.TOKEN_RENAMED, token=token, details={"label": label})


def delete_token(token: RapidProToken) -> None:
    """Destroy the row and the sealed token in it."""
    RapidProToken.objects.filter(pk=token.pk).delete()


def disable_token(token: RapidProToken, *, by: Source | None = None) -> bool:
    """Stop all use of the token until staff enable it again; return whether that changed anything.

    `by` is who does it, by default whoever is asking.
    """
    rows = RapidProToken.objects.filter(pk=token.pk).exclude(state=TokenState.DISABLED)
    return _set_state(token, rows, TokenState.DISABLED, Action.TOKEN_DISABLED, by)


def enable_token(token: RapidProToken, *, by: Source | None = None) -> bool:
    """Let a disabled token be used again, as not checked yet; return whether that changed anything."""
    rows = RapidProToken.objects.filter(pk=token.pk, state=TokenState.DISABLED)
    return _set_state(token, rows, TokenState.UNCHECKED, Action.TOKEN_ENABLED, by)


def _set_state(
    token: RapidProToken, rows: QuerySet[RapidProToken], state: TokenState, action: Action, by: Source | None
) -> bool:
    with transaction.atomic():
        changed = bool(rows.update(state=state, changed_on=timezone.now(), next_check_on=None))
        if changed:
            entry = record(action, token=token, by=by)
            if action == Action.TOKEN_DISABLED:
                kept.drop_on_commit(token)
                notices.tell_owner(entry, token.server)
    return changed


afind_token = sync_to_async(find_token)
aadd_token = sync_to_async(add_token)
arecord_not_saved = sync_to_async(record_not_saved)
areplace_token = sync_to_async(replace_token)
arecord_check = sync_to_async(record_check)
arecord_refusal = sync_to_async(record_refusal)
akeep_flows = sync_to_async(keep_flows)
arecord_use = sync_to_async(record_use)
anote_look = sync_to_async(note_look)
aholds_still = sync_to_async(holds_still)
arename_token = sync_to_async(rename_token)
adelete_token = sync_to_async(delete_token)
