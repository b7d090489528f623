"""Whose requests wait after a 429: those of the workspace and scope, in this process and in all others."""

import asyncio

import httpx
import pytest
import respx

from rapidpro_integration.client import RapidProAPI, transport
from rapidpro_integration.client.errors import AbstractRequestException, Kind
from rapidpro_integration.client.quota import UNNAMED_WAIT_S, Quota, scope_of
from rapidpro_integration.interface import RapidProInterface
from tests.clock import Clock
from tests.conftest import SECRET, SERVER

FLOWS, CONTACTS = f"{SERVER}/api/v2/flows.json", f"{SERVER}/api/v2/contacts.json"
NUTRITION, SCHOOLS = "882f1c30-45b7-4fe2-bff8-12c78de3807e", "5d6e7f80-0000-4fe2-bff8-12c78de3807e"


class Shared:
    """A store in memory, as two processes would see it, that counts what it is asked."""

    def __init__(self) -> None:
        self.waits: dict[str, float] = {}
        self.asked = 0

    async def aget(self, key: str) -> float | None:
        self.asked += 1
        return self.waits.get(key)

    async def aset(self, key: str, wait_s: float) -> None:
        self.waits[key] = wait_s


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("/api/v2/flows.json", "v2"),
        ("/api/v2/workspace.json", "v2"),
        ("/api/v2/contacts.json", "v2.contacts"),
        ("/api/v2/messages.json", "v2.messages"),
        ("/api/v2/runs.json", "v2.runs"),
    ],
)
def test_scope_is_the_server_s_own(path: str, scope: str) -> None:
    assert scope_of(path) == scope


async def test_wait_runs_down_and_ends() -> None:
    clock = Clock()
    quota = Quota(clock)
    await quota.anote("key", 60)
    assert await quota.await_s("key") == 60
    assert await quota.await_s("other key") == 0
    clock.now += 59.5
    assert await quota.await_s("key") == 0.5
    clock.now += 0.5
    assert await quota.await_s("key") == 0


@pytest.mark.parametrize(("named", "wait_s"), [(None, UNNAMED_WAIT_S), (0, 0), (1, 1), (86_400, 86_400)])
async def test_wait_that_is_not_named_or_is_none(named: int | None, wait_s: float) -> None:
    quota = Quota(Clock())
    await quota.anote("key", named)
    assert await quota.await_s("key") == wait_s


async def test_wait_is_learnt_from_another_process() -> None:
    clock, store = Clock(), Shared()
    here, there = Quota(clock), Quota(clock)
    here.store = there.store = store
    await here.anote("key", 30)
    assert await there.await_s("key") == 30
    clock.now += 10
    assert await there.await_s("key") == 20


async def test_store_is_asked_once_a_second_and_not_at_all_during_a_known_wait() -> None:
    clock, quota = Clock(), Quota(Clock())
    quota = Quota(clock)
    quota.store = store = Shared()
    for _ in range(100):
        await quota.await_s("key")
    assert store.asked == 1
    clock.now += 1.01
    await quota.await_s("key")
    assert store.asked == 2
    await quota.anote("key", 60)
    clock.now += 30
    await quota.await_s("key")
    assert store.asked == 2


async def test_key_that_means_nothing_to_other_processes_is_not_shared() -> None:
    quota = Quota(Clock())
    quota.store = store = Shared()
    await quota.anote("mark of a token", 60, shared=False)
    assert await quota.await_s("mark of a token", shared=False) == 60
    assert await quota.await_s("mark of another", shared=False) == 0
    assert (store.waits, store.asked) == ({}, 0)


async def test_memory_of_many_workspaces_is_bounded() -> None:
    clock = Clock()
    quota = Quota(clock)
    quota.store = store = Shared()
    for number in range(20_500):
        store.waits = {f"key {number}": 1}
        await quota.await_s(f"key {number}")
        clock.now += 0.5
    assert len(quota) <= 20_001


