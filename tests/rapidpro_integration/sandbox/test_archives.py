"""The two endpoints without cursors: archives by limit and offset, statistics by a window of days."""

from datetime import date, timedelta
from typing import Any

import pytest

from tests.rapidpro_integration.sandbox.conftest import Ask


async def read(ask: Ask, path: str, token: str = "national") -> dict[str, Any]:
    response = await ask(path, token)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


@pytest.mark.parametrize(("query", "size"), [("", 250), ("?limit=100&period=monthly", 100)])
async def test_archives_are_read_by_offset_without_gaps_or_repeats(ask: Ask, query: str, size: int) -> None:
    first = await read(ask, f"archives.json{query}")
    pages, url = [first], first["next"]
    while url:
        pages.append(await read(ask, url))
        url = pages[-1]["next"]
    rows = [row for page in pages for row in page["results"]]

    assert len(pages) >= 2
    assert {len(page["results"]) for page in pages[:-1]} == {size}
    assert len({row["download_url"] for row in rows}) == len(rows) == first["count"]
    assert [row["start_date"] for row in rows] == sorted((row["start_date"] for row in rows), reverse=True)
    assert first["previous"] is None
    assert (await read(ask, pages[1]["previous"]))["results"] == first["results"]


async def test_archives_are_filtered_by_type_period_and_first_day(ask: Ask) -> None:
    everything = (await read(ask, "archives.json?limit=1000"))["results"]

    for query, holds in (
        ("type=run", lambda row: row["type"] == "run"),
        ("archive_type=message", lambda row: row["archive_type"] == "message"),
        ("period=daily", lambda row: row["period"] == "daily"),
        ("after=2026-01-01&before=2026-03-01", lambda row: "2026-01-01" <= row["start_date"] <= "2026-03-01"),
    ):
        kept = (await read(ask, f"archives.json?limit=1000&{query}"))["results"]
        assert kept == [row for row in everything if holds(row)]
        assert 0 < len(kept) < len(everything)
    assert (await read(ask, "archives.json?period=weekly&limit=1000"))["results"] == everything
    assert (await read(ask, "archives.json?type=nope"))["count"] == 0
    assert (await read(ask, "archives.json?before=yesterday"))["count"] == 0


@pytest.mark.parametrize("query", ["limit=0&offset=0", "limit=-3", "limit=abc&offset=abc", "offset=-1"])
async def test_a_limit_or_offset_that_is_no_number_is_ignored(ask: Ask, query: str) -> None:
    assert (await read(ask, f"archives.json?{query}"))["results"] == (await read(ask, "archives.json"))["results"]


async def test_an_offset_beyond_the_end_is_an_empty_page(ask: Ask) -> None:
    page = await read(ask, "archives.json?offset=100000")

    assert (page["results"], page["next"]) == ([], None)
    assert "offset=99750" in page["previous"]


async def test_a_page_that_ends_with_the_last_row_has_no_next(ask: Ask) -> None:
    count = (await read(ask, "archives.json"))["count"]
    whole, short = await read(ask, f"archives.json?limit={count}"), await read(ask, f"archives.json?limit={count - 1}")

    assert (len(whole["results"]), whole["next"]) == (count, None)
    assert (await read(ask, short["next"]))["results"] == whole["results"][-1:]


async def test_a_workspace_without_archives_counts_none(ask: Ask) -> None:
    assert await read(ask, "archives.json", "empty") == {"count": 0, "next": None, "previous": None, "results": []}


async def test_statistics_cover_thirty_days_unless_asked_otherwise(ask: Ask) -> None:
    days = [date.fromisoformat(row["date"]) for row in (await read(ask, "statistics.json"))["results"]]

    assert days == sorted(set(days))
    assert 20 < len(days) <= 31
    assert date(2026, 10, 21) <= days[0]
    assert days[-1] <= date(2026, 11, 20)


async def test_a_day_of_statistics_is_the_same_in_every_window(ask: Ask) -> None:
    year = (await read(ask, "statistics.json?since=2025-06-01&until=2026-06-02"))["results"]
    month = (await read(ask, "statistics.json?since=2025-12-01&until=2025-12-31"))["results"]

    assert len(year) > 300
    assert 25 < len(month) <= 31
    assert month == [row for row in year if "2025-12-01" <= row["date"] <= "2025-12-31"]


async def test_statistics_name_channels_of_the_workspace(ask: Ask) -> None:
    channels = {row["uuid"]: row["type"] for row in (await read(ask, "channels.json"))["results"]}
    counted = [day["channels"] for day in (await read(ask, "statistics.json"))["results"]]

    assert {uuid for day in counted for uuid in day} == set(channels)
    assert all(channels[uuid] == one["type"] for day in counted for uuid, one in day.items())


async def test_statistics_refuse_more_than_366_days_and_what_is_no_day(ask: Ask) -> None:
    since = date(2026, 11, 20) - timedelta(days=366)

    assert (await ask(f"statistics.json?since={since}", "national")).status_code == 200
    too_long = await ask(f"statistics.json?since={since - timedelta(days=1)}&until=2026-11-20", "national")
    assert (too_long.status_code, "366" in too_long.json()["detail"]) == (400, True)
    assert (await ask("statistics.json?until=soon", "national")).status_code == 400


async def test_statistics_of_days_before_the_first_and_after_now_are_empty(ask: Ask) -> None:
    for window in ("since=2010-01-01&until=2010-02-01", "since=2027-01-01&until=2027-02-01"):
        assert await read(ask, f"statistics.json?{window}") == {"results": []}
    assert await read(ask, "statistics.json?since=2026-05-02&until=2026-05-01") == {"results": []}
    assert await read(ask, "statistics.json", "empty") == {"results": []}
