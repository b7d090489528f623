"""A list that broke off in the middle: what came is kept, what is missing is said, and one goes on from there."""

import re

import httpx
import pytest
import respx
from asgiref.sync import async_to_sync
from django.test import Client

from rapidpro_integration import kept
from rapidpro_integration.flow_lists import alisting
from rapidpro_integration.interface import RapidProInterface
from rapidpro_integration.models import RapidProToken
from tests.conftest import SECRET, SERVER
from tests.rapidpro_integration.test_flow_views import FLOWS, flow, get, page_of

type Pages = dict[str | None, httpx.Response | str]

BROKEN = httpx.Response(500, text="Server Error")


def page(first: int, following: str = "", count: int = 2) -> httpx.Response:
    link = f"{SERVER}/api/v2/flows.json?cursor={following}" if following else None
    # As the server orders them: the newest first.
    rows = [flow(n, created_on=f"2026-01-{28 - n:02}T00:00:00Z") for n in range(first, first + count)]
    return httpx.Response(200, json=page_of(*rows, following=link))


@pytest.fixture
def asked(respx_mock: respx.MockRouter, pages: Pages) -> list[str | None]:
    """Let the server answer each cursor with its page, and return the cursors that it was asked for."""
    cursors: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        cursor = request.url.params.get("cursor")
        if not cursors or cursors[-1] != cursor:
            cursors.append(cursor)
        found = pages[cursor]
        if isinstance(found, str):
            raise httpx.ReadTimeout(found)
        return found

    respx_mock.get(f"{SERVER}/api/v2/{FLOWS}").mock(side_effect=answer)
    return cursors


@pytest.fixture
def pages() -> Pages:
    return {None: page(0, "b"), "b": page(2, "c"), "c": BROKEN}


def press(client: Client, token: RapidProToken, **data: str) -> str:
    response = client.post(f"/tokens/{token.pk}/flows/refresh/", data, follow=True)
    assert response.status_code == 200
    return response.content.decode()


def names(text: str) -> list[str]:
    return re.findall(r"<bdi>(Flow \d+)</bdi>", text)


def test_what_came_is_kept_and_what_is_missing_is_said(
    owner_client: Client, token: RapidProToken, asked: list[str | None]
) -> None:
    for _ in range(2):
        text = get(owner_client, token)
        assert names(text) == [f"Flow {number}" for number in range(4)]
        assert "The server broke on this request" in text
        assert "The list is not whole: 4 flows came" in text
        assert "Go on from there" in text
        assert "This is the last list that we have" not in text
    assert asked == [None, "b", "c"]
    assert "not whole" in owner_client.get(f"/tokens/{token.pk}/flows/numbers/").content.decode()


def test_one_goes_on_from_there_without_asking_for_the_rest_again(
    owner_client: Client, token: RapidProToken, pages: Pages, asked: list[str | None]
) -> None:
    get(owner_client, token)
    asked.clear()
    # One row has slipped onto the next page meanwhile: it is shown once.
    pages["c"] = page(3, count=3)
    text = press(owner_client, token, go_on="1")
    assert asked == ["c"]
    assert names(text) == [f"Flow {number}" for number in range(6)]
    assert "not whole" not in text
    assert "The server broke" not in text
    assert "up to date" in text


def test_second_failure_loses_nothing_and_stays_where_it_got_to(
    owner_client: Client, token: RapidProToken, pages: Pages, asked: list[str | None]
) -> None:
    get(owner_client, token)
    pages |= {"c": page(4, "d"), "d": "slow"}
    text = press(owner_client, token, go_on="1")
    assert len(names(text)) == 6
    assert "The server took too long to answer" in text
    found = kept.get(token)
    assert found is not None
    assert found.cursor == "d"


def test_refresh_begins_at_the_beginning(
    owner_client: Client, token: RapidProToken, pages: Pages, asked: list[str | None]
) -> None:
    get(owner_client, token)
    asked.clear()
    pages["c"] = page(4)
    assert len(names(press(owner_client, token))) == 6
    assert asked == [None, "b", "c"]


def test_whole_list_of_before_is_not_given_up_for_a_part_of_a_newer_one(
    owner_client: Client, token: RapidProToken, pages: Pages, asked: list[str | None]
) -> None:
    pages["c"] = page(4)
    get(owner_client, token)
    pages["c"] = BROKEN
    text = press(owner_client, token)
    assert len(names(text)) == 6
    assert "The server broke on this request" in text
    assert "not whole" not in text


def test_failure_on_the_first_page_is_a_problem_and_no_list(
    owner_client: Client, token: RapidProToken, pages: Pages, asked: list[str | None]
) -> None:
    pages[None] = BROKEN
    assert "The server broke on this request" in get(owner_client, token, status=502)
    assert kept.get(token) is None


def test_token_that_is_refused_in_the_middle_leaves_nothing(
    owner_client: Client, token: RapidProToken, pages: Pages, asked: list[str | None]
) -> None:
    pages["c"] = httpx.Response(403, json={"detail": "Invalid token"})
    get(owner_client, token, status=424)
    assert kept.get(token) is None


def test_file_of_a_part_says_so_in_its_name(
    owner_client: Client, token: RapidProToken, asked: list[str | None]
) -> None:
    response = owner_client.get(f"/tokens/{token.pk}/flows/export/csv/")
    assert "flows-Nutrition-incomplete-" in response.headers["Content-Disposition"]


def test_going_on_with_a_whole_list_is_a_refresh(token: RapidProToken, pages: Pages, asked: list[str | None]) -> None:
    pages["c"] = page(4)
    for _ in range(2):
        listing = async_to_sync(alisting)(token, anew=True, go_on=True)
        assert listing.flows.is_whole
    assert asked == [None, "b", "c"] * 2


def test_list_that_is_longer_than_we_read_at_once_can_go_on(
    owner_client: Client, token: RapidProToken, pages: Pages, asked: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    pages["c"] = page(4)
    monkeypatch.setitem(RapidProInterface.for_token.__func__.__kwdefaults__, "max_pages", 2)  # type: ignore[attr-defined]
    assert "The list is not whole: 4 flows came" in get(owner_client, token)
    text = press(owner_client, token, go_on="1")
    assert len(names(text)) == 6
    assert "not whole" not in text


async def test_page_says_where_the_next_one_begins(asked: list[str | None], pages: Pages) -> None:
    pages["c"] = page(4)
    interface = RapidProInterface(SECRET, SERVER)
    assert [dict(each.following) async for each in interface.aiter_flows()] == [{"cursor": "b"}, {"cursor": "c"}, {}]
    assert [flow.name for flow in await interface.aget_flows(cursor="c")] == ["Flow 4", "Flow 5"]
    with pytest.raises(ValueError, match="cursor"):
        await interface.aget_flows(cursor="c", concurrency=2)
