"""Which servers a person's tokens may go to: what the settings, the rows and the approvals say together."""

import itertools
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass

import httpx
import pytest
import respx
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.test import Client, override_settings
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from rapidpro_integration import selectors, servers
from rapidpro_integration.apps import _seed_servers
from rapidpro_integration.client.origins import OriginError
from rapidpro_integration.interface import RapidProInterface
from rapidpro_integration.models import RapidProToken, Server, TokenState
from rapidpro_integration.servers import Access
from tests.conftest import OTHER_SERVER, SERVER, TokenMaker
from tests.rapidpro_integration.test_token_views import Answer

WANTED = "https://wanted.example"


# --- Settings -----------------------------------------------------------------------------------


@override_settings(RAPIDPRO_SERVERS=["https://B.example", "https://a.example", "https://b.example:443"])
def test_named_servers_keep_their_order_and_stand_there_once() -> None:
    assert servers.named() == ("https://b.example", "https://a.example")


@pytest.mark.parametrize("setting", ["RAPIDPRO_SERVERS", "RAPIDPRO_PRIVATE_ORIGINS"])
@pytest.mark.parametrize(
    "bad", ["http://127.0.0.1:9000", "https://127.1", "https://user:hunter2@a.example", "a.example"]
)
def test_setting_that_names_no_server_is_told_by_its_entry_and_not_repeated(
    settings: Settings, setting: str, bad: str
) -> None:
    setattr(settings, setting, ["https://a.example", bad])
    with pytest.raises(OriginError, match=f"{setting}, entry 2") as caught:
        (servers.named if setting == "RAPIDPRO_SERVERS" else servers.private_origins)()
    assert "hunter2" not in str(caught.value)


def test_sandbox_is_a_private_origin_of_the_local_demo(settings: Settings) -> None:
    settings.SANDBOX_ORIGIN = "http://127.0.0.1:9000"
    settings.RAPIDPRO_SERVERS = [settings.SANDBOX_ORIGIN]
    assert servers.named() == servers.private_origins() == ("http://127.0.0.1:9000",)


@pytest.mark.parametrize("text", ["https://10.0.0.5", "https://[fd00::1]", "https://rapidpro", "http://127.0.0.1:9000"])
def test_unusual_address_is_acceptable_only_if_a_setting_names_it(settings: Settings, text: str) -> None:
    with pytest.raises(OriginError):
        servers.acceptable(text)
    settings.SANDBOX_ORIGIN, settings.RAPIDPRO_PRIVATE_ORIGINS = "http://127.0.0.1:9000", [text]
    assert servers.acceptable(text) == text


def test_port_is_acceptable_for_a_server_that_is_asked_for() -> None:
    assert servers.acceptable("https://Wanted.example:8443") == "https://wanted.example:8443"


# --- The decision -------------------------------------------------------------------------------


@dataclass
class Case:
    """What can bear on one server: the columns of its row, if it has one, and three settings."""

    row: bool
    open_to_all: bool
    mine: bool
    paused: bool
    approved: bool
    allow_private: bool
    named: bool
    private: bool
    any_public: bool

    def expected(self) -> Access:
        listed = Access.PRIVATE if self.private and (self.allow_private or not self.row) else Access.LISTED
        if self.row and (self.paused or self.approved or self.named):
            return listed if (self.open_to_all or self.mine) and not self.paused else Access.CLOSED
        if self.named:
            return listed
        return Access.PUBLIC if self.any_public else Access.CLOSED


def test_rows_settings_and_approvals_decide_alike_for_a_token_and_for_the_list(
    owner: User, other: User, make_token: TokenMaker, settings: Settings
) -> None:
    token = make_token(owner, server=WANTED)
    Server.objects.all().delete()
    seen = set()
    for bits in itertools.product([False, True], repeat=9):
        case = Case(*bits)
        if not case.row and any(bits[1:6]):
            continue
        settings.RAPIDPRO_SERVERS = [OTHER_SERVER, *([WANTED] if case.named else [])]
        settings.RAPIDPRO_PRIVATE_ORIGINS = [WANTED] if case.private else []
        settings.RAPIDPRO_ANY_PUBLIC_SERVER = case.any_public
        if case.row:
            row = Server.objects.create(
                name="Wanted",
                origin=WANTED,
                open_to_all=case.open_to_all,
                paused=case.paused,
                allow_private=case.allow_private,
                approved_on=timezone.now() if case.approved else None,
            )
            row.users.set([owner, other] if case.mine else [other])
        found = selectors.reach_of(owner.pk).find(WANTED)
        decisions = {Access(selectors.tokens_of(owner.pk).get(pk=token.pk).access), found.access if found else "closed"}
        assert decisions == {case.expected()}, case
        seen |= decisions
        Server.objects.all().delete()
    assert seen == set(Access)


