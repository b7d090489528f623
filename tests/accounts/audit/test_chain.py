"""The encoding that is signed, and the keys that sign it."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from accounts.audit import chain

# The signs that the encoding itself uses are the ones that could be mistaken for it.
FIELDS = st.lists(st.none() | st.text(alphabet="+-\0a", max_size=5), max_size=4)


@given(FIELDS, FIELDS)
def test_no_two_lists_of_fields_have_one_encoding(one: list[str | None], two: list[str | None]) -> None:
    assert (chain.encode(one) == chain.encode(two)) == (one == two)


def test_nothing_and_empty_differ_and_a_part_cannot_move_to_its_neighbour() -> None:
    assert chain.encode([None]) != chain.encode([""])
    assert chain.encode(["ab", "c"]) != chain.encode(["a", "bc"])
    assert chain.encode(["a+b"]) != chain.encode(["a", "b"])


def test_moment_is_the_same_in_every_zone_and_details_in_every_order() -> None:
    moment = datetime(2026, 11, 24, 12, 0, 0, 1, tzinfo=UTC)
    assert chain.encode([moment]) == chain.encode([moment.astimezone(timezone(timedelta(hours=3)))])
    assert chain.encode([{"a": 1, "b": ["x"]}]) == chain.encode([{"b": ["x"], "a": 1}])


def test_key_of_its_own_signs_and_the_keys_before_it_still_verify(settings: Settings) -> None:
    derived = chain.signing_key()
    settings.AUDIT_KEY = "an audit key of its own, long enough"
    assert chain.signing_key().id != derived.id
    assert chain.keys()[derived.id] == derived


@pytest.mark.parametrize("text", ["one audit key that is long enough", "another audit key, long enough"])
def test_key_shows_nothing_of_itself(text: str) -> None:
    key = chain.AuditKey.of(text)
    assert repr(key) == f"AuditKey({key.id})"
    assert len({key.entries, key.head, bytes.fromhex(key.id)}) == 3


def test_same_fields_under_another_key_or_another_past_have_another_signature() -> None:
    one, two = chain.AuditKey.of("one audit key"), chain.AuditKey.of("two audit keys")
    signatures = {
        one.sign_entry(chain.GENESIS, ["x"]),
        two.sign_entry(chain.GENESIS, ["x"]),
        one.sign_entry("1", ["x"]),
    }
    assert len(signatures) == 3
