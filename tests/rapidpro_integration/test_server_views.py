"""A person sees the own servers, asks for others, and learns nothing of other people's."""

import socket
from datetime import UTC, datetime

import pytest
from django.core import mail
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from rapidpro_integration import server_services
from rapidpro_integration.models import RequestState, Server, ServerRequest
from rapidpro_integration.server_services import MAX_WAITING, ServerAskedAlready, TooManyServersAsked
from tests.conftest import OTHER_SERVER, SERVER

PAGE = "/tokens/servers/"
WANTED = "https://wanted.example"
WISH = {"name": "Ministry", "origin": f"{WANTED}/", "reason": "Our own server"}


def ask(client: Client, **data: str) -> str:
    response = client.post(PAGE, WISH | data, follow=True)
    assert response.status_code == 200
    return response.content.decode()


def test_list_shows_my_servers_and_my_wishes_alone(owner_client: Client, owner: User, other: User) -> None:
    theirs = Server.objects.create(name="Theirs", origin="https://theirs.example", approved_on=timezone.now())
    theirs.users.add(other)
    mine = Server.objects.create(name="Mine", origin="https://mine.example", approved_on=timezone.now())
    mine.users.add(owner)
    for person, host in ((owner, "asked"), (other, "unheard")):
        ServerRequest.objects.create(person=person, name=host, origin=f"https://{host}.example", reason="x")
    page = owner_client.get(PAGE).content.decode()
    for shown in (SERVER, OTHER_SERVER, "https://mine.example", "Mine", "asked.example", "Waiting"):
        assert shown in page
    for hidden in ("theirs", "Theirs", "unheard"):
        assert hidden not in page
    assert "https://mine.example" in owner_client.get("/tokens/add/").content.decode()


def test_list_without_any_server_says_so(owner_client: Client, settings: Settings) -> None:
    settings.RAPIDPRO_SERVERS = []
    assert "no server that you may use yet" in owner_client.get(PAGE).content.decode()
    settings.RAPIDPRO_ANY_PUBLIC_SERVER = True
    assert "any other server with a public address" in owner_client.get(PAGE).content.decode()


def test_wish_is_saved_and_mailed_to_those_who_may_decide(
    owner_client: Client, owner: User, staff: User, other: User
) -> None:
    other.is_staff = True
    other.save()
    page = ask(owner_client)
    wish = ServerRequest.objects.get()
    assert (wish.person, wish.name, wish.origin, wish.state) == (owner, "Ministry", WANTED, RequestState.WAITING)
    assert "Your administrators were asked" in page
    assert [message.to for message in mail.outbox] == [[staff.email]]
    body = str(mail.outbox[0].body)
    for fact in ("owner@example.org", "wanted.example", "Ministry", "Our own server"):
        assert fact in body
    assert "http://testserver/admin/rapidpro_integration/serverrequest/" in body
    assert not Server.objects.filter(origin=WANTED).exists()


@pytest.mark.parametrize(
    "origin",
    ["", "x", "http://wanted.example", "https://10.0.0.5", "https://wanted.example/api", "https://u:hunter2@a.example"],
)
def test_wish_for_what_is_no_server_is_refused_without_repeating_it_in_the_error(
    owner_client: Client, origin: str
) -> None:
    page = ask(owner_client, origin=origin)
    assert "errorlist" in page
    assert not ServerRequest.objects.exists()
    assert not mail.outbox


@pytest.mark.parametrize("field", ["name", "reason"])
@pytest.mark.parametrize("text", ["", "two\nlines", "over\u202eride", "x" * 501])
def test_words_of_a_wish_are_plain_and_short(owner_client: Client, field: str, text: str) -> None:
    assert "errorlist" in ask(owner_client, **{field: text})
    assert not ServerRequest.objects.exists()


def test_wish_for_a_server_that_is_open_or_waiting_is_not_sent_again(owner_client: Client, staff: User) -> None:
    assert "You can use this server already" in ask(owner_client, origin=SERVER)
    ask(owner_client)
    assert "You have asked for this server already" in ask(owner_client)
    assert ServerRequest.objects.count() == 1
    assert len(mail.outbox) == 1


def test_wish_for_a_server_that_others_use_looks_like_any_other(owner_client: Client, other: User) -> None:
    theirs = Server.objects.create(name="Theirs", origin=WANTED, approved_on=timezone.now())
    theirs.users.add(other)
    ServerRequest.objects.create(person=other, name="x", origin="https://third.example", reason="x")
    for origin in (WANTED, "https://third.example", "https://nobody.example"):
        assert "Your administrators were asked" in ask(owner_client, origin=origin)


def test_wishes_that_nobody_has_answered_are_few(owner_client: Client, owner: User, staff: User) -> None:
    for number in range(MAX_WAITING):
        ask(owner_client, origin=f"https://number{number}.example")
    assert "wait for the answers" in ask(owner_client)
    assert ServerRequest.objects.count() == len(mail.outbox) == MAX_WAITING
    with pytest.raises(TooManyServersAsked):
        server_services.ask_for_server(owner, "x", WANTED, "x", link="")


def test_second_click_meets_the_databases_own_rule(owner: User) -> None:
    server_services.ask_for_server(owner, "x", WANTED, "x", link="")
    with pytest.raises(ServerAskedAlready) as caught:
        server_services.ask_for_server(owner, "x", WANTED, "x", link="")
    assert caught.value.__context__ is None
    with pytest.raises(IntegrityError), transaction.atomic():
        ServerRequest.objects.create(person=owner, name="x", origin=WANTED, reason="x")


def test_mail_that_cannot_be_sent_is_logged_without_addresses_and_stops_nothing(
    owner_client: Client, staff: User, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        options = {"host": "127.0.0.1", "port": closed.getsockname()[1], "timeout": 2}
        settings.MAILERS = {"default": {"BACKEND": "django.core.mail.backends.smtp.EmailBackend", "OPTIONS": options}}
        assert "Your administrators were asked" in ask(owner_client)
    assert "mail about a server not sent" in caplog.text
    assert "example.org" not in caplog.text


def test_answer_is_shown_in_the_persons_zone_and_escaped(owner_client: Client, owner: User) -> None:
    ServerRequest.objects.create(
        person=owner, name="x", origin=WANTED, reason="x", state=RequestState.REFUSED, answer="<b>No</b>"
    )
    ServerRequest.objects.update(asked_on=datetime(2026, 11, 1, 22, 30, tzinfo=UTC))
    page = owner_client.get(PAGE).content.decode()
    assert "&lt;b&gt;No&lt;/b&gt;" in page
    assert "Refused" in page
    assert "2026-11-01T22:30" in page


def test_stranger_is_sent_to_sign_in_and_no_wish_comes_without_a_csrf_token(client: Client, owner: User) -> None:
    for response in (client.get(PAGE), client.post(PAGE, WISH)):
        assert response.headers["Location"].startswith("/accounts/login/?next=")
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(owner)
    assert strict.post(PAGE, WISH).status_code == 403
    assert not ServerRequest.objects.exists()
