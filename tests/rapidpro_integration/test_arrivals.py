"""Lists on their way: shown from the first page on, stopped, broken off, gone on with, asked for once.

The server is a real one on loopback, which gives each page when the test lets it.
"""

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from copy import copy
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import pytest
import respx
from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.core.cache import cache, caches
from django.test import AsyncClient, Client
from pytest_django import Settings

from accounts.audit.actions import Action
from accounts.audit.models import AuditEntry
from accounts.models import User
from config import busy, lifespan
from rapidpro_integration import arrivals, flow_lists, kept, marks, services
from rapidpro_integration.client import pools
from rapidpro_integration.client.errors import BusyException
from rapidpro_integration.client.types import Flow, Rows
from rapidpro_integration.marks import Progress
from rapidpro_integration.models import RapidProToken
from rapidpro_integration.openings import Purpose
from tests.conftest import SERVER, TokenMaker
from tests.rapidpro_integration.client import loopback
from tests.rapidpro_integration.test_flow_views import flow, page_of

PAGES, ROWS = 4, 3
FAULT = loopback.answer(b"Server Error", status="500 Internal Server Error", content_type="text/html")
REFUSAL = loopback.answer(b'{"detail": "Invalid token"}', status="403 Forbidden")


@pytest.fixture(autouse=True)
def _first_page_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show the first page without waiting for the rest, and look around often."""
    monkeypatch.setattr(flow_lists, "PATIENCE_S", 0)
    monkeypatch.setattr(arrivals, "LOOK_S", 0.02)
    monkeypatch.setattr(kept, "_local", kept._Local())


class Slow:
    """A RapidPro whose first page comes at once; each other one waits for the test's word, or all do."""

    def __init__(self) -> None:
        self.origin = ""
        self.asked: list[int] = []
        self.holds_first = False
        self._said = asyncio.Semaphore(0)
        self._answers: list[bytes] = []

    def let(self, *answers: bytes, count: int = 1) -> None:
        """Let the next pages come, or `answers` in their place."""
        self._answers += answers
        for _ in range(len(answers) or count):
            self._said.release()

    def hold(self) -> None:
        """Take back what was let come and was not asked for."""
        self._said = asyncio.Semaphore(0)

    async def asked_for(self, *numbers: int) -> None:
        """Wait until exactly these pages were asked for."""
        async with asyncio.timeout(5):
            while self.asked != list(numbers):  # noqa: ASYNC110  # the other side of a socket
                await asyncio.sleep(0.005)

    async def __call__(
        self, server: loopback.Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while True:
            head = await server.head(reader)
            cursor = parse_qs(urlsplit(head.split(" ")[1]).query).get("cursor", ["0"])[0]
            number = int(cursor)
            self.asked.append(number)
            if number or self.holds_first:
                await self._said.acquire()
            writer.write(self._answers.pop(0) if self._answers and number else self.page(number))
            await writer.drain()

    def page(self, number: int) -> bytes:
        first, last = number * ROWS, number == PAGES - 1
        rows = [flow(n, created_on=f"2026-01-{28 - n:02}T00:00:00Z") for n in range(first, first + ROWS)]
        link = None if last else f"{self.origin}/api/v2/flows.json?cursor={number + 1}"
        return loopback.answer(loopback.page(*rows, following=link))


class Site:
    """The owner's browser, and the address of the list of the slow server's flows."""

    def __init__(self, token: RapidProToken, server: Slow, browser: AsyncClient) -> None:
        self.token, self.server, self.browser = token, server, browser
        self.address = f"/tokens/{token.pk}/flows/"

    async def get(self, query: str = "") -> str:
        response = await self.browser.get(f"{self.address}{query}")
        assert response.status_code == 200
        return response.content.decode()

    async def post(self, name: str, **data: str) -> None:
        response = await self.browser.post(f"{self.address}{name}/", data)
        assert (response.status_code, response.headers["Location"]) == (302, self.address)

    async def poll(self) -> str:
        response = await self.browser.get(f"{self.address}progress/", headers={"HX-Request": "true"})
        assert response.status_code == 200
        return response.content.decode()

    async def until(self, words: str) -> str:
        """Poll as the page does, but sooner, until it says these words."""
        async with asyncio.timeout(5):
            while words not in (text := await self.poll()):  # noqa: ASYNC110  # as a browser does
                await asyncio.sleep(0.005)
        return text

    async def whole(self) -> str:
        """Let everything come, and return the page that shows it."""
        self.server.let(count=PAGES)
        await self.until("That is all")
        self.server.hold()
        return await self.get()


type Open = Callable[[], AbstractAsyncContextManager[Site]]


@pytest.fixture
def open_site(owner: User, make_token: TokenMaker, settings: Settings) -> Open:
    """Return a function that serves a slow server and gives the site with a token for it, as a context."""

    @asynccontextmanager
    async def served() -> AsyncIterator[Site]:
        slow = Slow()
        async with loopback.serve(slow) as server:
            slow.origin = server.origin
            settings.SANDBOX_ORIGIN, settings.RAPIDPRO_SERVERS = server.origin, [server.origin]
            token = await sync_to_async(make_token)(owner, server=server.origin)
            browser = AsyncClient()
            await browser.aforce_login(owner)
            yield Site(token, slow, browser)
            await arrivals.aclose()

    return served


def names(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"<bdi>Flow (\d+)</bdi>", text)]


