"""What a token's past is told from: time and not numbers of checks; and what of it is kept."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from django.utils import timezone

from rapidpro_integration.health import history, thinning
from rapidpro_integration.health.history import Check, summarise
from rapidpro_integration.models import RapidProToken, TokenCheck
from tests.conftest import SERVER, Sql  # noqa: F401  # the fixtures' module

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
H = timedelta(hours=1)


def at(hours: float, state: str = "working", duration_ms: int = 100) -> Check:
    return Check(NOON + hours * H, state, duration_ms)


def test_uptime_is_of_time() -> None:
    # Down for one hour of twelve, and asked much more often in that hour.
    checks = [at(-12), at(-6, "unreachable"), at(-5.75, "unreachable"), at(-5.5, "unreachable"), at(-5), at(-1)]
    past = summarise(checks, NOON - 12 * H, NOON, ZoneInfo("UTC"))
    assert past.whole.percent == 91.6
    assert (past.whole.checks, past.whole.failures) == (6, 3)
    assert [day.span.checks for day in past.days] == [6]


def test_what_tells_nothing_counts_neither_way() -> None:
    past = summarise([at(-4), at(-3, "rate_limited"), at(-1, "rejected")], NOON - 6 * H, NOON, ZoneInfo("UTC"))
    assert past.whole.percent == 50
    nothing = summarise([], NOON - 6 * H, NOON, ZoneInfo("UTC"))
    assert (nothing.whole.percent, nothing.whole.median_ms) == (None, None)


def test_moment_of_failure_is_never_rounded_to_whole() -> None:
    past = summarise([at(-700), at(-0.01, "unreachable")], NOON - 720 * H, NOON, ZoneInfo("UTC"))
    assert past.whole.percent == 99.9


def test_state_does_not_hold_for_ever() -> None:
    past = summarise([at(-100)], NOON - 200 * H, NOON, ZoneInfo("UTC"))
    assert past.whole.up_s == history.STALE.total_seconds()


def test_what_was_found_before_holds_on_into_the_time() -> None:
    past = summarise([at(-8, "rejected"), at(-3)], NOON - 6 * H, NOON, ZoneInfo("UTC"))
    assert past.whole.percent == 50
    assert past.whole.checks == 1


def test_days_are_those_of_the_person_and_one_has_25_hours() -> None:
    zone = ZoneInfo("Europe/Madrid")
    start = datetime(2026, 10, 24, 22, tzinfo=UTC)  # midnight there, of the day that the clocks go back
    end = start + timedelta(hours=25)
    checks = [Check(start, "working", 50), Check(start + 12 * H, "working", 150)]
    days = summarise(checks, start, end, zone).days
    assert [str(day.day) for day in days] == ["2026-10-25", "2026-10-26"]
    assert [day.span.up_s / 3600 for day in days] == [25, 0]
    assert days[0].span.median_ms == 100


AGES = {
    "all of a week": {"days": 6},
    "all of a week, too": {"days": 6, "minutes": 1},
    "last of its hour": {"days": 10, "minutes": 1},
    "gone: 11:30 of that hour": {"days": 10, "minutes": 30},
    "gone: 11:00 of that hour": {"days": 10, "hours": 1},
    "last of the hour before": {"days": 10, "minutes": 61},
    "last of its day": {"days": 40},
    "gone: the morning of that day": {"days": 40, "hours": 3},
    "drift of that day": {"days": 40, "hours": 4},
    "gone: too old": {"days": 401},
    "gone: too old, drift": {"days": 402},
}


def check(token: RapidProToken, when: datetime, **fields: object) -> TokenCheck:
    defaults = {"state": "working", "trigger": "due", "server": SERVER}
    return TokenCheck.objects.create(token=token, started_on=when, **defaults | fields)


def test_history_of_a_token_has_thirty_days_and_nobody_elses_checks(
    token: RapidProToken, other: object, make_token: object, django_assert_num_queries: object
) -> None:
    now = timezone.now()
    check(token, now - H)
    check(make_token(other), now - H, state="rejected")  # type: ignore[operator]
    with django_assert_num_queries(1):  # type: ignore[operator]
        past = history.of_token(token.pk)
    assert (len(past.days), past.whole.checks, past.whole.percent) == (30, 1, 100)
    assert past.days[-1].day == timezone.localtime(now).date()


def test_history_is_thinned_by_age_and_changes_are_kept(token: RapidProToken) -> None:
    ago = {name: NOON - timedelta(**before) for name, before in AGES.items()}
    rows = {
        name: check(token, when, drift={"name": ["a", "b"]} if "drift" in name else None).pk
        for name, when in ago.items()
    }
    gone = {name for name in rows if name.startswith("gone")}
    assert thinning.thin(NOON) == len(gone)
    left = set(TokenCheck.objects.values_list("pk", flat=True))
    assert {name for name, pk in rows.items() if pk not in left} == gone
    assert thinning.thin(NOON) == 0


def test_hourly_thinning_looks_at_what_has_grown_old_lately(token: RapidProToken) -> None:
    for days in (8, 20, 31, 100):
        for minutes in (1, 2):
            check(token, NOON - timedelta(days=days, minutes=minutes))
    assert thinning.thin(NOON, whole=False) == 2
    assert thinning.thin(NOON) == 2
