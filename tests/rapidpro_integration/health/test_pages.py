"""The token's page with its health, the age of a token, and the switch for the weekly mail."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from accounts.audit.actions import Action
from accounts.audit.models import AuditEntry
from accounts.models import User
from rapidpro_integration.health import charts, rotating
from rapidpro_integration.health.history import Day, Span
from rapidpro_integration.models import DigestWish, RapidProToken
from tests.conftest import TokenMaker, just_proved
from tests.rapidpro_integration.health.test_history import check

MOVED = {"name": ["Old <b>name</b>", "New name"], "role": ["working", "not_allowed"]}


def page_of(client: Client, token: RapidProToken) -> str:
    return client.get(f"/tokens/{token.pk}/").content.decode()


# --- The token's page ---------------------------------------------------------------------------


def test_page_of_a_token_that_was_never_checked_says_so(owner_client: Client, token: RapidProToken) -> None:
    text = page_of(owner_client, token)
    assert "It has not been checked in this time." in text
    assert 'class="strip"' not in text


def test_page_shows_how_a_token_did_as_charts_and_as_a_table(owner_client: Client, token: RapidProToken) -> None:
    now = timezone.now()
    check(token, now - timedelta(hours=20), duration_ms=1234, reference="AB12CD34", http_status=200)
    check(token, now - timedelta(hours=10), state="unreachable", kind="timed_out")
    check(token, now - timedelta(hours=5), duration_ms=80, drift=MOVED)
    text = page_of(owner_client, token)
    for words in ("Worked <strong>75 %</strong> of the time.", "3 checks,", "1 failure.", "The same as a table"):
        assert words in text
    for mark in ('class="strip"', 'class="up"', 'class="down"', 'class="none"', 'role="img"'):
        assert mark in text
    assert "AB12CD34" in text
    assert "Old &lt;b&gt;name&lt;/b&gt;" in text
    assert "may not read the workspace" in text
    assert "style=" not in text


def test_page_shows_how_fast_the_server_was_from_the_second_day_on(owner_client: Client, token: RapidProToken) -> None:
    check(token, timezone.now() - timedelta(hours=26), duration_ms=1234)
    assert 'class="dots"' not in page_of(owner_client, token)
    check(token, timezone.now() - timedelta(hours=2), duration_ms=80)
    text = page_of(owner_client, token)
    assert 'class="dots"' in text
    assert "from 80 to 1,234 ms" in text


def test_page_costs_the_same_whatever_the_history(
    owner_client: Client, token: RapidProToken, django_assert_max_num_queries: Any
) -> None:
    for hours in range(0, 600, 6):
        check(token, timezone.now() - timedelta(hours=hours), drift=MOVED if hours % 60 == 0 else None)
    page_of(owner_client, token)
    with django_assert_max_num_queries(8):
        page_of(owner_client, token)


def test_another_tenants_checks_are_not_on_the_page(
    owner_client: Client, token: RapidProToken, other: User, make_token: TokenMaker
) -> None:
    check(make_token(other), timezone.now(), reference="0THER000", drift={"name": ["Their", "Secret plans"]})
    text = page_of(owner_client, token)
    assert "0THER000" not in text
    assert "Secret plans" not in text


def test_token_that_is_too_old_is_said_to_be(owner_client: Client, token: RapidProToken) -> None:
    assert "Time to replace this token" not in page_of(owner_client, token)
    RapidProToken.objects.update(rotate_on=timezone.now() - timedelta(hours=1))
    assert "Time to replace this token" in page_of(owner_client, token)


# --- The age of a token -------------------------------------------------------------------------


def test_owner_sets_and_takes_away_the_age(owner_client: Client, token: RapidProToken) -> None:
    address = f"/tokens/{token.pk}/age/"
    assert b"When to replace the token" in owner_client.get(address).content
    assert owner_client.post(address, {"days": "90"}).status_code == 302
    token.refresh_from_db()
    assert token.rotate_by_days == 90
    assert token.rotate_on == token.secret_saved_on + timedelta(days=90)
    assert b'value="90"' in owner_client.get(address).content
    entry = AuditEntry.objects.get(action=Action.TOKEN_AGE_SET)
    assert entry.details == {"days": 90, "by_staff": False}
    owner_client.post(address, {"days": ""})
    token.refresh_from_db()
    assert (token.rotate_by_days, token.rotate_on) == (None, None)


@pytest.mark.parametrize("days", ["0", "-1", "3651", "1.5", "soon", "9" * 30])
def test_age_that_is_none_is_refused(owner_client: Client, token: RapidProToken, days: str) -> None:
    response = owner_client.post(f"/tokens/{token.pk}/age/", {"days": days})
    assert response.status_code == 200
    assert b"errorlist" in response.content
    token.refresh_from_db()
    assert token.rotate_by_days is None


def test_owner_sees_the_age_that_staff_have_set_and_cannot_exceed_it(
    owner_client: Client, token: RapidProToken
) -> None:
    rotating.set_age(token, 30, by_staff=True)
    address = f"/tokens/{token.pk}/age/"
    assert b"Staff want this token replaced after 30 days" in owner_client.get(address).content
    owner_client.post(address, {"days": "365"})
    token.refresh_from_db()
    assert token.rotate_on == token.secret_saved_on + timedelta(days=30)


@pytest.mark.parametrize("method", ["get", "post"])
def test_age_is_the_owners_alone(client: Client, token: RapidProToken, other: User, method: str) -> None:
    address = f"/tokens/{token.pk}/age/"
    assert getattr(client, method)(address, {"days": "1"}).status_code == 302, "to the sign-in"
    just_proved(client, other)
    assert getattr(client, method)(address, {"days": "1"}).status_code == 404
    assert getattr(client, method)(f"/tokens/{uuid4()}/age/", {"days": "1"}).status_code == 404
    token.refresh_from_db()
    assert token.rotate_by_days is None


# --- The weekly mail ----------------------------------------------------------------------------


def test_weekly_mail_is_switched_on_and_off(owner_client: Client, owner: User, token: RapidProToken) -> None:
    assert b"Mail me each week" in owner_client.get("/tokens/").content
    owner_client.post("/tokens/digest/", {"wanted": "1"})
    assert DigestWish.objects.get().wanted
    assert b"Stop the weekly mail" in owner_client.get("/tokens/").content
    DigestWish.objects.update(sent_on=timezone.now())
    for wanted in ("0", "1"):
        owner_client.post("/tokens/digest/", {"wanted": wanted})
    wish = DigestWish.objects.get()
    assert (wish.person, wish.wanted) == (owner, True)
    assert wish.sent_on is not None, "no second mail in the same week"


def test_weekly_mail_is_nobody_elses_to_switch(client: Client, owner: User) -> None:
    assert client.post("/tokens/digest/", {"wanted": "1"}).status_code == 302
    assert not DigestWish.objects.exists()
    just_proved(client, owner)
    assert client.get("/tokens/digest/").status_code == 405


# --- The charts' geometry -----------------------------------------------------------------------


def day(number: int, up_s: float = 0, down_s: float = 0, durations_ms: list[int] | None = None) -> Day:
    today = timezone.now().date() + timedelta(days=number)
    return Day(today, Span(up_s, down_s, durations_ms=durations_ms or []))


def test_strip_shows_shares_and_never_hides_a_bad_minute() -> None:
    strip = charts.strip([day(0), day(1, 100), day(2, 0, 100), day(3, 50, 50), day(4, 86_399, 1), day(5, 1, 86_399)])
    by_day: dict[object, dict[str, float]] = {}
    for bar in strip.bars:
        by_day.setdefault(bar.x // 20, {})[bar.kind] = bar.height
        assert 0 <= bar.y <= bar.y + bar.height <= strip.height
    assert by_day == {
        0: {"none": 3},
        1: {"up": 48},
        2: {"down": 48},
        3: {"down": 24, "up": 24},
        4: {"down": 4, "up": 44},
        5: {"down": 44, "up": 4},
    }


def test_line_has_gaps_where_nothing_is_known() -> None:
    days = [day(0, durations_ms=[100]), day(1, durations_ms=[50]), day(2), day(3, durations_ms=[0])]
    line = charts.line(days)
    assert line is not None
    assert line.path == "M10 6.0L30 50.0M70 94.0"
    assert line.dots.count("h0") == 3
    assert (line.least_ms, line.most_ms) == (0, 100)
    assert charts.line([day(0), day(1, durations_ms=[100])]) is None, "one dot is no chart; the table has the number"