# --- Rows at once, progress, the whole ------------------------------------------------------------


async def test_first_rows_come_with_the_first_page_and_the_rest_with_a_progress(open_site: Open) -> None:
    async with open_site() as site:
        text = await site.get()
        assert names(text) == [0, 1, 2]
        assert text.count("3 flows so far") == 2
        assert '<noscript><meta http-equiv="refresh" content="3"></noscript>' in text
        assert 'hx-trigger="every 1s"' in text
        assert 'aria-live="polite"' in text
        assert re.search(r'<form method="post" action="[^"]*/stop/">.*?csrfmiddlewaretoken.*?Stop</button>', text)
        for words in ("not whole", "Refresh</button>", "Since your last visit"):
            assert words not in text
        site.server.let()
        text = await site.until("6 flows so far")
        assert "<progress" in text
        assert names(await site.get()) == list(range(6))
        site.server.let(count=2)
        text = await site.until("That is all")
        assert f'hx-get="{site.address}"' in text
        assert 'hx-trigger="load"' in text
        text = await site.get()
        assert names(text) == list(range(12))
        assert "12 flows" in text
        for words in ("so far", "<progress", "http-equiv", "not whole"):
            assert words not in text
        assert "Refresh</button>" in text
        assert site.server.asked == [0, 1, 2, 3]
        assert await AuditEntry.objects.filter(action=Action.TOKEN_OPENED, details__purpose=Purpose.FLOWS).acount() == 1


