"""What an operation may spend: the seconds in which at least one request is under way."""

import contextlib

import pytest

from rapidpro_integration.client import budgets
from rapidpro_integration.client.budgets import MAX_OPERATION_BYTES, OPERATION_DEADLINE_S, Budget


@pytest.fixture
def passing(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the time: a list whose one number the test moves on."""
    now = [1000.0]
    monkeypatch.setattr(budgets.time, "monotonic", lambda: now[0])
    return now


def test_usual_budget() -> None:
    assert (Budget().seconds_left, Budget().bytes_left) == (OPERATION_DEADLINE_S, MAX_OPERATION_BYTES)


def test_clock_runs_only_while_a_request_is_under_way(passing: list[float]) -> None:
    budget = Budget(10)
    passing[0] += 100
    assert budget.seconds_left == 10
    with budget:
        passing[0] += 3
        assert budget.seconds_left == 7
    passing[0] += 100
    assert budget.seconds_left == 7


def test_requests_side_by_side_count_once(passing: list[float]) -> None:
    budget = Budget(10)
    with budget:
        passing[0] += 1
        with budget:
            passing[0] += 2
        passing[0] += 1
    assert budget.seconds_left == 6


def test_nothing_is_left_of_an_overspent_budget(passing: list[float]) -> None:
    budget = Budget(1)
    with budget:
        passing[0] += 5
        assert budget.seconds_left == 0
    assert budget.seconds_left == 0


def test_clock_stops_when_a_request_fails(passing: list[float]) -> None:
    budget = Budget(10)
    with contextlib.suppress(ZeroDivisionError), budget:
        passing[0] += 2
        _ = 1 / 0
    passing[0] += 100
    assert budget.seconds_left == 8
