"""What a check means for a token: a bad afternoon of a server is no verdict on anybody's token."""

import uuid
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from rapidpro_integration.client.types import Workspace
from rapidpro_integration.health.judging import News, drift_of, judge
from rapidpro_integration.states import REFUSED, UNTOLD, TokenState

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
UUID = uuid.UUID("882f1c30-45b7-4fe2-bff8-12c78de3807e")
FAILURES = [state for state in TokenState if state not in REFUSED | UNTOLD and state != TokenState.WORKING]


def row(**fields: Any) -> Any:
    defaults = {
        "pk": uuid.UUID(int=7),
        "state": "working",
        "workspace_uuid": UUID,
        "workspace_name": "Nutrition",
        "workspace_time_zone": "Africa/Nairobi",
        "failures_in_a_row": 0,
        "broken_since": None,
        "broken_told_on": None,
    }
    return SimpleNamespace(**defaults | fields)


def found(state: TokenState, **workspace: Any) -> Any:
    facts = {"name": "Nutrition", "timezone": "Africa/Nairobi"} | workspace
    works = state == TokenState.WORKING
    return SimpleNamespace(state=state, workspace=Workspace(facts.pop("uuid", UUID), **facts) if works else None)


@pytest.mark.parametrize("state", sorted(REFUSED))
def test_refusal_is_told_at_once_and_once(state: TokenState) -> None:
    first = judge(row(), found(state), NOW)
    assert first.news == [News.BROKEN]
    assert first.fields["broken_since"] == first.fields["broken_told_on"] == NOW
    told = {name: first.fields[name] for name in ("failures_in_a_row", "broken_since", "broken_told_on")}
    second = judge(row(state=state, **told), found(state), NOW + timedelta(days=3))
    assert second.news == []
    assert second.fields["failures_in_a_row"] == 2


@pytest.mark.parametrize("state", FAILURES)
def test_failure_of_a_server_is_told_only_when_it_lasts(state: TokenState) -> None:
    since = NOW - timedelta(hours=23)
    first = judge(row(), found(state), since)
    assert first.news == []
    assert (first.fields["broken_since"], first.fields["failures_in_a_row"]) == (since, 1)
    assert "broken_told_on" not in first.fields
    still = row(state=state, broken_since=since, failures_in_a_row=8)
    assert judge(still, found(state), NOW).news == []
    late = judge(still, found(state), NOW + timedelta(hours=1))
    assert late.news == [News.BROKEN]
    assert late.fields["broken_since"] == since


def test_failure_becomes_a_refusal_and_is_told_then() -> None:
    down = row(state="unreachable", broken_since=NOW - timedelta(hours=1), failures_in_a_row=3)
    assert judge(down, found(TokenState.REJECTED), NOW).news == [News.BROKEN]


@pytest.mark.parametrize("state", sorted(REFUSED))
@pytest.mark.parametrize("before", FAILURES)
def test_refusal_after_an_outage_that_was_told_is_told_once(before: TokenState, state: TokenState) -> None:
    since = NOW - timedelta(days=2)
    down = row(state=before, broken_since=since, broken_told_on=since + timedelta(days=1), failures_in_a_row=9)
    refused = judge(down, found(state), NOW)
    assert refused.news == [News.BROKEN]
    assert (refused.fields["broken_since"], refused.fields["broken_told_on"]) == (since, NOW)
    told = {name: refused.fields[name] for name in ("failures_in_a_row", "broken_since", "broken_told_on")}
    assert judge(row(state=state, **told), found(state), NOW + timedelta(days=3)).news == []


def test_end_is_told_only_to_who_was_told_of_the_beginning() -> None:
    told = row(state="rejected", broken_since=NOW, broken_told_on=NOW, failures_in_a_row=2)
    again = judge(told, found(TokenState.WORKING), NOW)
    assert again.news == [News.WORKS_AGAIN]
    names = ("failures_in_a_row", "broken_since", "broken_told_on")
    assert [again.fields[name] for name in names] == [0, None, None]
    assert judge(row(state="unreachable", broken_since=NOW), found(TokenState.WORKING), NOW).news == []


@pytest.mark.parametrize("state", sorted(UNTOLD))
def test_what_tells_nothing_neither_breaks_nor_mends(state: TokenState) -> None:
    for before in (row(), row(state="rejected", broken_since=NOW, broken_told_on=NOW, failures_in_a_row=2)):
        judgement = judge(before, found(state), NOW)
        assert judgement.fields.keys() == {"next_check_on"}
        assert judgement.news == []


def test_changes_behind_a_token_are_a_drift() -> None:
    moved = uuid.UUID(int=1)
    drift = drift_of(row(), found(TokenState.WORKING, uuid=moved, name="Health", timezone="Africa/Kampala"))
    assert drift == {
        "workspace": [str(UUID), str(moved)],
        "name": ["Nutrition", "Health"],
        "time_zone": ["Africa/Nairobi", "Africa/Kampala"],
    }
    assert judge(row(), found(TokenState.WORKING, name="Health"), NOW).news == [News.DRIFT]
    assert drift_of(row(), found(TokenState.WORKING)) is None
    assert drift_of(row(workspace_uuid=None, workspace_name=""), found(TokenState.WORKING)) is None
    long = "N" * 300
    assert drift_of(row(workspace_name=long[:255]), found(TokenState.WORKING, name=long)) is None


def test_role_that_is_lost_and_given_back_is_a_drift_and_no_second_mail() -> None:
    lost = judge(row(), found(TokenState.NOT_ALLOWED), NOW)
    assert lost.drift == {"role": ["working", "not_allowed"]}
    assert lost.news == [News.BROKEN]
    back = judge(row(state="not_allowed", broken_since=NOW, broken_told_on=NOW), found(TokenState.WORKING), NOW)
    assert back.drift == {"role": ["not_allowed", "working"]}
    assert back.news == [News.WORKS_AGAIN]
    assert judge(row(state="rejected"), found(TokenState.NOT_ALLOWED), NOW).drift is None
