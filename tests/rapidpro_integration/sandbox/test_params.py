from datetime import datetime
from urllib.parse import quote

import pytest

from rapidpro_integration.sandbox.errors import BadParam
from rapidpro_integration.sandbox.params import Params, as_moment

JUNE = datetime.fromisoformat("2025-06-01T00:00:00Z")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-06-01", "2025-06-01T00:00:00Z"),
        ("2025", "2025-01-01T00:00:00Z"),
        ("2025-06", "2025-06-01T00:00:00Z"),
        ("20250601", "2025-06-01T00:00:00Z"),
        ("2025-06-01T00:00", "2025-06-01T00:00:00Z"),
        ("2025-06-01 10:20:30", "2025-06-01T10:20:30Z"),
        ("2025-06-01T10:20:30.123Z", "2025-06-01T10:20:30.123Z"),
        ("2025-06-01T10:20:30.123456789Z", "2025-06-01T10:20:30.123456Z"),
        ("2025-06-01T00:00:00+03:00", "2025-05-31T21:00:00Z"),
        ("2025-06-01T00:00:00-0300", "2025-06-01T03:00:00Z"),
        ("2025-06-01T00:00:00-03", "2025-06-01T03:00:00Z"),
    ],
)
def test_a_date_is_read_as_utc_unless_it_names_a_zone(text: str, expected: str) -> None:
    assert as_moment(text) == datetime.fromisoformat(expected)


@pytest.mark.parametrize(
    "text",
    [
        *("not-a-date", "01/06/2025", "1748736000", "2025-02-30", "2025-13-01", "2025-W23-1", "2025-06-01t00:00:00z"),
        *("2025-06-01T23:59:60Z", "2025-06-01T00:00:00Zxyz", "2025-06-01T00:00:00 03:00", "2025\0", "0000-01-01", ""),
        "2025-06-01T00:00:00+99:00",
    ],
)
def test_a_malformed_date_is_none(text: str) -> None:
    assert as_moment(text) is None


def test_dates_at_the_ends_of_the_calendar_compare() -> None:
    first, last = as_moment("0001-01-01T00:00:00+14:00"), as_moment("9999-12-31T23:59:59-12:00")

    assert first is not None
    assert last is not None
    assert first < JUNE < last


@pytest.mark.parametrize(
    "text",
    [
        "6E99F824-2EA1-4731-9B59-9AFDCDA1399B",
        "{6e99f8242ea147319b599afdcda1399b}",
        "urn:uuid:6e99f824-2ea1-4731-9b59-9afdcda1399b",
    ],
)
def test_a_uuid_may_be_spelled_in_many_ways(text: str) -> None:
    assert Params(f"uuid={quote(text)}").uuid("uuid") == "6e99f824-2ea1-4731-9b59-9afdcda1399b"


def test_the_first_uuid_counts_and_the_last_of_others() -> None:
    params = Params("uuid=" + "a" * 32 + "&uuid=x&type=voice&type=")

    assert params.uuid("uuid") == "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"
    assert params.last("type") == ""


def test_an_empty_uuid_is_refused() -> None:
    with pytest.raises(BadParam, match=r"^Param 'uuid':  is not a valid UUID\.$"):
        Params("uuid=").uuid("uuid")


def test_a_hundred_uuids_are_allowed_and_one_more_is_not() -> None:
    one = "uuid=" + "a" * 32

    assert Params("&".join([one] * 100)).uuid("uuid")
    with pytest.raises(BadParam, match="maximum of 100"):
        Params("&".join([one] * 101)).uuid("uuid")


def test_a_number_may_be_left_out_but_not_be_text() -> None:
    assert Params("").integer("id") is None
    assert Params("id=7").integer("id") == 7
    with pytest.raises(BadParam, match="Value for id must be an integer"):
        Params("id=abc").integer("id")


@pytest.mark.parametrize(
    ("text", "expected"), [("true", True), ("Yes", True), ("1", True), ("maybe", False), ("", None)]
)
def test_an_unknown_word_means_no(text: str, expected: bool | None) -> None:
    assert Params(f"archived={text}").flag("archived") is expected
