"""Doing something with many tokens: in a task, a few at a time, so that it can be watched, stopped and taken over."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from uuid import UUID

from asgiref.sync import async_to_sync
from django.db import transaction
from django.tasks import default_task_backend, task
from django.utils import timezone

from accounts.audit.actions import Action
from accounts.audit.chain import Fact
from accounts.audit.context import Source, acting_as, name_of, source
from accounts.audit.services import record
from accounts.models import User
from rapidpro_integration import notices, selectors, services
from rapidpro_integration.checking import CheckOutcome, acheck_token
from rapidpro_integration.client.errors import Kind
from rapidpro_integration.health import work
from rapidpro_integration.models import RapidProToken, TokenState, Trigger
from rapidpro_integration.problems import log_problem
from rapidpro_integration.servers import Access
from rapidpro_integration.staff.models import BulkAction, BulkKind

logger = logging.getLogger(__name__)

# What one action may take on.
MAX_TOKENS = 5_000
# So few are done before the answer: nobody should wait for a worker to disable one token.
AT_ONCE = 20
# When a worker looks whether those few were done: the process that was at it may have been killed.
_LOOKED_AFTER = timedelta(seconds=30)
_CHECKS_AT_ONCE = 4
_STEP = 20
PROGRAM = "staff action"


def prepare(staff: User, kind: str, token_ids: list[str]) -> BulkAction:
    """Save what staff want to be done; nothing happens before `confirm`."""
    return BulkAction.objects.create(
        kind=kind, staff=staff, staff_name=name_of(staff)[:255], token_ids=token_ids[:MAX_TOKENS]
    )


def confirm(action: BulkAction, note: str = "") -> bool:
    """Begin: at once for a few, in a task for many. Return False if it has begun already."""
    waiting = BulkAction.objects.filter(pk=action.pk, started_on=None)
    is_small = action.kind != BulkKind.CHECK and action.total <= AT_ONCE
    with transaction.atomic():
        if not waiting.update(started_on=timezone.now(), note=note):
            return False
        details: dict[str, Fact] = {"change": action.kind, "tokens": action.total, "action": str(action.pk)}
        record(Action.STAFF_ACTION, details=details)
        # Always: it has begun, and cannot be confirmed again, so a worker does what this process leaves undone.
        later = run_later
        if is_small and default_task_backend.supports_defer:
            later = run_later.using(run_after=timezone.now() + _LOOKED_AFTER)
        work.hand_out(later, str(action.pk))
    if is_small:
        try:
            run(action.pk)
        except Exception:
            logger.exception("An action was not done to its end action=%s", action.pk)
    return True


def undo(action: BulkAction, staff: User) -> BulkAction | None:
    """Take back what the action changed, and nothing else; None where that cannot be, or has been done."""
    with transaction.atomic():
        row = BulkAction.objects.select_for_update().get(pk=action.pk)
        undone = BulkAction.objects.filter(undoes=row).exists()
        if not row.inverse or row.finished_on is None or not row.changed_ids or undone:
            return None
        back = prepare(staff, row.inverse, row.changed_ids)
        back.undoes = row
        back.save(update_fields=["undoes"])
    confirm(back)
    return back


@task
def run_later(action_id: str) -> None:
    """Do what is left of an action; safe to run twice."""
    with acting_as(PROGRAM):
        run(UUID(action_id))


def run(action_id: UUID) -> None:
    """Do what is left of a confirmed action, a step at a time; what is done is written down with each step."""
    action = BulkAction.objects.get(pk=action_id)
    # Inside staff's own request the entries say from where; a worker knows who alone.
    by = None if source().person_id == action.staff_id else Source(action.staff_id, action.staff_name)
    while action.is_running:
        if action.done_count >= action.total:
            BulkAction.objects.filter(pk=action.pk, finished_on=None).update(finished_on=timezone.now())
            return
        action = _check_step(action_id) if action.kind == BulkKind.CHECK else _step(action_id, by)


def _step(action_id: UUID, by: Source | None) -> BulkAction:
    """Do the next step in one transaction with the note of it: two workers, or one after a killed one, do it once."""
    with transaction.atomic():
        action = BulkAction.objects.select_for_update().get(pk=action_id)
        ids = action.token_ids[action.done_count : action.done_count + _STEP]
        action.changed_ids += _do(action, ids, by)
        action.done_count += len(ids)
        action.save(update_fields=["changed_ids", "done_count"])
    return action


def _check_step(action_id: UUID) -> BulkAction:
    """Check the next tokens: outside a transaction, as servers are asked. A step that is done twice does no harm."""
    action = BulkAction.objects.get(pk=action_id)
    done, ids = action.done_count, action.token_ids[action.done_count : action.done_count + _STEP]
    checked = _check(_tokens(ids))
    with transaction.atomic():
        action = BulkAction.objects.select_for_update().get(pk=action_id)
        if action.done_count == done:
            action.changed_ids += checked
            action.done_count += len(ids)
            action.save(update_fields=["changed_ids", "done_count"])
    return action


def _tokens(ids: Sequence[str]) -> list[RapidProToken]:
    return list(selectors.with_access(RapidProToken.objects.filter(pk__in=ids).select_related("owner")))


def _do(action: BulkAction, ids: Sequence[str], by: Source | None) -> list[str]:
    """Do it with these tokens; return the ids of those that it changed."""
    each: dict[str, Callable[..., bool]] = {
        BulkKind.DISABLE.value: services.disable_token,
        BulkKind.ENABLE.value: services.enable_token,
        BulkKind.ASK.value: partial(ask_owner, note=action.note),
    }
    do = each[action.kind]
    return [str(token.pk) for token in _tokens(ids) if do(token, by=by)]


def _check(tokens: Sequence[RapidProToken]) -> list[str]:
    # The tokens of a deactivated person are not used any more, not even to see whether they work.
    # Where the server is paused or closed to the owner nothing would be asked, and what is known would be lost.
    usable = [token for token in tokens if token.owner.is_active and token.access != Access.CLOSED]
    return [str(token.pk) for token, _ in check([token for token in usable if token.state != TokenState.DISABLED])]


def check(tokens: Sequence[RapidProToken]) -> list[tuple[RapidProToken, CheckOutcome]]:
    """Ask the servers about the tokens and save what they say; return what was saved."""
    saved = []
    for token, outcome in zip(tokens, async_to_sync(acheck_all)(tokens), strict=True):
        if outcome.error:
            log_problem(outcome.error, token, outcome.reference)
            if outcome.error.kind is Kind.BUSY:
                continue  # nothing was asked, so nothing is known
        try:
            services.record_check(token, outcome, Trigger.STAFF)
        except services.TokenChangedMeanwhile:
            continue
        saved.append((token, outcome))
    return saved


async def acheck_all(tokens: Sequence[RapidProToken]) -> list[CheckOutcome]:
    """Return what the servers say of the tokens, asked a few at a time: no wave of requests to anybody."""
    limit = asyncio.Semaphore(_CHECKS_AT_ONCE)

    async def acheck_one(token: RapidProToken) -> CheckOutcome:
        async with limit:
            return await acheck_token(token)

    return await asyncio.gather(*(acheck_one(token) for token in tokens))


def ask_owner(token: RapidProToken, *, note: str = "", by: Source | None = None) -> bool:
    """Mail the owner that the token should be replaced; return False for one who is shut out."""
    if not token.owner.is_active:
        return False
    with transaction.atomic():
        entry = record(Action.TOKEN_REPLACE_ASKED, token=token, by=by, details={"note": note})
        notices.tell_owner(entry, token.server)
    return True
