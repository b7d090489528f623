"""Daily counts of messages by channel, made for the days that are asked for."""

from datetime import date, timedelta

from rapidpro_integration.sandbox.errors import BadParam
from rapidpro_integration.sandbox.model import NOW, Json, Workspace
from rapidpro_integration.sandbox.params import Params, as_moment
from rapidpro_integration.sandbox.people import SIZES, dice_for

MAX_DAYS = 366
_DAYS_BY_DEFAULT = 30
_FIRST_DAY = date(2024, 2, 5)


def statistics(workspace: Workspace, params: Params) -> Json:
    """Return the days of the window that had messages, oldest first; both its ends belong to it.

    Raises: BadParam for a malformed date and for a window of more than 366 days.
    """
    until = _day(params, "until") or NOW.date()
    since = _day(params, "since") or until - timedelta(days=_DAYS_BY_DEFAULT)
    if (until - since).days > MAX_DAYS:
        raise BadParam(f"Params 'since' and 'until' can be at most {MAX_DAYS} days apart.")
    first, last = max(since, _FIRST_DAY), min(until, NOW.date())
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    counted = [(day, _counts(workspace, day)) for day in days] if workspace.slug in SIZES else []
    return {"results": [{"date": day.isoformat(), "channels": channels} for day, channels in counted if channels]}


def _day(params: Params, name: str) -> date | None:
    text = params.last(name)
    if not text:
        return None
    moment = as_moment(text)
    if moment is None:
        raise BadParam(f"Param '{name}': {text} is not a valid date.")
    return moment.date()


def _counts(workspace: Workspace, day: date) -> Json:
    """Return a day's counts by channel; now and then a channel, or on a holiday all of them, had nothing."""
    dice = dice_for(workspace.slug, f"messages on {day.isoformat()}")
    if dice.random() < 0.03:
        return {}
    busy = 1 if day.weekday() < 5 else 0.3
    return {
        row.body["uuid"]: {
            "type": row.body["type"],
            "text:in": int(dice.randint(5, 900) * busy),
            "text:out": int(dice.randint(20, 2500) * busy),
        }
        for row in workspace.tables["channels"]
        if dice.random() < 0.9
    }
