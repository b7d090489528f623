"""When a token is checked next."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from rapidpro_integration.health import schedule
from rapidpro_integration.states import TokenState

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
TOKEN = uuid.UUID(int=7)


def hours(state: TokenState, failures: int) -> float:
    return schedule.wait(state, failures).total_seconds() / 3600


def test_working_token_comes_again_after_six_hours() -> None:
    assert hours(TokenState.WORKING, 0) == 6


def test_failed_token_comes_soon_and_then_ever_more_slowly_up_to_a_day() -> None:
    waits = [hours(TokenState.UNREACHABLE, failures) * 60 for failures in range(1, 9)]
    assert waits == [5, 10, 20, 40, 80, 160, 320, 640]
    assert hours(TokenState.UNREACHABLE, 12) == hours(TokenState.SERVER_ERROR, 1_000_000) == 24


def test_refused_token_is_asked_about_less_often_than_one_whose_server_is_down() -> None:
    assert [hours(TokenState.REJECTED, failures) for failures in (1, 2, 5, 6)] == [1, 2, 16, 24]


@pytest.mark.parametrize("state", [TokenState.LOCKED, TokenState.UNCHECKED, TokenState.RATE_LIMITED])
def test_what_tells_nothing_is_neither_sooner_nor_later(state: TokenState) -> None:
    assert hours(state, 5) == 6


def test_tokens_that_were_saved_together_do_not_stay_together() -> None:
    factors = [schedule.spread(uuid.UUID(int=number), NOW) for number in range(2_000)]
    assert 0.9 <= min(factors) < 0.91
    assert 1.09 < max(factors) < 1.1
    tenths = [sum(lowest <= (factor - 0.9) * 50 < lowest + 1 for factor in factors) for lowest in range(10)]
    assert min(tenths) > 140, "no tenth of the time is left out"
    assert len({schedule.spread(TOKEN, NOW + timedelta(hours=6 * turn)) for turn in range(20)}) == 20
    assert schedule.spread(TOKEN, NOW) == schedule.spread(TOKEN, NOW)


def test_workspace_that_must_be_left_alone_is_left_alone() -> None:
    retry_on = NOW + timedelta(hours=1)
    due = schedule.next_check(TOKEN, TokenState.RATE_LIMITED, 0, NOW, retry_on)
    assert retry_on <= due <= retry_on + timedelta(minutes=2)
    assert schedule.next_check(TOKEN, TokenState.SERVER_ERROR, 1, NOW, retry_on) == retry_on
