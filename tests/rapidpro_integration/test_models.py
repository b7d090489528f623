"""The database itself refuses rows that break the rules."""

import uuid
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts.models import User
from rapidpro_integration.models import RapidProToken, TokenState
from tests.conftest import OTHER_SERVER, TokenMaker


@pytest.mark.parametrize(
    "change",
    [
        {"state": "wonderful"},
        {"sealed": "4f1c0ffee0ddba11deadbeef0123456789abcdef"},
        {"key_id": ""},
        {"fingerprint": "abc"},
        {"fingerprint": "g" * 64},
        {"last_four": "ab"},
        {"label": ""},
        {"server": "http://rapidpro.example"},
        {"server": "http://127.0.0.1.evil.example"},
        {"server": "https://rapidpro.example/path"},
        {"server": "ftp://rapidpro.example"},
        {"workspace_uuid": None},
        {"checked_on": None},
    ],
    ids=str,
)
def test_rows_that_break_a_rule_are_refused(token: RapidProToken, change: dict[str, object]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        RapidProToken.objects.filter(pk=token.pk).update(**change)


@pytest.mark.parametrize("server", ["http://127.0.0.1:8001", "http://localhost:8001", "https://rapidpro.example:8443"])
def test_sandbox_and_https_origins_are_accepted(token: RapidProToken, server: str) -> None:
    assert RapidProToken.objects.filter(pk=token.pk).update(server=server) == 1


def test_one_owner_saves_a_token_once_a_server(token: RapidProToken, owner: User, make_token: TokenMaker) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        make_token(owner, label="Again")
    make_token(owner, label="Elsewhere", server=OTHER_SERVER)


def test_two_tenants_may_hold_the_same_token_and_their_rows_do_not_tell(
    token: RapidProToken, other: User, make_token: TokenMaker
) -> None:
    assert make_token(other).fingerprint != token.fingerprint


def test_shown_state_is_locked_when_the_row_does_not_open(token: RapidProToken) -> None:
    assert token.shown_state == TokenState.WORKING
    token.key_id = "k9"
    assert token.shown_state == TokenState.LOCKED


def test_shown_state_of_a_disabled_row_stays_disabled(token: RapidProToken) -> None:
    token.key_id, token.state = "k9", TokenState.DISABLED
    assert token.shown_state == TokenState.DISABLED


def test_row_that_was_locked_and_opens_again_is_unchecked(token: RapidProToken) -> None:
    token.state = TokenState.LOCKED
    assert token.shown_state == TokenState.UNCHECKED


def test_no_column_holds_the_token_in_clear(token: RapidProToken) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM rapidpro_integration_rapidprotoken")
        row = cursor.fetchone()
    assert row is not None
    assert not any("c0ffee" in str(value) for value in row)


def test_label_is_what_a_token_is_called(token: RapidProToken) -> None:
    assert str(token) == "Clinics"
    assert token.server_host == "rapidpro.example"
    assert token.get_absolute_url() == f"/tokens/{token.pk}/"


def test_version_before_saves_tokens_without_the_columns_that_it_does_not_know(token: RapidProToken) -> None:
    unknown = {"failures_in_a_row", "leased_by", "secret_saved_on"}
    columns = {field.column for field in RapidProToken._meta.concrete_fields}
    kept = ", ".join(sorted(columns - unknown - {"id", "fingerprint"}))
    table, new_id = RapidProToken._meta.db_table, uuid.uuid4()
    prepared = RapidProToken._meta.pk.get_db_prep_value(new_id, connection)
    with connection.cursor() as cursor:
        insert = f"INSERT INTO {table} (id, fingerprint, {kept}) SELECT %s, %s, {kept} FROM {table}"
        cursor.execute(insert, [prepared, "f" * 64])
    row = RapidProToken.objects.get(pk=new_id)
    assert (row.failures_in_a_row, row.leased_by) == (0, "")
    assert abs(row.secret_saved_on - timezone.now()) < timedelta(minutes=1)
