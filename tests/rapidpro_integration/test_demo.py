"""The large demo: sealed for real, the same each time, and never over people of one's own."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from accounts.models import User
from rapidpro_integration import vault
from rapidpro_integration.demo_data import _STATES, Maker, Size
from rapidpro_integration.models import RapidProToken, ServerHour, TokenCheck, TokenState, TokenStateHour, WorkspaceHour

SIZE = Size(users=12, tokens=20, days=3)
NOW = datetime(2026, 11, 25, 12, 30, tzinfo=UTC)


def facts() -> list[Any]:
    """Return what must be the same each time."""
    tokens = RapidProToken.objects.order_by("pk")
    hours = ServerHour.objects.order_by("pk").values_list("requests", "ok")
    columns = ("pk", "label", "state", "server", "created_on", "last_four")
    return [list(tokens.values_list(*columns)), TokenCheck.objects.count(), list(hours)]


def test_it_is_all_there_and_each_token_opens_for_its_own_row_alone(db: None) -> None:
    Maker(SIZE, lambda text: None, NOW).make()
    assert (User.objects.count(), RapidProToken.objects.count()) == (12, 20)
    assert TokenCheck.objects.count() > 60
    assert ServerHour.objects.count() > 500
    assert WorkspaceHour.objects.exists()
    hour = TokenStateHour.objects.order_by("-hour").values_list("hour", flat=True)[0]
    assert sum(TokenStateHour.objects.filter(hour=hour).values_list("count", flat=True)) == 20
    for token in RapidProToken.objects.all():
        assert vault.lock_reason(token) is None
        assert vault.open_token(token).reveal()[-4:] == token.last_four
        assert token.server.endswith(".example")
        assert token.next_check_on is not None
        assert token.next_check_on > datetime(2030, 1, 1, tzinfo=UTC)
    for hours in ServerHour.objects.all():
        outcomes = hours.ok + hours.rejected + hours.rate_limited + hours.unreachable + hours.timed_out
        assert outcomes + hours.server_error == hours.requests
    assert not User.objects.first().has_usable_password()  # type: ignore[union-attr]


def test_it_is_the_same_each_time(db: None) -> None:
    seen = []
    for _ in range(2):
        with transaction.atomic():
            Maker(SIZE, lambda text: None, NOW).make()
            seen.append(facts())
            transaction.set_rollback(True)
    assert seen[0] == seen[1]


def test_it_refuses_a_database_with_people_of_its_own(db: None, settings: Any) -> None:
    settings.DEBUG = True
    User.objects.create_user("real", "real@clinic.org", "a long enough passphrase")
    with pytest.raises(CommandError, match="This is no demo"):
        call_command("demo", large=True)
    assert not RapidProToken.objects.exists()


def test_it_refuses_without_debug_and_a_second_time(db: None, settings: Any) -> None:
    settings.DEBUG = False
    with pytest.raises(CommandError, match="This is no demo"):
        call_command("demo", large=True)
    with pytest.raises(CommandError, match="load_demo"):
        call_command("demo")
    User.objects.create_user("person00001", "person00001@example.org", "a long enough passphrase")
    with pytest.raises(CommandError, match="there already"):
        call_command("demo", large=True, force=True)


def test_states_are_of_every_kind() -> None:
    assert {state for state, _ in _STATES} == set(TokenState) - {TokenState.LOCKED}
