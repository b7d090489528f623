"""Every resource has rows, and their fields are just those of the recorded ones."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from rapidpro_integration.sandbox.endpoints import ENDPOINTS
from rapidpro_integration.sandbox.paging import Cursor
from tests.rapidpro_integration.sandbox.conftest import Ask
from tests.rapidpro_integration.sandbox.recorded import shape_differences

FOLDER = Path(__file__).parents[2] / "recordings"
#: Not lists of rows: one object each, compared whole by the replay.
OBJECTS = {"definitions", "org", "workspace"}
LISTS = sorted(name for name, endpoint in ENDPOINTS.items() if endpoint.reads and name not in OBJECTS)
LARGE = ("clinics", "districts", "national")


@cache
def recorded() -> dict[str, list[dict[str, Any]]]:
    """Return all recorded rows by endpoint."""
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in LISTS}
    for path in FOLDER.glob("*.json"):
        exchange = json.loads(path.read_text("utf-8"))
        name, answer = exchange["request"]["path"].removeprefix("/api/v2/"), exchange["response"]["body"]
        # An anonymous workspace's contacts have fields of their own, and the sandbox has no such workspace.
        if isinstance(answer, dict) and name.removesuffix(".json") in rows and not path.stem.startswith("anon_"):
            rows[name.removesuffix(".json")] += answer.get("results", [])
    return rows


@pytest.mark.parametrize("token", LARGE)
@pytest.mark.parametrize("name", LISTS)
async def test_rows_have_the_fields_of_the_recorded_ones(ask: Ask, name: str, token: str) -> None:
    theirs = recorded()[name]
    ours = (await ask(f"{name}.json", token)).json()["results"]

    assert theirs
    assert ours
    assert {frozenset(row) for row in ours} == {frozenset(row) for row in theirs}
    assert [line for row in ours for line in shape_differences(row, theirs, name)] == []


@pytest.mark.parametrize("name", LISTS)
async def test_what_is_filled_in_a_recorded_row_is_filled_in_some_row_here(ask: Ask, name: str) -> None:
    ours = (await ask(f"{name}.json", "national")).json()["results"]
    filled = {field for row in recorded()[name] for field, value in row.items() if value not in (None, [], {})}

    assert filled <= {field for row in ours for field, value in row.items() if value not in (None, [], {})}


@pytest.mark.parametrize(
    ("name", "least"),
    [
        *(("messages", 8), ("runs", 6), ("contacts", 3), ("flow_starts", 3)),
        *(("broadcasts", 2), ("tickets", 2), ("channel_events", 2), ("resthook_events", 2)),
    ],
)
async def test_long_lists_fill_pages_and_spread_over_time(ask: Ask, name: str, least: int) -> None:
    url: str | None = f"{name}.json"
    pages = []
    while url:
        pages.append((await ask(url, "national")).json())
        url = pages[-1]["next"]
    rows = [row for page in pages for row in page["results"]]
    key = ENDPOINTS[name].order

    assert [len(page["results"]) for page in pages[:-1]] == [250] * (len(pages) - 1)
    assert len(pages) >= least
    assert len({json.dumps(row) for row in rows}) == len(rows)
    assert len({row[key][:10] for row in rows}) >= 40
    assert len({row[key] for row in rows}) > len(rows) / 2


async def test_boundaries_are_in_the_order_of_their_numbers_as_text(ask: Ask) -> None:
    rows = (await ask("boundaries.json", "national")).json()["results"]
    numbers = [row["osm_id"] for row in rows]

    assert numbers == sorted(numbers) != sorted(numbers, key=int)
    assert len(set(numbers)) == len(numbers)
    assert {row["level"] for row in rows} == {0, 1, 2}
    assert {row["parent"]["osm_id"] for row in rows if row["parent"]} <= set(numbers)


async def test_a_cursor_of_boundaries_points_behind_a_number_as_text(ask: Ask) -> None:
    rows = (await ask("boundaries.json", "national")).json()["results"]
    cursor = Cursor(position=rows[4]["osm_id"]).encode()
    page = (await ask("boundaries.json", "national", params={"cursor": cursor})).json()

    assert page["results"] == rows[5:]
    assert page["previous"] is not None