async def test_short_list_and_kept_list_come_at_once(open_site: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.rapidpro_integration.test_arrivals.PAGES", 1)
    async with open_site() as site:
        for _ in range(2):
            text = await site.get()
            assert names(text) == [0, 1, 2]
            assert "so far" not in text
        assert site.server.asked == [0]


async def test_list_that_comes_soon_is_shown_whole(open_site: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow_lists, "PATIENCE_S", 10)
    async with open_site() as site:
        site.server.let(count=PAGES)
        assert names(await site.get()) == list(range(12))


async def test_filters_look_at_what_came_and_say_so(open_site: Open) -> None:
    async with open_site() as site:
        text = await site.get("?q=flow+1")
        assert names(text) == [1]
        assert "1 of the 3 flows that came so far fits the filters." in text
        assert f'hx-get="{site.address}progress/?q=flow+1"' in text
        assert "No flow that came so far fits these filters" in await site.get("?q=flow+9")
        progress = await site.browser.get(f"{site.address}progress/?q=flow+1", headers={"HX-Request": "true"})
        assert "3 flows so far" in progress.content.decode()
        await site.whole()
        assert names(await site.get("?q=flow+1")) == [1, 10, 11]


async def test_twenty_tabs_cause_one_fetch_and_all_see_the_first_rows(open_site: Open) -> None:
    async with open_site() as site:
        texts = await asyncio.gather(*(site.get() for _ in range(20)))
        assert [names(text) for text in texts] == [[0, 1, 2]] * 20
        await site.whole()
        assert site.server.asked == [0, 1, 2, 3]


async def test_file_and_numbers_wait_for_the_whole_list(open_site: Open) -> None:
    async with open_site() as site:
        await site.get()
        file = asyncio.create_task(site.browser.get(f"{site.address}export/json/"))
        numbers = asyncio.create_task(site.get("numbers/"))
        await asyncio.sleep(0.05)
        assert not file.done()
        assert not numbers.done()
        site.server.let(count=PAGES)
        response = await file
        assert "incomplete" not in response.headers["Content-Disposition"]
        assert "12 flows" in await numbers
        assert site.server.asked == [0, 1, 2, 3]


async def test_list_of_before_is_shown_until_the_newer_one_is_there(open_site: Open, settings: Settings) -> None:
    async with open_site() as site:
        await site.get()
        await site.whole()
        site.server.asked.clear()
        await site.post("refresh")
        text = await site.get()
        assert names(text) == list(range(12))
        assert "A newer list is on its way" in text
        assert re.search(r'<progress [^>]*value="3" max="12">', text)
        assert names(await site.whole()) == list(range(12))
        assert site.server.asked == [0, 1, 2, 3]


async def test_progress_without_htmx_is_the_page(open_site: Open) -> None:
    async with open_site() as site:
        response = await site.browser.get(f"{site.address}progress/?q=x")
        assert (response.status_code, response.headers["Location"]) == (302, f"{site.address}?q=x")


# --- Stopped ------------------------------------------------------------------------------------


async def test_stop_keeps_what_came_and_one_goes_on_from_there(
    open_site: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_site() as site:
        await site.get()
        site.server.let()
        await site.until("6 flows so far")
        await site.post("stop")
        assert "That is all" in await site.poll()
        for _ in range(2):
            text = await site.get()
            assert names(text) == list(range(6))
            assert "The list is not whole: 6 flows came" in text
            assert "so far" not in text
        asked = site.server.asked[:]
        monkeypatch.setattr(flow_lists, "FIRST_S", 0)
        await site.post("refresh", go_on="1")
        text = await site.get()
        assert names(text) == list(range(6))
        assert text.count("6 flows so far") == 2
        assert names(await site.whole()) == list(range(12))
        assert site.server.asked[len(asked) :] == [2, 3]


async def test_stop_of_a_newer_list_leaves_the_one_of_before_and_begins_no_other(
    open_site: Open, settings: Settings
) -> None:
    async with open_site() as site:
        await site.get()
        await site.whole()
        settings.FLOWS_FRESH_S = 1e-9
        await site.get()
        settings.FLOWS_FRESH_S = 300
        await site.post("stop")
        settings.FLOWS_FRESH_S = 1e-9
        asked = len(site.server.asked)
        text = await site.get()
        assert names(text) == list(range(12))
        assert "You stopped the reading of a newer list" in text
        assert len(site.server.asked) == asked
        await site.post("refresh")
        assert "so far" in await site.get()


async def test_list_of_before_does_not_wait_for_a_server_that_says_nothing(
    open_site: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_site() as site:
        await site.get()
        await site.whole()
        monkeypatch.setattr(flow_lists, "FIRST_S", 0)
        site.server.holds_first = True
        site.server.asked.clear()
        await site.post("refresh")
        text = await site.get()
        assert names(text) == list(range(12))
        assert "Waiting for the first flows" in text
        await site.server.asked_for(0)
        await site.post("stop")
        assert "That is all" in await site.poll()
        assert names(await site.get()) == list(range(12))


async def test_stop_without_anything_on_its_way_does_nothing(open_site: Open) -> None:
    async with open_site() as site:
        await site.post("stop")
        assert "so far" in await site.get()
        await site.whole()
        await site.post("stop")
        assert "stopped" not in await site.get()


async def test_file_of_a_stopped_list_says_that_it_is_not_whole(open_site: Open) -> None:
    async with open_site() as site:
        await site.get()
        file = asyncio.create_task(site.browser.get(f"{site.address}export/csv/"))
        await asyncio.sleep(0.02)
        await site.post("stop")
        assert "incomplete" in (await file).headers["Content-Disposition"]


# --- Broken off ---------------------------------------------------------------------------------


async def test_failure_in_the_middle_keeps_what_came_with_the_sentence_and_the_reference(
    open_site: Open, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_site() as site:
        await site.get()
        site.server.let(*[FAULT] * 3)
        await site.until("That is all")
        text = await site.get()
        assert names(text) == [0, 1, 2]
        assert "The server broke on this request" in text
        assert "The list is not whole: 3 flows came" in text
        (reference,) = re.findall(r"Reference <code>([0-9A-F]{8})</code>", text)
        assert [record.getMessage() for record in caplog.records if f"reference={reference}" in record.getMessage()]
        monkeypatch.setattr(flow_lists, "FIRST_S", 0)
        await site.post("refresh", go_on="1")
        assert names(await site.whole()) == list(range(12))


async def test_token_that_is_refused_in_the_middle_shows_nothing_any_more(open_site: Open) -> None:
    async with open_site() as site:
        await site.get()
        site.server.let(REFUSAL)
        await site.until("That is all")
        assert await kept.aget(site.token) is None


@pytest.mark.parametrize("end", [services.delete_token, services.disable_token])
async def test_token_that_is_withdrawn_meanwhile_is_sent_no_more(
    open_site: Open, end: Callable[[RapidProToken], object]
) -> None:
    async with open_site() as site:
        file = asyncio.create_task(site.browser.get(f"{site.address}export/csv/"))
        await site.server.asked_for(0, 1)
        await sync_to_async(end)(site.token)
        site.server.let()
        assert (await file).status_code in {404, 423}
        assert site.server.asked == [0, 1]
        assert await kept.aget(site.token) is None


async def test_list_that_takes_too_long_is_a_failure(open_site: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "FETCH_S", 0.05)
    async with open_site() as site:
        await site.get()
        await site.until("That is all")
        text = await site.get()
        assert "The server took too long to answer" in text
        assert names(text) == [0, 1, 2]


async def test_long_list_is_asked_for_in_several_operations(open_site: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "_OPERATION_S", 0)
    async with open_site() as site:
        await site.get()
        assert names(await site.whole()) == list(range(12))
        assert site.server.asked == [0, 1, 2, 3]


async def test_list_that_weighs_too_much_ends_with_what_came_and_is_not_gone_on_with(
    open_site: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two pages come to it, one does not; each is asked for in an operation of its own.
    monkeypatch.setattr(arrivals, "MAX_WEIGHT", 2 * ROWS * 512)
    monkeypatch.setattr(arrivals, "_OPERATION_S", 0)
    async with open_site() as site:
        await site.get()
        text = await site.whole()
        assert names(text) == list(range(6))
        assert "The list is not whole: 6 flows came" in text
        for _ in range(2):
            found = await kept.aget(site.token)
            assert found is not None
            assert (len(found.rows), found.stopped_because, found.cursor) == (6, "size_cap", "2")
            assert site.server.asked == [0, 1]
            await site.post("refresh", go_on="1")


async def test_heaviest_list_ends_when_all_together_weigh_too_much_and_what_came_is_kept(
    open_site: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_site() as site:
        await site.get()
        heavy = arrivals.find(kept.key_of(site.token))
        assert heavy is not None
        with monkeypatch.context() as patch:
            # With two pages it is still the lighter one, with three it is not.
            patch.setattr(arrivals, "MAX_WEIGHT_OF_ALL", 4 * heavy.weight)
            patch.setitem(arrivals._here(), "another", SimpleNamespace(owner_id=0, weight=2.5 * heavy.weight))
            site.server.let(count=PAGES)
            with pytest.raises(BusyException, match="Too much"):
                await heavy.aoutcome()
        found = await kept.aget(site.token)
        assert found is not None
        assert (len(found.rows), found.is_whole) == (9, False)


# --- Who looks, and until when --------------------------------------------------------------------


async def test_list_goes_on_after_the_browser_has_left_but_not_for_ever(
    open_site: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_site() as site:
        await site.get()
        monkeypatch.setattr(marks, "UNATTENDED_S", 0.05)
        arrival = arrivals.find(kept.key_of(site.token))
        assert arrival is not None
        site.server.let()
        async with asyncio.timeout(5):
            await asyncio.wait([arrival.task])
        text = await site.get()
        assert names(text) == list(range(6))
        assert "not whole" in text


async def test_list_whose_first_page_nobody_waits_for_any_more_is_given_up(open_site: Open) -> None:
    async with open_site() as site:
        site.server.holds_first = True
        tabs = [asyncio.create_task(site.get()) for _ in range(2)]
        await site.server.asked_for(0)
        arrival = arrivals.find(kept.key_of(site.token))
        assert arrival is not None
        tabs[0].cancel()
        await asyncio.sleep(0.03)
        assert not arrival.task.done()
        tabs[1].cancel()
        await asyncio.wait([arrival.task, *tabs], timeout=5)
        assert arrival.task.done()
        assert await kept.aget(site.token) is None


async def test_who_waits_for_a_list_that_another_began_holds_no_connection(
    open_site: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed_back, meant = set[int](), set[int]()

    class Connections:
        """Those of the thread that looks at them; a file of SQLite's has no pool to hand them back to."""

        def all(self, *, initialized_only: bool) -> list[object]:
            handed_back.add(threading.get_ident())
            return []

    async with open_site() as site:

        async def join() -> kept.KeptFlows:
            # As under ASGI: a thread for each request.
            with ThreadPoolExecutor(1) as executor:
                async with ThreadSensitiveContext(executor=executor):
                    meant.add(await sync_to_async(threading.get_ident)())
                    return (await flow_lists.alisting(site.token)).flows

        await site.get()
        monkeypatch.setattr(busy, "connections", Connections())
        joined = [asyncio.create_task(join()) for _ in range(3)]
        async with asyncio.timeout(5):
            while not len(meant) == len(handed_back) == 3:  # noqa: ASYNC110  # in threads
                await asyncio.sleep(0.005)
        assert handed_back == meant
        assert not any(task.done() for task in joined)
        site.server.let(count=PAGES)
        assert [len(flows.rows) for flows in await asyncio.gather(*joined)] == [12] * 3


async def test_who_comes_when_the_last_one_has_just_left_gets_the_list(open_site: Open) -> None:
    async with open_site() as site:
        site.server.holds_first = True
        left = arrivals.join(site.token, None, None, seen=False)
        await site.server.asked_for(0)
        left.end()
        begun = arrivals.join(site.token, None, None, seen=False)
        assert arrivals.find(kept.key_of(site.token)) is begun
        # One for the connection that was left.
        site.server.let(count=2)
        assert await begun.abeginning(0) is None
        assert begun.progress() == Progress(3)
        with pytest.raises(BusyException):
            await left.aoutcome()
        assert arrivals.find(kept.key_of(site.token)) is begun


async def test_server_that_stops_keeps_what_came(open_site: Open) -> None:
    async with open_site() as site:
        await site.get()
        site.server.let()
        await site.until("6 flows so far")
        arrival = arrivals.find(kept.key_of(site.token))
        assert arrival is not None
        await arrivals.aclose()
        assert arrival.task.done()
        found = await kept.aget(site.token)
        assert found is not None
        assert (len(found.rows), found.cursor) == (6, "2")
        assert arrivals.find(kept.key_of(site.token)) is None
    # The latest comes first: the connections that it uses are still there.
    assert lifespan._closers.index(arrivals.aclose) > lifespan._closers.index(pools.aclose)


def test_loop_that_ends_keeps_what_came(
    owner_client: Client, token: RapidProToken, respx_mock: respx.MockRouter
) -> None:
    async def answer(request: httpx.Request) -> httpx.Response:
        if request.url.params.get("cursor"):
            await asyncio.Event().wait()
        return httpx.Response(200, json=page_of(flow(1), following=f"{SERVER}/api/v2/flows.json?cursor=b"))

    respx_mock.get(f"{SERVER}/api/v2/flows.json").mock(side_effect=answer)
    # Each request of this browser has a loop of its own.
    assert "1 flow so far" in owner_client.get(f"/tokens/{token.pk}/flows/").content.decode()
    assert "The list is not whole: 1 flow came" in owner_client.get(f"/tokens/{token.pk}/flows/").content.decode()


async def test_process_reads_so_many_lists_and_no_more(open_site: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_site() as site:
        await site.get()
        for name in ("MOST", "MOST_OF_ONE"):
            with monkeypatch.context() as patch:
                patch.setattr(arrivals, name, 1)
                replaced = copy(site.token)
                replaced.sealed = "v1.k1.another"
                with pytest.raises(BusyException):
                    arrivals.join(replaced, None, None, seen=False)
                assert arrivals.join(site.token, None, None, seen=False) is arrivals.find(kept.key_of(site.token))


async def test_fault_of_ours_that_nobody_waits_for_is_logged(
    open_site: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_site() as site:
        await site.get()

        def full(*args: object) -> None:
            raise OSError("no space left")

        monkeypatch.setattr(kept, "made_of", full)
        site.server.let(count=PAGES)
        await site.until("That is all")
        assert "nobody waited for it" in caplog.text


# --- Another process ----------------------------------------------------------------------------


async def test_list_that_another_process_reads_is_shown_and_stopped_from_here(open_site: Open) -> None:
    async with open_site() as site:
        key, rows = kept.key_of(site.token), Rows(Flow(uuid=uuid4(), name=f"Flow {number}") for number in range(5))
        assert await marks.atake_lock(key, "another")
        first = asyncio.create_task(site.get())
        await asyncio.sleep(0.02)
        assert not first.done()
        await kept.aput(site.token, kept.made_of(Rows(rows[:2]), "1"))
        await marks.anote_progress(key, Progress(2))
        assert "2 flows so far" in await first
        # Opened while the other one was already under way: this process begins nothing at all.
        await arrivals.aclose()
        await marks.anote_progress(key, Progress(3))
        assert "3 flows so far" in await site.get()
        assert arrivals.find(key) is None
        assert "3 flows so far" in await site.poll()
        assert (await marks.aread(key)).is_watched
        file = asyncio.create_task(site.browser.get(f"{site.address}export/csv/"))
        stop = asyncio.create_task(site.post("stop"))
        async with asyncio.timeout(5):
            while not (await marks.aread(key)).is_stopped:  # noqa: ASYNC110  # as another process does
                await asyncio.sleep(0.005)
        await kept.aput(site.token, kept.made_of(rows, "1"))
        await marks.aerase(key, "progress", "looked")
        await marks.agive_lock_back(key, "another")
        await stop
        assert "incomplete" in (await file).headers["Content-Disposition"]
        text = await site.get()
        assert len(names(text)) == 5
        assert "not whole: 5 flows came" in text
        assert site.server.asked == []


async def test_stop_in_another_process_is_noticed_here(open_site: Open) -> None:
    async with open_site() as site:
        await site.get()
        key = kept.key_of(site.token)
        assert (await marks.aread(key)).progress == Progress(3)
        await marks.anote_stop(key)
        await site.until("That is all")
        assert names(await site.get()) == [0, 1, 2]
        now = await marks.aread(key)
        assert (now.progress, now.lock, now.is_watched) == (None, "", False)


async def test_lock_lives_as_long_as_the_reading(open_site: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    # Redis knows whole seconds only.
    monkeypatch.setattr(marks, "LOCK_S", 1)
    async with open_site() as site:
        await site.get()
        await asyncio.sleep(1.2)
        assert not await marks.atake_lock(kept.key_of(site.token), "another")


async def test_lock_is_given_back_by_who_is_cancelled_while_taking_it(
    open_site: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, taken, goes_on = type(caches["default"]), threading.Event(), threading.Event()
    add = backend.add

    def slow(self: Any, key: str, *more: Any, **options: Any) -> bool:
        is_added = add(self, key, *more, **options)
        if key.endswith(":lock"):
            taken.set()
            assert goes_on.wait(5)
        return is_added

    monkeypatch.setattr(backend, "add", slow)
    async with open_site() as site:
        arrival = arrivals.join(site.token, None, None, seen=False)
        async with asyncio.timeout(5):
            while not taken.is_set():  # noqa: ASYNC110  # in a thread
                await asyncio.sleep(0.005)
        arrival.end()
        goes_on.set()
        await asyncio.wait([arrival.task])
        assert arrival.task.cancelled()
        assert (await marks.aread(kept.key_of(site.token))).lock == ""


async def test_problem_that_only_another_version_knows_is_none(open_site: Open) -> None:
    async with open_site() as site:
        await site.get()
        await site.whole()
        key = kept.key_of(site.token)
        await cache.aset(f"{key}:problem", "melted 0A1B2C3D")
        assert (await marks.aread(key)).problem is None
        assert names(await site.get()) == list(range(12))


# --- Who may ------------------------------------------------------------------------------------


async def test_other_tenant_sees_and_stops_nothing(open_site: Open, other: User) -> None:
    async with open_site() as site:
        await site.get()
        stranger = AsyncClient()
        await stranger.aforce_login(other)
        answers = [
            await stranger.get(f"{site.address}progress/", headers={"HX-Request": "true"}),
            await stranger.post(f"{site.address}stop/"),
        ]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert [(await AsyncClient().get(f"{site.address}progress/")).status_code] == [302]
        assert (await site.browser.get(f"{site.address}stop/")).status_code == 405
        assert (await site.browser.post(f"{site.address}progress/")).status_code == 405
        assert "3 flows so far" in await site.poll()


async def test_asking_anew_is_limited(open_site: Open, settings: Settings) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "flows_refresh": "2/m/user,60/h/ip"}
    async with open_site() as site:
        answers = [await site.browser.post(f"{site.address}refresh/") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [302, 302, 429]
    assert answers[2].headers["Retry-After"] == "3600"
