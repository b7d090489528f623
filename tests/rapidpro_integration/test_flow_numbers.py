"""The numbers of a workspace's flows, the bar that shows them, and what changed since the last visit."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import respx
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import User
from rapidpro_integration import services
from rapidpro_integration.client.types import Flow
from rapidpro_integration.client.types.flows import RunCounts
from rapidpro_integration.flow_numbers import RUN_STATES, changes_of, numbers_of
from rapidpro_integration.models import RapidProToken
from tests.rapidpro_integration.test_flow_views import FLOWS, REFUSED, Answer, flow, page_of
from tests.rapidpro_integration.test_kept import make_old, replace

START = datetime(2026, 1, 1, tzinfo=UTC)


def made(number: int, **fields: Any) -> Flow:
    return Flow(uuid=UUID(int=number), name=f"Flow {number}", **fields)


def show(client: Client, token: RapidProToken, query: str = "", status: int = 200) -> str:
    response = client.get(f"/tokens/{token.pk}/flows/numbers/{query}")
    assert response.status_code == status
    return response.content.decode()


def test_totals_by_type_and_state_add_up() -> None:
    flows = [made(1, type="voice"), made(2, type="voice", archived=True), made(3), made(4, type="voice")]
    numbers = numbers_of(flows)
    assert [(each.type, each.active, each.archived, each.total) for each in numbers.types] == [
        ("voice", 2, 1, 3),
        (None, 1, 0, 1),
    ]
    assert (numbers.active, numbers.archived) == (3, 1)


@given(st.lists(st.builds(RunCounts, **dict.fromkeys(RUN_STATES, st.integers(0, 10**6))), max_size=5))
def test_bar_shows_every_state_side_by_side_in_its_share(counts: list[RunCounts]) -> None:
    numbers = numbers_of([made(number, runs=each) for number, each in enumerate(counts, 1)])
    assert numbers.runs == sum(each.total for each in counts)
    if not numbers.runs:
        assert numbers.completion_rate is None
        return
    assert numbers.completion_rate == sum(each.completed for each in counts) / numbers.runs
    right = 0.0
    for part in numbers.parts:
        assert part.x == pytest.approx(right, abs=0.1)
        assert part.width == pytest.approx(numbers.width * part.count / numbers.runs, abs=0.01)
        right = part.x + part.width
    assert right == pytest.approx(numbers.width, abs=0.1)


def test_ten_busiest_and_ten_idlest() -> None:
    flows = [
        made(number, runs=RunCounts(completed=number), modified_on=START + timedelta(days=number))
        for number in range(15)
    ]
    flows += [
        made(90, archived=True, modified_on=START - timedelta(days=9)),
        made(91, runs=RunCounts(waiting=3), modified_on=START - timedelta(days=9)),
        made(92),
    ]
    numbers = numbers_of(flows)
    assert [flow.name for flow in numbers.busiest] == [f"Flow {number}" for number in range(14, 4, -1)]
    assert [flow.name for flow in numbers.idlest] == [f"Flow {number}" for number in range(10)]


def test_changes_are_what_is_new_and_what_was_modified() -> None:
    flows = [
        made(number, created_on=START + timedelta(days=number), modified_on=START + timedelta(days=20 + number))
        for number in range(30)
    ]
    changes = changes_of([*flows, made(99)], START + timedelta(days=25))
    assert (changes.new_count, changes.modified_count) == (4, 20)
    assert [flow.name for flow in changes.new] == ["Flow 29", "Flow 28", "Flow 27", "Flow 26"]
    assert [flow.name for flow in changes.modified] == [f"Flow {number}" for number in range(25, 15, -1)]


# --- Visits -------------------------------------------------------------------------------------


def look(token: RapidProToken, monkeypatch: pytest.MonkeyPatch, minutes: float) -> datetime | None:
    token.refresh_from_db()
    monkeypatch.setattr(services.timezone, "now", lambda: START + timedelta(minutes=minutes))
    return services.note_look(token)


def test_looks_that_follow_each_other_are_one_visit(token: RapidProToken, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = {minutes: look(token, monkeypatch, minutes) for minutes in (0, 20, 45, 100, 120, 300)}
    ends = {minutes: end and (end - START) / timedelta(minutes=1) for minutes, end in looks.items()}
    assert ends == {0: None, 20: None, 45: None, 100: 45, 120: 45, 300: 120}


def test_page_says_what_changed_since_the_last_visit(
    owner_client: Client, token: RapidProToken, rapidpro: Answer
) -> None:
    rapidpro(FLOWS, json=page_of(flow(1), flow(2, name="Brand new", created_on="2026-11-22T00:00:00Z")))
    address = f"/tokens/{token.pk}/flows/"
    assert "This is your first visit" in show(owner_client, token)
    assert "Since your last visit" not in owner_client.get(address).content.decode()
    RapidProToken.objects.update(flows_seen_on=datetime(2026, 11, 20, 22, tzinfo=UTC))
    assert "Since your last visit: 1 new, 1 modified" in owner_client.get(address).content.decode()
    page = show(owner_client, token)
    assert "1 new flow" in page
    assert "1 modified flow" in page
    # Looking again does not end the visit.
    assert "1 new flow" in show(owner_client, token)


def test_replaced_token_begins_anew(token: RapidProToken) -> None:
    RapidProToken.objects.update(flows_seen_on=timezone.now(), flows_seen_before_on=timezone.now())
    replace(token)
    token.refresh_from_db()
    assert (token.flows_seen_on, token.flows_seen_before_on) == (None, None)


# --- The page -----------------------------------------------------------------------------------


def test_page_shows_the_bar_with_its_table_and_no_style_of_its_own(
    owner_client: Client, token: RapidProToken, rapidpro: Answer
) -> None:
    rapidpro(FLOWS, json=page_of(flow(1), flow(2, name="<b>evil", type="voice", archived=True)))
    page = show(owner_client, token)
    assert '<rect class="run-completed" x="0.0" y="0" width="750.0" height="28"/>' in page
    assert re.search(r"Completed</th><td class=\"num\">12,000</td><td class=\"num\">75 %</td>", page)
    assert re.search(r"Completion rate</th><td class=\"num\">75 %</td>", page)
    assert "style=" not in page
    assert "<b>evil" not in page


def test_bar_is_drawn_the_same_in_every_language(
    owner_client: Client, owner: User, token: RapidProToken, rapidpro: Answer
) -> None:
    owner.language = "fr"
    owner.save()
    rapidpro(FLOWS, json=page_of(flow(1, runs={"completed": 1, "failed": 2})))
    assert 'width="333.33"' in show(owner_client, token)


def test_numbers_are_those_of_the_filters(owner_client: Client, token: RapidProToken, rapidpro: Answer) -> None:
    rapidpro(FLOWS, json=page_of(flow(1, type="voice"), flow(2), flow(3)))
    page = show(owner_client, token, "?type=voice")
    assert "1 of 3 flows" in page
    assert "8,000" in page
    assert "24,000" not in page
    response = owner_client.get(f"/tokens/{token.pk}/flows/numbers/?idle=x")
    assert response.headers["Location"] == f"/tokens/{token.pk}/flows/?idle=x"


def test_workspace_without_flows_has_numbers_too(owner_client: Client, token: RapidProToken, rapidpro: Answer) -> None:
    rapidpro(FLOWS, json=page_of())
    assert "No flow has runs." in show(owner_client, token)


def test_numbers_have_their_problem_and_their_last_list(
    owner_client: Client, token: RapidProToken, rapidpro: Answer
) -> None:
    rapidpro(FLOWS, error=REFUSED)
    assert "The server cannot be reached" in show(owner_client, token, status=502)
    rapidpro(FLOWS, json=page_of(flow(1)))
    show(owner_client, token)
    make_old(token, hours=3)
    rapidpro(FLOWS, error=REFUSED)
    assert "it is 3\xa0hours old" in show(owner_client, token)


def test_nobody_else_sees_the_numbers(other: User, token: RapidProToken, respx_mock: respx.MockRouter) -> None:
    thief = Client()
    assert thief.get(f"/tokens/{token.pk}/flows/numbers/").status_code == 302
    thief.force_login(other)
    show(thief, token, status=404)
    assert not respx_mock.calls
