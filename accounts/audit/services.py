"""Writing an entry: one short transaction, or a part of the one that makes the change it tells of."""

from collections.abc import Mapping
from typing import Protocol
from uuid import UUID

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.utils import timezone

from accounts.audit import chain
from accounts.audit.actions import Action, Outcome
from accounts.audit.chain import Fact
from accounts.audit.context import Source, name_of, source
from accounts.audit.models import AuditEntry, AuditHead


class LogBroken(Exception):
    """The log has no head: somebody went around us, and a new head would hide it."""


class TokenFacts(Protocol):
    """What an entry keeps of a token."""

    @property
    def pk(self) -> UUID:
        """The row's id."""

    @property
    def owner_id(self) -> int:
        """The id of the person whose token it is."""

    @property
    def label(self) -> str:
        """The name that its owner gave it."""


def record(
    action: Action,
    *,
    owner: AbstractBaseUser | int | None = None,
    token: TokenFacts | None = None,
    outcome: Outcome = Outcome.DONE,
    reference: str = "",
    count: int = 1,
    details: Mapping[str, Fact] | None = None,
    by: Source | AbstractBaseUser | None = None,
    pruned_through: int | None = None,
) -> AuditEntry:
    """Write one entry and return it. Inside a transaction it is kept or lost with the change that it tells of.

    `owner` is whose facts these are, by default the token's owner; `by` is who did it, by default whoever is asking.
    `details` are plain facts, never a secret. Whatever goes wrong is raised: nothing is done that is not written down.
    Raises TypeError for details that are no plain facts, LogBroken, and what the database raises.
    """
    facts = {name: _plain_fact(name, value) for name, value in (details or {}).items()}
    who = _source(by)
    owner_id, owner_name = _owner(owner if owner is not None or token is None else token.owner_id, who)
    entry = AuditEntry(
        action=action,
        outcome=outcome,
        actor_id=who.person_id,
        actor_name=_plain(who.name, 255),
        owner_id=owner_id,
        owner_name=_plain(owner_name, 255),
        token_id=token.pk if token else None,
        token_label=_plain(token.label, 80) if token else "",
        address=_plain(who.address, 45),
        agent=_plain(who.agent, 120),
        reference=_plain(reference or who.reference, 16),
        count=count,
        details=facts,
        pruned_through=pruned_through,
    )
    return _append(entry)


def _append(entry: AuditEntry) -> AuditEntry:
    """Sign the entry behind the newest one. Writers queue at the head's row; on SQLite at BEGIN IMMEDIATE."""
    key = chain.signing_key()
    with transaction.atomic():
        head = AuditHead.objects.select_for_update().filter(pk=1).first()
        if head is None:
            raise LogBroken("The head of the audit log is missing: restore it from a backup (docs/operations.md).")
        entry.number, entry.previous, entry.key_id = head.number + 1, head.mac, key.id
        # Taken while the head is held, so that the times are in the order of the numbers.
        entry.when = timezone.now()
        entry.mac = key.sign_entry(entry.previous, entry.signed_fields())
        entry.save()
        AuditHead.objects.filter(pk=1).update(
            number=entry.number, mac=entry.mac, key_id=key.id, seal=key.sign_head(entry.number, entry.mac)
        )
    return entry


def _source(by: Source | AbstractBaseUser | None) -> Source:
    asking = source()
    if isinstance(by, AbstractBaseUser):
        return Source(by.pk, name_of(by), asking.address, asking.agent, asking.reference)
    return by or asking


def _owner(owner: AbstractBaseUser | int | None, who: Source) -> tuple[int | None, str]:
    if isinstance(owner, AbstractBaseUser):
        return owner.pk, name_of(owner)
    if owner is None or owner == who.person_id:
        return owner, who.name if owner is not None else ""
    return owner, name_of(get_user_model()._base_manager.filter(pk=owner).first())


def _plain(text: str, length: int) -> str:
    """Return printable text of at most `length` characters: no NUL, which PostgreSQL refuses, and no line breaks."""
    return "".join(character if character.isprintable() else " " for character in text)[:length].strip()


def _plain_fact(name: str, value: Fact) -> Fact:
    # Floats are out: not every database gives back the digits it was given, and the signature needs the same ones.
    items = value if isinstance(value, list) else [value]
    if not all(isinstance(item, str | int | None) for item in items):
        raise TypeError(f"The detail {name!r} is no plain fact.")
    if isinstance(value, list):
        return [_plain(item, 255) if isinstance(item, str) else item for item in value]  # type: ignore[return-value]
    return _plain(value, 255) if isinstance(value, str) else value


arecord = sync_to_async(record)
