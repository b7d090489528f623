"""Every staff page: who gets it, what it shows, and that it shows no more."""

from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.audit.actions import Action
from accounts.audit.models import AuditEntry
from accounts.models import User
from rapidpro_integration import selectors
from rapidpro_integration.health import heartbeat, watching
from rapidpro_integration.models import RapidProToken, Server, ServerHour, TokenCheck, TokenState, WorkerBeat
from rapidpro_integration.servers import Access
from rapidpro_integration.staff.permissions import PERMISSIONS
from tests.conftest import OTHER_SERVER, SECRET, SERVER, TokenMaker, just_proved
from tests.rapidpro_integration.staff.conftest import StaffMaker

# Page: its permission.
PAGES = {
    "/staff/overview/": "staff_overview",
    "/staff/tokens/": "staff_tokens",
    "/staff/tokens.csv": "staff_tokens",
    "/staff/checks/": "staff_tokens",
    "/staff/checks.csv": "staff_tokens",
    "/staff/servers/": "staff_servers",
    "/staff/servers.csv": "staff_servers",
    f"/staff/server/?server={SERVER}": "staff_servers",
    "/staff/workspaces/": "staff_workspaces",
    "/staff/workspaces.csv": "staff_workspaces",
    f"/staff/workspace/?server={SERVER}&workspace=882f1c30-45b7-4fe2-bff8-12c78de3807e": "staff_workspaces",
    "/staff/users/": "staff_users",
    "/staff/users.csv": "staff_users",
    "/staff/work/": "staff_work",
    "/staff/work.csv": "staff_work",
    "/staff/audit/": "staff_audit",
    "/staff/audit.csv": "staff_audit",
}
LISTS = [page for page in PAGES if not page.endswith(".csv")]


def body(response: Any) -> str:
    """Return the text of an answer, streamed or not."""
    if not response.streaming:
        return str(response.content.decode())

    async def all_of_it() -> bytes:
        return b"".join([part async for part in response])

    return async_to_sync(all_of_it)().decode()


@pytest.mark.parametrize("page", PAGES)
def test_superuser_gets_every_page_without_a_secret(boss: Client, facts: RapidProToken, page: str) -> None:
    response = boss.get(page)
    assert response.status_code == 200
    text = body(response)
    for kept in (SECRET, facts.sealed, facts.sealed[-20:], facts.fingerprint):
        assert kept not in text
    if page.endswith(".csv"):
        assert facts.last_four not in text


@pytest.mark.parametrize("page", PAGES)
def test_strangers_sign_in_and_other_people_find_nothing(
    client: Client, facts: RapidProToken, owner: User, page: str
) -> None:
    assert client.get(page).headers["Location"].startswith("/accounts/login/")
    assert just_proved(Client(), owner).get(page).status_code == 404


def test_staff_without_the_permission_are_told_which_one(helper: StaffMaker, facts: RapidProToken) -> None:
    client = helper()
    for page, permission in PAGES.items():
        response = client.get(page)
        assert response.status_code == 403, page
        assert str(PERMISSIONS[permission]) in response.content.decode().replace("&#x27;", "'")
    assert client.get("/staff/").status_code == 403


@pytest.mark.parametrize("permission", sorted(set(PAGES.values())))
def test_one_permission_opens_its_pages_and_no_other(helper: StaffMaker, facts: RapidProToken, permission: str) -> None:
    client = helper(permission)
    assert {page for page in PAGES if client.get(page).status_code == 200} == {
        page for page, needed in PAGES.items() if needed == permission
    }
    assert client.get("/staff/").headers["Location"] == reverse(f"staff:{permission.removeprefix('staff_')}")


def test_every_permission_is_a_row_that_can_be_given(db: None) -> None:
    assert set(Permission.objects.filter(codename__startswith="staff_").values_list("codename", flat=True)) == set(
        PERMISSIONS
    )


def test_a_group_gives_permissions_too(helper: StaffMaker, db: None) -> None:
    from django.contrib.auth.models import Group

    client = helper()
    group = Group.objects.create(name="watchers")
    group.permissions.set(Permission.objects.filter(codename="staff_servers"))
    User.objects.get(username="helper").groups.add(group)
    assert client.get("/staff/servers/").status_code == 200


def test_last_four_are_for_those_with_the_permission_alone(helper: StaffMaker, facts: RapidProToken) -> None:
    client = helper("staff_tokens")
    assert f"…{facts.last_four}" not in client.get("/staff/tokens/").content.decode()
    user = User.objects.get(username="helper")
    user.user_permissions.add(Permission.objects.get(codename="staff_last_four"))
    assert f"…{facts.last_four}" in client.get("/staff/tokens/").content.decode()


# --- Queries: as many for a page of fifty as for one row ------------------------------------------


