import base64
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapidpro_integration.sandbox.app import create_app
from rapidpro_integration.sandbox.errors import InvalidCursor, ServerFailure
from rapidpro_integration.sandbox.filters import place_in
from rapidpro_integration.sandbox.model import Row, newest_first
from rapidpro_integration.sandbox.paging import Cursor, cut_page, with_cursor
from tests.rapidpro_integration.sandbox.conftest import Ask

BEGIN = datetime(2025, 1, 1, tzinfo=UTC)


def rows_at(*minutes: int) -> tuple[Row, ...]:
    """Return rows created at these minutes, in list order."""
    moments = [BEGIN + timedelta(minutes=minute) for minute in minutes]
    return newest_first([Row(number, moment, moment, {"id": number}) for number, moment in enumerate(moments)])


def by_creation(row: Row) -> datetime:
    return row.created_on


def walk(rows: tuple[Row, ...], size: int) -> list[int]:
    cursor: Cursor | None = Cursor()
    seen: list[int] = []
    while cursor is not None:
        page = cut_page(rows, Cursor.decode(cursor.encode()), by_creation, size=size)
        seen += [row.id for row in page.rows]
        cursor = page.next
    return seen


@given(st.lists(st.integers(0, 12), max_size=60), st.integers(1, 9))
def test_following_next_shows_every_row_once_in_order(minutes: list[int], size: int) -> None:
    rows = rows_at(*minutes)

    assert walk(rows, size) == [row.id for row in rows]


@given(st.lists(st.integers(0, 10_000), unique=True, min_size=1, max_size=60), st.integers(1, 9))
def test_previous_leads_back_to_the_same_page(minutes: list[int], size: int) -> None:
    rows = rows_at(*minutes)
    first = cut_page(rows, Cursor(), by_creation, size=size)
    if first.next is None:
        assert first.previous is None
        return
    second = cut_page(rows, first.next, by_creation, size=size)
    assert second.previous is not None

    back = cut_page(rows, second.previous, by_creation, size=size)

    assert (back.rows, back.previous, back.next) == (first.rows, None, first.next)


def test_rows_of_one_moment_are_paged_by_offset() -> None:
    rows = rows_at(*[7] * 10)

    first = cut_page(rows, Cursor(), by_creation, size=4)
    assert first.next == Cursor(offset=4)
    second = cut_page(rows, first.next, by_creation, size=4)

    assert second.next == Cursor(offset=8)
    # Turning round among rows of one moment skips them: so does the real server.
    assert second.previous == Cursor(reverse=True, position="2025-01-01 00:07:00+00:00")


def test_rows_of_one_moment_are_paged_backwards_too() -> None:
    rows = rows_at(*[7] * 10, 1, 9)
    last = cut_page(rows, Cursor(reverse=True), by_creation, size=4)

    before = cut_page(rows, last.previous or Cursor(), by_creation, size=4)

    assert [row.id for row in last.rows] == [2, 1, 0, 10]
    assert [row.id for row in before.rows] == [6, 5, 4, 3]
    assert before.next is not None


def test_an_ascending_list_reads_the_other_way() -> None:
    rows = tuple(reversed(rows_at(1, 2, 3, 4, 5)))

    first = cut_page(rows, Cursor(), by_creation, ascending=True, size=2)
    assert first.next is not None
    second = cut_page(rows, first.next, by_creation, ascending=True, size=2)

    assert [row.id for row in [*first.rows, *second.rows]] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "text", ["garbage", "é", base64.b64encode(b"o=-5").decode(), base64.b64encode(b"r=x").decode()]
)
def test_a_cursor_that_does_not_decode_is_invalid(text: str) -> None:
    with pytest.raises(InvalidCursor):
        Cursor.decode(text)


def test_a_position_that_is_no_time_breaks_the_server() -> None:
    with pytest.raises(ServerFailure):
        cut_page(rows_at(1), Cursor(position="yesterday"), by_creation)


def test_a_position_without_a_zone_is_utc() -> None:
    page = cut_page(rows_at(1, 2, 3), Cursor(position="2025-01-01 00:02:00"), by_creation)

    assert [row.id for row in page.rows] == [0]


def test_a_link_keeps_every_parameter_sorted_with_its_cursor_escaped() -> None:
    url = with_cursor("http://h.example/flows.json?z=1&after=&z=2&a=%C3%A1", Cursor(offset=250))

    assert url == "http://h.example/flows.json?a=%C3%A1&after=&cursor=bz0yNTA%3D&z=1&z=2"


@pytest.mark.parametrize(("token", "count"), [("clinics", 12), ("districts", 251), ("national", 2600), ("empty", 0)])
async def test_each_workspace_is_read_page_by_page_without_gaps_or_repeats(ask: Ask, token: str, count: int) -> None:
    app = create_app()
    pages = []
    url: str | None = "flows.json"
    while url:
        pages.append((await ask(url, token, app)).json())
        url = pages[-1]["next"]

    rows = [row for page in pages for row in page["results"]]
    assert len({row["uuid"] for row in rows}) == len(rows) == count
    assert [row["created_on"] for row in rows] == sorted((row["created_on"] for row in rows), key=parsed, reverse=True)
    assert [len(page["results"]) for page in pages[:-1]] == [250] * (len(pages) - 1)
    assert pages[0]["previous"] is None
    assert len(pages) == max(1, -(-count // 250))


def parsed(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def test_the_large_workspace_needs_an_offset_somewhere(ask: Ask) -> None:
    app = create_app()
    tokens = set()
    url: str | None = "flows.json"
    while url:
        url = (await ask(url, "national", app)).json()["next"]
        if url:
            tokens.add(base64.b64decode(httpx.URL(url).params["cursor"])[:2])

    assert tokens == {b"p=", b"o="}


def test_a_list_in_order_of_text_is_paged_by_text() -> None:
    rows = [Row(number, BEGIN, BEGIN, {"osm_id": text}) for number, text in enumerate(("10", "200", "3", "41"))]
    first = cut_page(rows, Cursor(), place_in("osm_id"), ascending=True, by_text=True, size=2)
    assert first.next is not None
    second = cut_page(rows, first.next, place_in("osm_id"), ascending=True, by_text=True, size=2)

    assert [row.body["osm_id"] for row in (*first.rows, *second.rows)] == ["10", "200", "3", "41"]
    assert second.next is None