@pytest.mark.parametrize(
    "server", ["https://10.0.0.5", "https://wanted.example:8443", "https://rapidpro", "http://127.0.0.1:9000"]
)
def test_any_public_server_means_a_name_on_https_and_its_port(
    owner: User, make_token: TokenMaker, settings: Settings, server: str
) -> None:
    settings.RAPIDPRO_ANY_PUBLIC_SERVER = True
    assert make_token(owner, server="https://wanted.example").access == Access.PUBLIC
    assert make_token(owner, server=server).access == Access.CLOSED
    assert selectors.reach_of(owner.pk).find(server) is None


def test_list_shows_the_settings_servers_first_and_the_others_by_name(owner: User) -> None:
    for name in ("zeta", "Alpha"):
        Server.objects.create(
            name=name, origin=f"https://{name.lower()}.example", open_to_all=True, approved_on=timezone.now()
        )
    found = selectors.reach_of(owner.pk).servers
    assert [server.origin for server in found] == [
        SERVER,
        OTHER_SERVER,
        "https://alpha.example",
        "https://zeta.example",
    ]
    assert [server.title for server in found][1:3] == ["other.example", "Alpha (alpha.example)"]


def test_decision_is_part_of_the_rows_own_query(
    token: RapidProToken, owner: User, django_assert_num_queries: Callable[..., object]
) -> None:
    with django_assert_num_queries(1):  # type: ignore[attr-defined]
        assert [row.shown_state for row in selectors.tokens_of(owner.pk)] == [TokenState.WORKING]
    with django_assert_num_queries(1):  # type: ignore[attr-defined]
        selectors.reach_of(owner.pk)


def test_row_that_was_read_without_the_decision_is_locked(token: RapidProToken) -> None:
    bare = RapidProToken.objects.get()
    assert bare.shown_state == TokenState.LOCKED
    with pytest.raises(RapidProInterface.TokenLockedException):
        RapidProInterface.for_token(bare)


# --- What it stops ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change", [{"paused": True}, {"open_to_all": False}, {"open_to_all": False, "allow_private": True}], ids=str
)
def test_token_whose_server_is_closed_to_its_owner_is_locked_and_never_sent(
    owner_client: Client, token: RapidProToken, respx_mock: respx.MockRouter, change: dict[str, bool]
) -> None:
    Server.objects.filter(origin=SERVER).update(**change)
    for page in ("", "flows/"):
        assert "its server is no longer on the list" in owner_client.get(f"/tokens/{token.pk}/{page}").content.decode()
    owner_client.post(f"/tokens/{token.pk}/check/")
    add = owner_client.post("/tokens/add/", {"label": "x", "server": SERVER, "token": "0" * 40, "force": "on"})
    assert "errorlist" in add.content.decode()
    assert RapidProToken.objects.count() == 1
    assert not respx_mock.calls


def test_server_that_is_closed_to_a_person_answers_as_one_that_nobody_knows(owner_client: Client) -> None:
    Server.objects.create(name="Theirs", origin=WANTED, approved_on=timezone.now())
    pages = [
        owner_client.post("/tokens/add/", {"label": "x", "server": server, "token": "0" * 40}).content.decode()
        for server in (WANTED, "https://nobody.example")
    ]
    first, second = (page.replace(WANTED, "").replace("https://nobody.example", "") for page in pages)
    assert "errorlist" in first
    assert without_csrf(first) == without_csrf(second)
    assert "Theirs" not in first


def without_csrf(page: str) -> str:
    return "".join(line for line in page.splitlines() if "csrfmiddlewaretoken" not in line)