@pytest.mark.parametrize("page", LISTS)
def test_number_of_queries_does_not_depend_on_rows(
    boss: Client, facts: RapidProToken, make_token: TokenMaker, page: str
) -> None:
    # The first look is written down, and the session is noted.
    boss.get(page)
    with CaptureQueriesContext(
        connection,
    ) as few:
        boss.get(page)
    for number in range(8):
        person = User.objects.create_user(f"p{number}", f"p{number}@example.org", "a long enough passphrase")
        more = make_token(person, secret=f"{number:040x}", server=f"https://s{number}.example", state="rejected")
        TokenCheck.objects.create(
            token=more, started_on=timezone.now(), state="rejected", trigger="due", server=more.server
        )
    with CaptureQueriesContext(connection) as many:
        boss.get(page)
    assert len(many) == len(few)
    assert len(many) <= 25


# --- Filters -------------------------------------------------------------------------------------


def labels(client: Client, query: str) -> set[str]:
    """Return the labels of the tokens that fit."""
    page = client.get(f"/staff/tokens/?{query}").context["page"]
    return {token.label for token in page}


def test_filters_of_tokens(boss: Client, owner: User, other: User, make_token: TokenMaker) -> None:
    old = timezone.now() - timedelta(days=40)
    make_token(owner, label="Fine", last_used_on=timezone.now())
    make_token(other, label="Same workspace", secret="1" * 40, last_used_on=old)
    make_token(
        owner, label="Broken", secret="2" * 40, server=OTHER_SERVER, state="rejected", workspace_uuid=None,
        last_used_on=timezone.now(),
    )  # fmt: skip
    make_token(
        other, label="New", secret="3" * 40, server=OTHER_SERVER, state="unchecked", checked_on=None,
        workspace_uuid=None, last_used_on=timezone.now(), rotate_on=old,
    )  # fmt: skip
    assert labels(boss, "state=rejected") == labels(boss, "broken=on") == {"Broken"}
    assert labels(boss, f"server={OTHER_SERVER}") == {"Broken", "New"}
    assert labels(boss, "shared=on") == {"Fine", "Same workspace"}
    assert labels(boss, "idle=30") == {"Same workspace"}
    assert labels(boss, "never=on") == labels(boss, "rotate=on") == {"New"}
    assert labels(boss, f"owner={other.pk}") == {"Same workspace", "New"}
    assert labels(boss, "q=brok") == {"Broken"}
    assert labels(boss, "workspace=882f1c30-45b7-4fe2-bff8-12c78de3807e") == {"Fine", "Same workspace"}


@pytest.mark.parametrize(
    "query",
    ["state=nonsense", "idle=-1", "idle=x", "workspace=x", "owner=x", "owner=99999999999999999999", "q=" + "x" * 300],
)
def test_senseless_filters_find_nothing_and_break_nothing(boss: Client, token: RapidProToken, query: str) -> None:
    assert labels(boss, query) == set()


@pytest.mark.parametrize("page", LISTS)
def test_senseless_addresses_break_nothing(boss: Client, facts: RapidProToken, page: str) -> None:
    sign = "&" if "?" in page else "?"
    for query in (
        "page=x",
        "page=-1",
        "page=999",
        "sort=sealed",
        "sort=owner__password",
        "range=99y",
        "q=%00",
        "server=%00",
    ):
        assert boss.get(f"{page}{sign}{query}").status_code in {200, 404}, query


def test_order_stands_in_the_address(boss: Client, owner: User, make_token: TokenMaker) -> None:
    make_token(owner, label="b")
    make_token(owner, label="A", secret="1" * 40)
    rows = [token.label for token in boss.get("/staff/tokens/?sort=label").context["page"]]
    assert rows == ["A", "b"]
    assert [token.label for token in boss.get("/staff/tokens/?sort=-label").context["page"]] == ["b", "A"]


def test_numbers_of_the_overview_lead_to_as_many_rows(boss: Client, facts: RapidProToken, other: User) -> None:
    tiles = boss.get("/staff/overview/").context["overview"].tiles
    assert len(tiles) == 8
    for tile in tiles:
        page = boss.get(tile.address).context["page"]
        assert page.paginator.count == tile.number, tile.title


def test_overview_says_what_needs_attention(boss: Client, facts: RapidProToken) -> None:
    page = boss.get("/staff/overview/").content.decode()
    assert "rapidpro.example: Shaky." in page
    assert "1 workspace has nearly used up its requests." in page


def test_servers_are_judged_by_what_their_requests_met(boss: Client, facts: RapidProToken) -> None:
    line = boss.get(f"/staff/server/?server={SERVER}").context["line"]
    assert (line.condition, line.numbers.requests, line.numbers.failed) == ("shaky", 40, 8)
    assert (line.numbers.median_ms, line.tokens) == (400, 1)
    assert boss.get("/staff/server/?server=https://unknown.example").status_code == 404


