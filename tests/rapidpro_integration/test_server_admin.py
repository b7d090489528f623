"""Administrators approve, refuse, pause and add servers; each of it is recorded."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.core import mail
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from rapidpro_integration import selectors, server_services
from rapidpro_integration.models import RequestState, Server, ServerRequest
from tests.conftest import SERVER, just_proved

SERVERS = "/admin/rapidpro_integration/server/"
REQUESTS = "/admin/rapidpro_integration/serverrequest/"
WANTED = "https://wanted.example"


@pytest.fixture
def admin(client: Client, staff: User) -> Client:
    return just_proved(client, staff)


@pytest.fixture
def wish(owner: User) -> ServerRequest:
    return ServerRequest.objects.create(person=owner, name="Ministry", origin=WANTED, reason="Our <b>own</b>")


def act(admin: Client, address: str, action: str, *rows: Server | ServerRequest, **more: str) -> str:
    data = {"action": action, "_selected_action": [str(row.pk) for row in rows]} | more
    return admin.post(address, data, follow=True).content.decode()


def origins_of(person: User) -> set[str]:
    return {server.origin for server in selectors.reach_of(person.pk).servers}


# --- Wishes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["approve", "refuse"])
def test_decision_is_asked_for_twice(admin: Client, wish: ServerRequest, action: str) -> None:
    page = act(admin, REQUESTS, action, wish)
    wish.refresh_from_db()
    assert wish.state == RequestState.WAITING
    assert WANTED in page
    assert "Our &lt;b&gt;own&lt;/b&gt;" in page
    assert 'name="confirmed"' in page
    assert f'name="action" value="{action}"' in page
    assert not mail.outbox


def test_approved_server_is_open_to_the_person_who_asked_and_to_nobody_else(
    admin: Client, staff: User, owner: User, other: User, wish: ServerRequest
) -> None:
    assert "1 request decided" in act(admin, REQUESTS, "approve", wish, confirmed="yes", answer="Welcome")
    wish.refresh_from_db()
    server = Server.objects.get(origin=WANTED)
    assert (wish.state, wish.decided_by, wish.answer) == (RequestState.APPROVED, staff, "Welcome")
    assert wish.decided_on is not None
    assert (server.name, server.approved_by, server.open_to_all) == ("Ministry", staff, False)
    assert server.approved_on is not None
    assert WANTED in origins_of(owner)
    assert WANTED not in origins_of(other)
    assert LogEntry.objects.get().change_message == "Approved."
    assert [message.to for message in mail.outbox] == [["owner@example.org"]]
    for words in ("You can use the RapidPro server wanted.example", "Welcome", "http://testserver/tokens/servers/"):
        assert words in str(mail.outbox[0].body)


def test_refused_server_stays_closed_and_the_person_is_told(admin: Client, owner: User, wish: ServerRequest) -> None:
    act(admin, REQUESTS, "refuse", wish, confirmed="yes")
    wish.refresh_from_db()
    assert wish.state == RequestState.REFUSED
    assert not Server.objects.filter(origin=WANTED).exists()
    assert WANTED not in origins_of(owner)
    assert "was not approved" in str(mail.outbox[0].body)


def test_no_mail_goes_to_a_closed_account(admin: Client, owner: User, wish: ServerRequest) -> None:
    owner.is_active = False
    owner.save()
    act(admin, REQUESTS, "refuse", wish, confirmed="yes")
    assert not mail.outbox


def test_decided_wish_is_not_decided_again(admin: Client, staff: User, owner: User, wish: ServerRequest) -> None:
    act(admin, REQUESTS, "refuse", wish, confirmed="yes")
    assert "0 requests decided" in act(admin, REQUESTS, "approve", wish, confirmed="yes")
    assert not server_services.decide(wish, staff, RequestState.APPROVED)
    assert WANTED not in origins_of(owner)
    assert len(mail.outbox) == 1


def test_second_approval_opens_the_server_to_a_second_person(
    admin: Client, owner: User, other: User, wish: ServerRequest
) -> None:
    another = ServerRequest.objects.create(person=other, name="The same", origin=WANTED, reason="x")
    assert "2 requests decided" in act(admin, REQUESTS, "approve", wish, another, confirmed="yes")
    assert WANTED in origins_of(owner) & origins_of(other)
    assert Server.objects.filter(origin=WANTED).count() == 1


def test_paused_server_is_not_opened_by_an_approval(admin: Client, owner: User, wish: ServerRequest) -> None:
    Server.objects.create(name="x", origin=WANTED, approved_on=timezone.now(), paused=True)
    assert "end the pause first" in act(admin, REQUESTS, "approve", wish, confirmed="yes")
    wish.refresh_from_db()
    assert wish.state == RequestState.WAITING
    assert WANTED not in origins_of(owner)
    assert not mail.outbox


def test_approval_for_one_person_does_not_open_what_the_setting_had_open_to_all(
    admin: Client, owner: User, other: User, wish: ServerRequest
) -> None:
    Server.objects.create(name="Once named", origin=WANTED, open_to_all=True)
    act(admin, REQUESTS, "approve", wish, confirmed="yes")
    assert WANTED in origins_of(owner)
    assert WANTED not in origins_of(other)


def test_wishes_cannot_be_added_nor_changed_by_hand(admin: Client, wish: ServerRequest) -> None:
    assert admin.get(f"{REQUESTS}add/").status_code == 403
    admin.post(f"{REQUESTS}{wish.pk}/change/", {"state": "approved", "origin": "https://evil.example"})
    wish.refresh_from_db()
    assert (wish.state, wish.origin) == (RequestState.WAITING, WANTED)


@pytest.mark.parametrize("permission", ["view_serverrequest", "view_server", "change_server"])
def test_staff_without_the_permission_decide_nothing(
    client: Client, other: User, wish: ServerRequest, permission: str
) -> None:
    other.is_staff = True
    other.save()
    other.user_permissions.add(Permission.objects.get(codename=permission))
    client.force_login(other)
    act(client, REQUESTS, "approve", wish, confirmed="yes")
    wish.refresh_from_db()
    assert wish.state == RequestState.WAITING


# --- Servers ------------------------------------------------------------------------------------


def form(**data: object) -> dict[str, object]:
    return {"name": "Added", "origin": WANTED, "open_to_all": "on", "notes": ""} | data


def test_added_server_is_approved_by_who_adds_it_and_kept_in_its_canonical_form(
    admin: Client, staff: User, owner: User
) -> None:
    admin.post(f"{SERVERS}add/", form(origin="https://Wanted.example:8443/"))
    server = Server.objects.get(name="Added")
    assert (server.origin, server.approved_by) == ("https://wanted.example:8443", staff)
    assert server.approved_on is not None
    assert server.origin in origins_of(owner)


@pytest.mark.parametrize("origin", ["https://10.0.0.5", "http://a.example", "https://127.1", f"{SERVER}/", ""])
def test_server_that_is_none_or_is_there_already_cannot_be_added(admin: Client, origin: str) -> None:
    page = admin.post(f"{SERVERS}add/", form(origin=origin)).content.decode()
    assert "errorlist" in page
    assert not Server.objects.filter(name="Added").exists()


def test_address_of_a_server_cannot_be_changed(admin: Client) -> None:
    server = Server.objects.get(origin=SERVER)
    admin.post(f"{SERVERS}{server.pk}/change/", form(origin="https://evil.example", name="Renamed"))
    server.refresh_from_db()
    assert (server.name, server.origin) == ("Renamed", SERVER)


def test_pages_show_what_the_setting_names(admin: Client) -> None:
    for address in (SERVERS, f"{SERVERS}add/", f"{SERVERS}{Server.objects.get(origin=SERVER).pk}/change/"):
        response = admin.get(address)
        assert response.status_code == 200
        assert "named by the setting" in response.content.decode().lower()


def test_pause_ends_all_use_and_is_logged(admin: Client, owner: User) -> None:
    server = Server.objects.get(origin=SERVER)
    assert "1 server changed" in act(admin, SERVERS, "pause", server)
    assert SERVER not in origins_of(owner)
    assert "0 servers changed" in act(admin, SERVERS, "pause", server)
    assert "1 server changed" in act(admin, SERVERS, "resume", server)
    assert SERVER in origins_of(owner)
    assert list(LogEntry.objects.order_by("pk").values_list("change_message", flat=True)) == ["Paused.", "Resumed."]


def test_approved_server_stays_open_when_it_leaves_the_setting(
    admin: Client, staff: User, owner: User, settings: Settings
) -> None:
    server = Server.objects.get(origin=SERVER)
    act(admin, SERVERS, "approve", server)
    settings.RAPIDPRO_SERVERS = []
    server.refresh_from_db()
    assert server.approved_by == staff
    assert origins_of(owner) == {SERVER}


def test_server_that_the_setting_names_cannot_be_deleted(admin: Client, settings: Settings) -> None:
    server = Server.objects.get(origin=SERVER)
    for _ in range(2):
        assert admin.post(f"{SERVERS}{server.pk}/delete/", {"post": "yes"}).status_code == 403
        act(admin, SERVERS, "delete_selected", server, post="yes")
        assert Server.objects.filter(pk=server.pk).exists()
    settings.RAPIDPRO_SERVERS = []
    admin.post(f"{SERVERS}{server.pk}/delete/", {"post": "yes"})
    assert not Server.objects.filter(pk=server.pk).exists()