FAILURES = [
    httpx.ConnectError("refused"),
    httpx.ConnectTimeout("filtered"),
    httpx.ReadTimeout("silent"),
    httpx.ReadError("reset"),
    ssl.SSLCertVerificationError("wrong name"),
]


def test_refused_filtered_and_closed_look_the_same_for_a_server_that_is_not_on_the_list(
    owner_client: Client, owner: User, make_token: TokenMaker, settings: Settings, rapidpro: Answer
) -> None:
    settings.RAPIDPRO_ANY_PUBLIC_SERVER = True
    token = make_token(owner, server=WANTED)
    data = {"label": "x", "server": "", "other_server": WANTED, "token": "0" * 40}
    pages = []
    for failure in FAILURES:
        for path in ("workspace.json", "flows.json"):
            rapidpro(path, server=WANTED, error=failure)
        token.checks.all().delete()  # the page shows those before it, too
        checked = owner_client.post(f"/tokens/{token.pk}/check/", follow=True)
        assert token.checks.get().kind == "unreachable"
        answers = [owner_client.post("/tokens/add/", data), owner_client.get(f"/tokens/{token.pk}/flows/"), checked]
        pages.append([(answer.status_code, plain(answer.content.decode())) for answer in answers])
    assert pages[0][0][1].count("The server cannot be reached") == 1
    assert all(page == pages[0] for page in pages)


def test_server_on_the_list_says_what_is_wrong_with_it(
    owner_client: Client, token: RapidProToken, rapidpro: Answer
) -> None:
    pages = set()
    for failure in FAILURES:
        rapidpro("flows.json", error=failure)
        pages.add(plain(owner_client.get(f"/tokens/{token.pk}/flows/").content.decode()))
    assert len(pages) > 1


def plain(page: str) -> str:
    """Return the page without what differs from one answer to the next: references, times and CSRF tokens."""
    page = re.sub(r"<code>[0-9A-F]{8}</code>|\d+ ms|<time.*?</time>", "", page)
    return without_csrf(page)


# --- Rows ---------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_each_named_server_has_a_row_and_a_row_that_is_there_stays(settings: Settings) -> None:
    assert set(Server.objects.values_list("origin", "open_to_all")) == {(SERVER, True), (OTHER_SERVER, True)}
    Server.objects.filter(origin=SERVER).update(paused=True, name="Ours")
    settings.RAPIDPRO_SERVERS = [SERVER, WANTED]
    settings.RAPIDPRO_PRIVATE_ORIGINS = [WANTED]
    call_command("migrate", verbosity=0)
    assert set(Server.objects.values_list("origin", "name", "paused", "allow_private")) == {
        (SERVER, "Ours", True, False),
        (OTHER_SERVER, "other.example", False, False),
        (WANTED, "wanted.example", False, True),
    }


@pytest.mark.django_db
def test_server_that_leaves_the_setting_is_closed_unless_it_was_approved(owner: User, settings: Settings) -> None:
    Server.objects.filter(origin=OTHER_SERVER).update(approved_on=timezone.now())
    settings.RAPIDPRO_SERVERS = [WANTED]
    assert [server.origin for server in selectors.reach_of(owner.pk).servers] == [WANTED, OTHER_SERVER]


@pytest.mark.django_db
def test_migration_backwards_to_where_there_were_no_rows_is_no_error() -> None:
    before = MigrationLoader(connection).project_state(("rapidpro_integration", "0001_initial")).apps
    with pytest.raises(LookupError):
        before.get_model("rapidpro_integration", "Server")
    Server.objects.all().delete()
    _seed_servers(apps=before, using="default")
    assert not Server.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("origin", ["http://a.example", "https://a.example/x", "", SERVER])
def test_database_refuses_rows_that_are_no_server_or_a_second_one(origin: str) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Server.objects.create(name="x", origin=origin)


def test_address_is_brought_into_its_form_or_refused() -> None:
    server = Server(name="x", origin="https://Wanted.example:443/")
    server.clean()
    assert server.origin == WANTED
    for bad in ("https://10.0.0.5", "http://a.example", "https://user:hunter2@a.example"):
        with pytest.raises(ValidationError) as caught:
            Server(name="x", origin=bad).clean()
        assert "hunter2" not in str(caught.value)
