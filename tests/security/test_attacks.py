"""What an attacker tries first at any site: leaving it, another host, forged parameters, a planted session."""

import re
from urllib.parse import quote

import pytest
from allauth.account.models import EmailAddress
from asgiref.sync import async_to_sync
from django.core import mail
from django.test import Client

from accounts.audit.models import AuditEntry
from accounts.models import User
from rapidpro_integration.models import RapidProToken
from tests.conftest import PASSWORD, SECRET, SERVER, just_proved

ELSEWHERE = [
    "https://evil.example/",
    "//evil.example/",
    "///evil.example",
    "////evil.example",
    r"/\evil.example",
    r"\\evil.example",
    "http:evil.example",
    "https:///evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "https://testserver@evil.example/",
    "https://testserver.evil.example/",
    "\thttps://evil.example",
    "/\t/evil.example",
    "/%09/evil.example",
    "%2f%2fevil.example",
    "／／evil.example",
    "/tokens/\r\nSet-Cookie: a=b",
]


def leads_away(location: str) -> bool:
    """Return whether a browser that gets this Location leaves the site, or takes it for more than an address."""
    unseen = re.sub(r"[\t\r\n]", "", location).replace("\\", "/").strip()
    return bool(re.match(r"([a-z][a-z0-9+.-]*:|//)", unseen, re.IGNORECASE)) or "\n" in location


def test_the_judge_of_redirects_judges() -> None:
    assert all(map(leads_away, ("https://evil.example", "//evil.example", r"/\evil.example", "\t//x", "javascript:x")))
    assert not any(map(leads_away, ("/tokens/", "/accounts/login/?next=//evil.example", "/%09/evil.example")))


@pytest.mark.parametrize("target", ELSEWHERE)
def test_next_never_leads_away(owner: User, staff: User, target: str) -> None:
    asked, typed = f"?next={quote(target)}", {"login": "owner", "password": PASSWORD}
    stranger, inside = Client(), just_proved(Client(), owner)
    answers = [
        Client().post(f"/accounts/login/{asked}", typed),
        Client().post("/accounts/login/", typed | {"next": target}),
        stranger.get(f"/admin/login/{asked}"),
        stranger.get(f"/tokens/{asked}"),
        inside.get(f"/accounts/login/{asked}"),
        inside.get(f"/accounts/signup/{asked}"),
        inside.post("/accounts/reauthenticate/", {"password": PASSWORD, "next": target}),
        inside.post(f"/accounts/reauthenticate/{asked}", {"password": PASSWORD}),
        just_proved(Client(), staff).get(f"/admin/login/{asked}"),
        inside.post(f"/accounts/logout/{asked}", {"next": target}),
    ]
    locations = [answer.headers["Location"] for answer in answers if answer.status_code in {301, 302}]
    assert len(locations) >= 8
    assert [each for each in locations if leads_away(each)] == []


@pytest.mark.parametrize("path", ["//evil.example/tokens", r"/\evil.example/tokens", "/%2fevil.example/tokens"])
def test_slash_that_is_put_behind_an_address_leads_nowhere_else(client: Client, db: None, path: str) -> None:
    response = client.get("/", PATH_INFO=path) if "\\" in path else client.generic("GET", path)
    assert not leads_away(response.headers.get("Location", "/"))


# --- Another host -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["X-Forwarded-Host", "X-Host", "Forwarded", "X-Original-URL", "X-Rewrite-URL"])
def test_link_in_a_mail_is_of_this_site_whatever_the_headers_say(client: Client, owner: User, name: str) -> None:
    EmailAddress.objects.create(user=owner, email=owner.email, verified=True, primary=True)
    value = "host=evil.example" if name == "Forwarded" else "evil.example"
    client.post("/accounts/password/reset/", {"email": owner.email}, headers={name: value})
    (sent,) = mail.outbox
    assert "http://testserver/accounts/password/reset/key/" in sent.body
    assert "evil" not in sent.body + sent.subject


