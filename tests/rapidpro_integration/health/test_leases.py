"""Which tokens are due, and who gets them."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from rapidpro_integration.health import leases
from rapidpro_integration.models import RapidProToken, Server, TokenState
from tests.conftest import OTHER_SERVER, SERVER, TokenMaker


@pytest.fixture
def many(owner: User, make_token: TokenMaker) -> Any:
    """Return a function that makes so many due tokens at a server."""

    def make(count: int, server: str = SERVER, **fields: Any) -> list[RapidProToken]:
        return [
            make_token(owner, secret=f"{server[-12:-8]}{number:036}", label=f"{number}", server=server, **fields)
            for number in range(count)
        ]

    return make


def pks(tokens: Any) -> set[UUID]:
    return {token.pk for token in tokens}


def test_token_is_had_once(token: RapidProToken) -> None:
    (mine,) = leases.claim("a", 10)
    assert mine.pk == token.pk
    assert leases.claim("b", 10) == []
    token.refresh_from_db()
    assert token.leased_by == mine.leased_by
    assert token.leased_by.startswith("a:")


def test_lease_of_a_killed_worker_runs_out(token: RapidProToken) -> None:
    (dead,) = leases.claim("a", 10)
    RapidProToken.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    (mine,) = leases.claim("b", 10)
    assert mine.leased_by != dead.leased_by
    # It was only slow, and comes back: what it gives back is no longer its own.
    assert not leases.release(dead)
    assert leases.release(mine)


def test_longest_due_goes_first_and_never_checked_before_all(many: Any) -> None:
    now = timezone.now()
    tokens = many(4)
    for number, token in enumerate(tokens):
        due = None if number == 2 else now - timedelta(minutes=number)
        RapidProToken.objects.filter(pk=token.pk).update(next_check_on=due)
    claimed = leases.claim("a", 3)
    assert [token.label for token in claimed] == ["2", "3", "1"]


def test_no_more_than_four_of_a_server_at_a_time(many: Any) -> None:
    many(6)
    others = many(1, OTHER_SERVER)
    first = leases.claim("a", 3)
    second = leases.claim("b", 10)
    assert len(pks(first) - pks(others)) + len(pks(second) - pks(others)) == 4
    assert pks(others) <= pks(first) | pks(second)
    assert leases.claim("c", 10) == []
    assert leases.release(first[0])
    assert len(leases.claim("d", 10)) == 1


def test_limit_of_a_server_is_a_setting(many: Any, settings: Settings) -> None:
    settings.TOKEN_CHECKS_AT_ONCE = 2
    many(5)
    assert len(leases.claim("a", 10)) == 2


DUE = timezone.now() - timedelta(hours=1)
LATER = timezone.now() + timedelta(hours=1)


@pytest.mark.parametrize(
    "fields",
    [
        {"next_check_on": LATER},
        {"state": TokenState.DISABLED},
        {"state": TokenState.RATE_LIMITED, "retry_on": LATER},
        {"server": "https://closed.example"},
    ],
    ids=["not its time", "disabled", "rate limited", "server not open"],
)
def test_token_that_may_not_be_checked_is_left_out(owner: User, make_token: TokenMaker, fields: dict[str, Any]) -> None:
    make_token(owner, **{"next_check_on": DUE} | fields)
    assert leases.claim("a", 10) == []


def test_deactivated_people_and_paused_servers_are_left_out(owner: User, token: RapidProToken) -> None:
    Server.objects.filter(origin=SERVER).update(paused=True)
    assert leases.claim("a", 10) == []
    Server.objects.filter(origin=SERVER).update(paused=False)
    User.objects.update(is_active=False)
    assert leases.claim("a", 10) == []
    User.objects.update(is_active=True)
    assert len(leases.claim("a", 10)) == 1


def test_all_tokens_of_a_workspace_wait_when_one_was_told_to(
    owner: User, other: User, token: RapidProToken, make_token: TokenMaker
) -> None:
    make_token(other, state=TokenState.RATE_LIMITED, retry_on=LATER)
    elsewhere = make_token(other, secret="b" * 40, workspace_uuid=uuid4())
    assert pks(leases.claim("a", 10)) == {elsewhere.pk}


def test_named_tokens_are_had_although_they_are_not_due(owner: User, make_token: TokenMaker) -> None:
    token = make_token(owner, next_check_on=LATER)
    only = leases.checkable().filter(pk=token.pk)
    assert pks(leases.claim("a", 10, only=only)) == {token.pk}
    assert leases.claim("b", 10, only=only) == []
