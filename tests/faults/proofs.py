"""What the database holds after the processes of a site were killed: `python -m tests.faults.proofs <question>`.

Reads JSON from its input and prints JSON. It runs beside the site, with the site's settings.
"""

import json
import sys
import time
from collections import Counter
from datetime import timedelta
from itertools import pairwise
from typing import Any

import django

django.setup()

from django.db.models import F, Q  # noqa: E402
from django.utils import timezone  # noqa: E402
from django_tasks_db.models import DBTaskResult  # noqa: E402

from accounts.audit.actions import Action, Outcome  # noqa: E402
from accounts.audit.models import AuditEntry  # noqa: E402
from accounts.models import User  # noqa: E402
from rapidpro_integration import vault  # noqa: E402
from rapidpro_integration.models import RapidProToken, TokenCheck, Trigger, WorkerBeat  # noqa: E402
from rapidpro_integration.staff.models import BulkAction  # noqa: E402


def kept(ledger: dict[str, Any]) -> dict[str, Any]:
    """Compare with what people were told: what is lost, what came back, what is there twice."""
    found: dict[tuple[str, str], str] = {}
    secrets = Counter[tuple[str, str]]()
    for row in RapidProToken.objects.select_related("owner"):
        secret = vault.open_token(row).reveal()
        found[row.owner.username, row.label] = secret
        secrets[row.owner.username, secret] += 1
    wanted = {(name, label): secret for name, tokens in ledger["tokens"].items() for label, secret in tokens.items()}
    names = dict(User.objects.values_list("username", "name"))
    return {
        "saved": len(wanted),
        "lost": sorted(
            f"{name} {label}" for (name, label), secret in wanted.items() if found.get((name, label)) != secret
        ),
        "unasked": sorted(f"{name} {label}" for name, label in found.keys() - wanted.keys()),
        "came back": sorted({f"{name} {label}" for name, label in found} & set(ledger["deleted"])),
        "twice": sum(count > 1 for count in secrets.values()),
        "names lost": [name for name, wish in ledger["names"].items() if names[name] != wish],
    }


def _alternates(actions: list[str]) -> bool:
    return all(one != other for one, other in pairwise(actions))


def log() -> dict[str, Any]:
    """Return what the audit log tells twice: an addition or a deletion of a row, a state that was there already."""
    entries = AuditEntry.objects.order_by("number")
    added = Counter(entries.filter(action=Action.TOKEN_ADDED, details__saved=None).values_list("token_id", flat=True))
    deleted = Counter(entries.filter(action=Action.TOKEN_DELETED).values_list("token_id", flat=True))
    states = dict[Any, list[str]]()
    for token_id, action in entries.filter(action__in=[Action.TOKEN_DISABLED, Action.TOKEN_ENABLED]).values_list(
        "token_id", "action"
    ):
        states.setdefault(token_id, []).append(action)
    begun = Counter(entries.filter(action=Action.STAFF_ACTION).values_list("details__action", flat=True))
    told = entries.filter(action=Action.MAIL_SENT, outcome=Outcome.DONE).values_list("details__entry", flat=True)
    mails = Counter(number for number in told if number is not None)
    told_of = [Action.TOKEN_ADDED, Action.TOKEN_REPLACED, Action.TOKEN_DELETED, Action.TOKEN_DISABLED]
    wanted = set(entries.filter(action__in=told_of, outcome=Outcome.DONE).values_list("number", flat=True))
    return {
        "entries": entries.count(),
        "twice": sum(count > 1 for counts in (added, deleted, begun, mails) for count in counts.values()),
        "states out of turn": sum(not _alternates(actions) for actions in states.values()),
        "mails": sum(mails.values()),
        "mails never sent": len(wanted - mails.keys()),
    }


def work() -> dict[str, Any]:
    """Return how the background work and the staff actions stand."""
    now = timezone.now()
    due = TokenCheck.objects.filter(trigger=Trigger.DUE)
    twice = Counter(due.exclude(token__owner__is_staff=True).values_list("token_id", flat=True))
    tasks = list(DBTaskResult.objects.values_list("task_path", "status", "worker_ids"))
    return {
        "tasks": dict(Counter(str(status) for _, status, _ in tasks)),
        "taken over": sum(len(workers) > 1 for _, _, workers in tasks),
        "checks": due.count(),
        "checked twice": sum(count > 1 for count in twice.values()),
        "leased": RapidProToken.objects.filter(leased_until__gt=now).count(),
        "leases run out": RapidProToken.objects.filter(leased_until__lte=now).count(),
        "never checked": RapidProToken.objects.filter(next_check_on=None).exclude(state="disabled").count(),
        "actions": BulkAction.objects.exclude(started_on=None).count(),
        "under way": BulkAction.objects.filter(started_on__isnull=False, finished_on=None).count(),
        "workers alive": WorkerBeat.objects.filter(
            role=WorkerBeat.Role.WORKER, beat_on__gt=now - timedelta(seconds=20)
        ).count(),
    }


def settle(limit_s: int, aged_s: int) -> dict[str, Any]:
    """Wait until nothing is left to do, and return `work()`; with `aged_s`, what waits for time need not wait."""
    ends = time.monotonic() + limit_s
    while True:
        if aged_s:
            age(aged_s)
        now = work()
        open_tasks = now["tasks"].get("READY", 0) + now["tasks"].get("RUNNING", 0)
        left = open_tasks + now["leased"] + now["leases run out"] + now["under way"] + now["never checked"]
        if not left or time.monotonic() > ends:
            return now | {"left": left}
        time.sleep(1)


def age(seconds: int) -> dict[str, int]:
    """Let so much time have passed for what waits for time: signs of life of the dead, their tasks and leases."""
    by, now = timedelta(seconds=seconds), timezone.now()
    silent = WorkerBeat.objects.filter(beat_on__lt=now - timedelta(seconds=12))
    begun = DBTaskResult.objects.filter(status="RUNNING")
    dead = list(silent.values_list("worker_id", flat=True))
    return {
        "dead": silent.update(beat_on=F("beat_on") - by),
        "tasks": sum(
            DBTaskResult.objects.filter(pk=row.pk).update(started_at=row.started_at - by)
            for row in begun
            if row.worker_ids and row.worker_ids[-1] in dead
        ),
        "leases": sum(
            RapidProToken.objects.filter(pk=row.pk, leased_by=row.leased_by).update(leased_until=row.leased_until - by)
            for row in RapidProToken.objects.filter(leased_until__gt=now)
            if any(row.leased_by.startswith(f"{worker[:63]}:") for worker in dead)
        ),
        "later": DBTaskResult.objects.filter(Q(status="READY") & Q(run_after__gt=now)).update(run_after=now),
    }


if __name__ == "__main__":
    given = json.loads(sys.stdin.read() or "null")
    match sys.argv[1:]:
        case ["kept"]:
            told: Any = kept(given)
        case ["log"]:
            told = log()
        case ["work"]:
            told = work()
        case ["settle", limit, aged]:
            told = settle(int(limit), int(aged))
        case _:
            sys.exit("What?")
    sys.stdout.write(json.dumps(told))