def test_certificate_that_ends_soon_needs_attention(boss: Client, facts: RapidProToken) -> None:
    hours, now = ServerHour.objects.filter(server=SERVER), timezone.now()
    hours.update(certificate_until=now + timedelta(days=15))
    assert not boss.get(f"/staff/server/?server={SERVER}").context["line"].certificate_ends
    hours.update(certificate_until=now + timedelta(days=13))
    assert boss.get(f"/staff/server/?server={SERVER}").context["line"].certificate_ends
    assert "The certificate of 1 server ends within two weeks." in boss.get("/staff/overview/").content.decode()


def test_workspaces_show_what_is_used_and_by_whom(boss: Client, facts: RapidProToken) -> None:
    line = boss.get("/staff/workspaces/").context["page"].object_list[0]
    assert (line.used, line.left, line.name) == (3_400, 200, "Nutrition")
    assert [drawer.token.pk for drawer in line.drawers] == [facts.pk]


def test_csv_is_harmless_in_a_spreadsheet(boss: Client, owner: User, make_token: TokenMaker) -> None:
    make_token(owner, label="=cmd|' /C calc'!A0")
    text = body(boss.get("/staff/tokens.csv"))
    assert "\"'=cmd|' /C calc'!A0\"" in text


def test_looks_are_written_down_once_in_ten_minutes(boss: Client, facts: RapidProToken) -> None:
    for _ in range(3):
        boss.get("/staff/tokens/?state=working")
    entries = AuditEntry.objects.filter(action=Action.FACTS_VIEWED)
    assert [(entry.details["what"], entry.details["filters"]) for entry in entries] == [("rapidprotoken", ["state"])]


# --- Servers and people --------------------------------------------------------------------------


def test_pausing_a_server_without_a_row_stops_its_tokens_and_ends_as_it_was(boss: Client, token: RapidProToken) -> None:
    Server.objects.all().delete()
    boss.post("/staff/server/pause/", {"server": SERVER, "paused": "yes"})
    assert Server.objects.get(origin=SERVER).paused
    assert "Locked" in boss.get("/staff/tokens/").content.decode()
    boss.post("/staff/server/pause/", {"server": SERVER, "paused": "no"})
    assert not Server.objects.get(origin=SERVER).paused
    assert boss.get("/staff/tokens/").context["page"][0].shown_state == TokenState.WORKING


def test_a_private_server_without_a_row_is_private_again_after_a_pause(
    boss: Client, owner: User, token: RapidProToken, settings: Any
) -> None:
    settings.RAPIDPRO_PRIVATE_ORIGINS = [SERVER]
    Server.objects.all().delete()
    assert selectors.tokens_of(owner.pk).get().access == Access.PRIVATE
    for paused in ("yes", "no"):
        boss.post("/staff/server/pause/", {"server": SERVER, "paused": paused})
    assert Server.objects.get(origin=SERVER).allow_private
    assert selectors.tokens_of(owner.pk).get().access == Access.PRIVATE


def test_work_lists_processes_and_no_note_of_the_schedulers(boss: Client) -> None:
    heartbeat.beat("laptop:1")
    assert watching._is_hour_over(timezone.now())
    assert WorkerBeat.objects.count() == 2
    assert [worker.worker_id for worker, _ in boss.get("/staff/work/").context["workers"]] == ["laptop:1"]


def test_deactivating_ends_sessions_at_once_and_can_be_taken_back(
    boss: Client, owner: User, token: RapidProToken
) -> None:
    theirs = just_proved(Client(), owner)
    assert theirs.get("/tokens/").status_code == 200
    assert "Yes, deactivate" in boss.get(f"/staff/users/{owner.pk}/active/").content.decode()
    boss.post(f"/staff/users/{owner.pk}/active/", {"active": "no"})
    owner.refresh_from_db()
    assert not owner.is_active
    assert theirs.get("/tokens/").status_code == 302
    boss.post(f"/staff/users/{owner.pk}/active/", {"active": "yes"})
    owner.refresh_from_db()
    assert owner.is_active
    said = AuditEntry.objects.filter(action=Action.PERMISSIONS_CHANGED, owner_id=owner.pk)
    assert [entry.details["is_active"] for entry in said] == [True, False]


def test_nobody_shuts_out_themselves_and_staff_shut_out_no_staff(boss: Client, helper: StaffMaker, staff: User) -> None:
    client = helper("staff_users", "staff_user_actions")
    assert client.post(f"/staff/users/{staff.pk}/active/", {"active": "no"}).status_code == 404
    assert boss.post(f"/staff/users/{staff.pk}/active/", {"active": "no"}).status_code == 404
    staff.refresh_from_db()
    assert staff.is_active


def test_an_old_proof_changes_nobody(staff: User, owner: User) -> None:
    client = just_proved(Client(), staff, seconds_ago=3_600)
    client.post(f"/staff/users/{owner.pk}/active/", {"active": "no"})
    owner.refresh_from_db()
    assert owner.is_active