def test_mail_is_not_sent_at_all_for_another_host(client: Client, owner: User) -> None:
    response = client.post("/accounts/password/reset/", {"email": owner.email}, headers={"Host": "evil.example"})
    assert (response.status_code, mail.outbox) == (400, [])


# --- Forged parameters --------------------------------------------------------------------------


def test_of_a_field_sent_twice_one_value_is_checked_and_used(owner_client: Client, token: RapidProToken) -> None:
    owner_client.post(f"/tokens/{token.pk}/rename/", "label=&label=Good", "application/x-www-form-urlencoded")
    assert RapidProToken.objects.get().label == "Good"
    owner_client.post(f"/tokens/{token.pk}/rename/", "label=Good2&label=%00", "application/x-www-form-urlencoded")
    assert RapidProToken.objects.get().label == "Good"


@pytest.mark.parametrize("method", ["X-HTTP-Method-Override", "X-Method-Override"])
def test_method_is_not_overridden(owner_client: Client, token: RapidProToken, method: str) -> None:
    owner_client.get(f"/tokens/{token.pk}/delete/?_method=POST", headers={method: "POST"})
    assert RapidProToken.objects.exists()


def test_token_in_an_address_is_not_taken(owner_client: Client) -> None:
    response = owner_client.get("/tokens/add/", {"label": "x", "server": SERVER, "token": SECRET})
    assert SECRET not in response.content.decode()
    owner_client.post(f"/tokens/add/?token={SECRET}&server={SERVER}", {"label": "x", "force": "on"})
    assert not RapidProToken.objects.exists()


# --- A planted session, and who exists ------------------------------------------------------------


def test_session_that_was_planted_is_not_the_one_that_is_signed_in(client: Client, owner: User) -> None:
    client.get("/accounts/login/?next=/tokens/add/")
    session = client.session
    session["planted"] = "x"
    session.save()
    planted = session.session_key
    client.cookies["sessionid"] = planted
    client.post("/accounts/login/", {"login": "owner", "password": PASSWORD})
    assert client.cookies["sessionid"].value != planted
    thief = Client()
    thief.cookies["sessionid"] = planted
    assert thief.get("/tokens/").status_code == 302


def test_session_id_of_an_attackers_choice_is_not_taken(client: Client, owner: User) -> None:
    chosen = "a" * 32
    client.cookies["sessionid"] = chosen
    client.post("/accounts/login/", {"login": "owner", "password": PASSWORD})
    assert client.cookies["sessionid"].value != chosen
    assert client.get("/tokens/").status_code == 200


def test_signing_out_ends_the_session_on_the_server(client: Client, owner: User) -> None:
    just_proved(client, owner)
    kept = client.cookies["sessionid"].value
    client.post("/accounts/logout/")
    thief = Client()
    thief.cookies["sessionid"] = kept
    assert thief.get("/tokens/").status_code == 302


def test_reset_answers_alike_for_an_account_and_for_none(owner: User) -> None:
    EmailAddress.objects.create(user=owner, email=owner.email, verified=True, primary=True)
    answers = [
        Client().post("/accounts/password/reset/", {"email": email}, follow=True)
        for email in ("owner@example.org", "nobody@example.org")
    ]
    pages = [re.sub(r'value="\w{64}"', "", each.content.decode()) for each in answers]
    assert pages[0] == pages[1]
    assert answers[0].redirect_chain == answers[1].redirect_chain


# --- Lines of the log and cells of the export ------------------------------------------------------


def test_what_somebody_sends_forges_no_entry_and_no_formula(client: Client, owner: User) -> None:
    agent = "=HYPERLINK(0)\r\n1,2026-01-01,forged"
    client.post("/accounts/login/", {"login": "owner", "password": PASSWORD}, headers={"User-Agent": agent})
    count = AuditEntry.objects.count()
    just_proved(client, owner)
    response = client.get("/accounts/log.csv")

    async def read() -> str:
        return b"".join([piece async for piece in response.streaming_content]).decode()

    lines = async_to_sync(read)().split("\r\n")
    assert not [line for line in lines if line.startswith(("1,", "=", '"=')) or ',"=' in line]
    assert count >= 1
