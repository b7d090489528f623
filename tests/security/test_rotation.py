"""Rotation under kill -9 and under use, with real processes on a real database."""

from tests.security.rotation import exercise


def test_rotation_killed_five_times_while_tokens_are_replaced_loses_none(database_url: str) -> None:
    outcome = exercise(database_url, rows=600)
    assert (outcome.rows, outcome.factors, outcome.kills) == (600, 12, 5)
    assert (outcome.wrong, outcome.lost) == (0, 0), outcome
    assert outcome.replaced > 20
