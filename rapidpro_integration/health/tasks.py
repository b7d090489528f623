"""The background work of tokens' health, as tasks of `django.tasks`. Each is safe to run twice."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.tasks import TaskContext, default_task_backend, task
from django.utils import timezone

from accounts.audit.context import acting_as
from rapidpro_integration.health import leases, mails, rounds, thinning, work
from rapidpro_integration.models import Trigger

if TYPE_CHECKING:
    type Context = TaskContext[Any, Any]

type Counts = dict[str, int]


def _worker(context: "Context") -> str:
    ids = context.task_result.worker_ids
    return str(ids[-1]) if ids else "task"


@task(takes_context=True)
async def check_due(context: "Context") -> Counts:
    """Check the tokens whose time has come, for a minute at most; go on in another task if there are more.

    Raises rounds.ChecksFailed for errors of our own; a token that its server refuses is none.
    """
    with acting_as("worker: check_due"):
        tally = await rounds.around(_worker(context))
    # Others wait in the queue too: so a long round is many short ones.
    if tally.checked and default_task_backend.supports_defer and await leases.due(timezone.now()).aexists():
        await check_due.aenqueue()
    return _counts(tally)


@task(takes_context=True)
async def check_these(context: "Context", token_ids: Sequence[str], trigger: str = Trigger.STAFF) -> Counts:
    """Check these tokens now, due or not; those that may not be checked, or must wait, are left out.

    Raises rounds.ChecksFailed for errors of our own.
    """
    only = leases.askable(timezone.now()).filter(pk__in=list(token_ids))
    with acting_as("worker: check_these"):
        tally = await rounds.around(_worker(context), seconds=300, trigger=Trigger(trigger), only=only, patient=True)
    return _counts(tally)


def _counts(tally: rounds.Tally) -> Counts:
    return {"checked": tally.checked, "working": tally.working, "put_off": tally.put_off}


@task(priority=work.priority(-10))
def housekeeping() -> Counts:
    """Hand out the reminders and weekly mails that are due, and remove what is too old to be kept."""
    return {
        "reminders": mails.remind_all(),
        "digests": mails.digest_all(),
        # All of it once a day: for a site whose workers were away for longer than this looks back.
        "checks": thinning.thin(whole=timezone.now().hour == 0),
        "tasks": work.prune(),
    }
