"""Dates, windows and uuids: what they mean in which zone, and what is refused before a request."""

from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapidpro_integration.client import dates

KIGALI = ZoneInfo("Africa/Kigali")
SAO_PAULO = ZoneInfo("America/Sao_Paulo")
UUID_TEXT = "6e99f824-2ea1-4731-9b59-9afdcda1399b"


@pytest.mark.parametrize(
    ("value", "zone", "sent"),
    [
        (date(2026, 11, 24), UTC, "2026-11-24T00:00:00.000000Z"),
        (date(2026, 11, 24), KIGALI, "2026-11-23T22:00:00.000000Z"),
        ("2026-11-24", KIGALI, "2026-11-23T22:00:00.000000Z"),
        ("20261124", KIGALI, "2026-11-23T22:00:00.000000Z"),
        (" 2026-11-24T08:30 ", KIGALI, "2026-11-24T06:30:00.000000Z"),
        ("2026-11-24 08:30:15", UTC, "2026-11-24T08:30:15.000000Z"),
        ("2026-11-24T08:30:15.123456Z", KIGALI, "2026-11-24T08:30:15.123456Z"),
        ("2026-11-24T08:30:15.5+03:00", KIGALI, "2026-11-24T05:30:15.500000Z"),
        (datetime(2026, 11, 24, 8, 30), KIGALI, "2026-11-24T06:30:00.000000Z"),  # noqa: DTZ001
        (datetime(2026, 11, 24, 8, 30, 0, 1, tzinfo=UTC), KIGALI, "2026-11-24T08:30:00.000001Z"),
        (date(1, 1, 1), UTC, "0001-01-01T00:00:00.000000Z"),
        (datetime.max.replace(tzinfo=UTC), UTC, "9999-12-31T23:59:59.999999Z"),
        # The clocks skipped this midnight: the day began where midnight would have been by the old offset.
        (date(2018, 11, 4), SAO_PAULO, "2018-11-04T03:00:00.000000Z"),
        # This hour came twice: the first is meant.
        ("2018-02-17T23:30:00", SAO_PAULO, "2018-02-18T01:30:00.000000Z"),
        (None, UTC, ""),
        ("", UTC, ""),
        ("  ", UTC, ""),
    ],
)
def test_moment_is_sent_in_utc_with_microseconds(value: dates.DateLike, zone: tzinfo, sent: str) -> None:
    assert dates.as_sent(dates.moment(value, zone)) == sent


@pytest.mark.parametrize(
    "value",
    [
        "not-a-date", "01/06/2025", "1750000000", "2025-02-30", "2025-06-01T25:00", "2025-06-01T00:00:60Z",
        "2025-06-01x10:00", "2025-06-01T00:00:00Z trailing", "2025-06-01T00:00:00+", "2025", "2025-06", "٢٠٢٥-٠٦-٠١",
        "2025-06-01T00:00:00 03:00", "\ud800", "\x00", "2" * 5000, 5, 0, True, b"2025-06-01", object(), [],
    ],
)  # fmt: skip
def test_malformed_date_is_a_value_error(value: dates.DateLike) -> None:
    with pytest.raises(ValueError, match="is no date"):
        dates.moment(value, UTC)


@pytest.mark.parametrize(
    ("value", "zone"),
    [
        (date.min, KIGALI),
        (datetime.min, timezone(timedelta(hours=14))),  # noqa: DTZ901  # the naive one is meant
        (date.max, timezone(-timedelta(hours=12))),
        ("0001-01-01T00:00:00+00:01", UTC),
        ("9999-12-31T23:59:59-12:00", UTC),
    ],
)
def test_ends_of_the_calendar_are_a_value_error(value: dates.DateLike, zone: tzinfo) -> None:
    if value == date.max:
        value = datetime.max  # noqa: DTZ901
    with pytest.raises(ValueError, match="years 1 to 9999"):
        dates.moment(value, zone)


def test_message_quotes_little_and_nothing_that_acts() -> None:
    with pytest.raises(ValueError) as caught:
        dates.moment("\x1b[2J" + "x" * 500, UTC)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 140


@given(st.one_of(st.text(), st.datetimes(), st.dates(), st.datetimes(timezones=st.timezones())), st.timezones())
def test_any_date_is_a_moment_or_a_value_error(value: dates.DateLike, zone: tzinfo) -> None:
    try:
        moment = dates.moment(value, zone)
    except ValueError:
        return
    assert moment is None or (moment.utcoffset() == timedelta(0) and dates.as_sent(moment).endswith("Z"))


def test_window_may_be_open_or_a_single_moment() -> None:
    assert dates.window("", None, UTC) == ("", "")
    assert dates.window("2025-06-01", "2025-06-01", UTC) == ("2025-06-01T00:00:00.000000Z",) * 2


def test_window_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValueError, match="later than"):
        dates.window("2025-06-01", "2025-06-01T00:00:00.000001", UTC)


def test_window_compares_moments_and_not_texts() -> None:
    with pytest.raises(ValueError, match="later than"):
        dates.window("2025-06-01T02:00+03:00", "2025-06-01T00:00Z", UTC)


@pytest.mark.parametrize("name", ["Nowhere/Land", "", "/etc/passwd", "../UTC", "America", "\x00", 5, None])
def test_unknown_zone_is_a_value_error(name: str) -> None:
    with pytest.raises(ValueError, match="time zone"):
        dates.zone(name)


def test_zone_is_taken_by_name_or_as_it_is() -> None:
    assert dates.zone("Africa/Kigali") == KIGALI
    assert dates.zone(KIGALI) is KIGALI


@pytest.mark.parametrize(
    "text",
    [
        UUID_TEXT,
        UUID_TEXT.upper(),
        UUID_TEXT.replace("-", ""),
        f"{{{UUID_TEXT}}}",
        f"urn:uuid:{UUID_TEXT}",
        UUID(UUID_TEXT),
    ],
)
def test_uuid_is_taken_in_each_writing(text: str | UUID) -> None:
    assert str(dates.require_uuid(text)) == UUID_TEXT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        f" {UUID_TEXT}",
        f"{UUID_TEXT}\n",
        UUID_TEXT[:-1],
        UUID_TEXT[:-2] + "_b",
        "٣" * 32,
        "+" + "1" * 31,
        None,
        5,
    ],
)
def test_malformed_uuid_is_a_value_error(text: object) -> None:
    with pytest.raises(ValueError, match="is no UUID"):
        dates.require_uuid(text)
    assert dates.parse_uuid(text) is None
