"""What is written down of a check, inside the transaction of `services` that saves its outcome."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from accounts.audit.actions import Action
from accounts.audit.services import record
from rapidpro_integration.checking import CheckOutcome
from rapidpro_integration.health import mails, schedule
from rapidpro_integration.health.judging import DRIFT_PREFIX, Drift, Judgement, judge
from rapidpro_integration.models import RapidProToken, TokenCheck, Trigger
from rapidpro_integration.states import REFUSED, UNTOLD, TokenState


def _retry_on(outcome: CheckOutcome, now: datetime) -> datetime | None:
    retry_after_s = outcome.error.retry_after_s if outcome.error else None
    return now + timedelta(seconds=retry_after_s) if retry_after_s else None


def judged(row: RapidProToken, outcome: CheckOutcome) -> Judgement:
    """Return what the outcome means for the row, as it is in the database now."""
    now = timezone.now()
    return judge(row, outcome, now, _retry_on(outcome, now))


def saved_fields(token_id: UUID, outcome: CheckOutcome) -> dict[str, Any]:
    """Return the columns of a token that has just been typed in: what is told of it begins anew.

    Whoever saved a token that is refused has seen so, and is not mailed besides.
    """
    now = timezone.now()
    fails = outcome.state != TokenState.WORKING and outcome.state not in UNTOLD
    return {
        "failures_in_a_row": int(fails),
        "broken_since": now if fails else None,
        "broken_told_on": now if outcome.state in REFUSED else None,
        "next_check_on": schedule.next_check(token_id, outcome.state, int(fails), now, _retry_on(outcome, now)),
    }


def write_check(
    token: RapidProToken, outcome: CheckOutcome, trigger: Trigger, *, drift: Drift | None = None, server: str = ""
) -> TokenCheck:
    """Write the check's row, at `server` where that is not the row's own, and return it."""
    return TokenCheck.objects.create(
        token_id=token.pk,
        started_on=timezone.now() - timedelta(milliseconds=outcome.duration_ms),
        state=outcome.state,
        kind=outcome.error.kind.value if outcome.error else "",
        http_status=outcome.error.status_code if outcome.error else 200,
        duration_ms=outcome.duration_ms,
        reference=outcome.reference,
        trigger=trigger,
        server=server or token.server,
        drift=drift,
    )


def record_and_tell(
    token: RapidProToken, outcome: CheckOutcome, trigger: Trigger, judgement: Judgement, *, state_before: str
) -> None:
    """Write the check into the audit log, and have the owner mailed about each piece of news.

    A check that the site made on its own and that changed nothing is no act of anybody's: its own row tells of it.
    """
    if trigger == Trigger.DUE and not judgement.news and outcome.state == state_before:
        return
    facts = outcome.facts()
    drift = {f"{DRIFT_PREFIX}{name}": list(pair) for name, pair in (judgement.drift or {}).items()}
    facts["details"] |= drift
    if not judgement.news:
        record(Action.TOKEN_CHECKED, token=token, **facts)
    for news in judgement.news:
        details = facts["details"] | {"news": news.value}
        entry = record(Action.TOKEN_CHECKED, token=token, **facts | {"details": details})
        mails.tell_later(entry, token.server)