# --- With requests ------------------------------------------------------------------------------


def limited(retry_after: str | None = "60", workspace: str = "") -> httpx.Response:
    headers = {"Retry-After": retry_after} if retry_after else {}
    return httpx.Response(429, headers=headers | ({"X-Temba-Workspace": workspace} if workspace else {}))


async def kind_of(interface: RapidProInterface, name: str = "aget_flows") -> Kind | None:
    try:
        await getattr(interface, name)()
    except AbstractRequestException as error:
        return error.kind
    return None


async def test_every_token_of_the_workspace_waits_and_other_workspaces_go_on(respx_mock: respx.MockRouter) -> None:
    route = respx_mock.get(FLOWS)
    route.side_effect = [limited(), *[httpx.Response(200, json={"results": []})] * 5]
    assert await kind_of(RapidProInterface(SECRET, SERVER, workspace=NUTRITION)) is Kind.RATE_LIMITED
    assert await kind_of(RapidProInterface("another-token", SERVER, workspace=NUTRITION)) is Kind.RATE_LIMITED
    assert route.call_count == 1
    assert await kind_of(RapidProInterface("another-token", SERVER, workspace=SCHOOLS)) is None
    assert await kind_of(RapidProInterface("a-third-token", SERVER)) is None
    assert route.call_count == 3


async def test_scope_that_is_used_up_leaves_the_others(respx_mock: respx.MockRouter) -> None:
    respx_mock.get(CONTACTS).mock(side_effect=[limited()])
    respx_mock.get(FLOWS).respond(json={"results": []})
    interface = RapidProInterface(SECRET, SERVER, workspace=NUTRITION)
    assert await kind_of(interface, "aget_contacts") is Kind.RATE_LIMITED
    assert await kind_of(interface, "aget_contacts") is Kind.RATE_LIMITED
    assert await kind_of(interface) is None


async def test_workspace_is_learnt_from_the_answer_that_refuses(respx_mock: respx.MockRouter) -> None:
    route = respx_mock.get(FLOWS).mock(side_effect=[limited(workspace=NUTRITION)])
    assert await kind_of(RapidProInterface(SECRET, SERVER)) is Kind.RATE_LIMITED
    assert await kind_of(RapidProInterface("another-token", SERVER, workspace=NUTRITION)) is Kind.RATE_LIMITED
    assert route.call_count == 1


async def test_same_workspace_on_another_server_goes_on(respx_mock: respx.MockRouter) -> None:
    respx_mock.get(FLOWS).mock(side_effect=[limited()])
    respx_mock.get("https://other.example/api/v2/flows.json").respond(json={"results": []})
    assert await kind_of(RapidProInterface(SECRET, SERVER, workspace=NUTRITION)) is Kind.RATE_LIMITED
    assert await kind_of(RapidProInterface(SECRET, "https://other.example", workspace=NUTRITION)) is None


async def test_nobody_sleeps_through_a_long_wait(respx_mock: respx.MockRouter) -> None:
    respx_mock.get(FLOWS).mock(side_effect=[limited("3600")])
    async with asyncio.timeout(1):
        with pytest.raises(AbstractRequestException) as caught:
            await RapidProInterface(SECRET, SERVER, workspace=NUTRITION).aget_flows()
    assert caught.value.retry_after_s == 3600


async def test_token_whose_workspace_is_unknown_is_never_in_the_store(
    respx_mock: respx.MockRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Shared()
    monkeypatch.setattr(transport.quota, "store", store)
    respx_mock.get(FLOWS).mock(side_effect=[limited(), limited()])
    await kind_of(RapidProInterface(SECRET, SERVER))
    assert (store.waits, store.asked) == ({}, 0)
    await kind_of(RapidProInterface("another-token", SERVER, workspace=NUTRITION))
    assert list(store.waits) == [f"{SERVER} {NUTRITION} v2"]
    assert RapidProAPI("another-token").credential.mark() not in "".join(store.waits)
