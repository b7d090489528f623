"""Where a person is signed in: listed, ended by them, and ended at once when the password or the rights change."""

from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.contrib.sessions.models import Session
from django.core import mail
from django.test import AsyncClient, Client
from django.utils import timezone
from pytest_django import Settings

from accounts import services
from accounts.devices import device_name
from accounts.models import SignedInSession, User
from rapidpro_integration.models import RapidProToken
from tests.accounts.test_accounts import assert_site_look, edit, is_signed_in, link_in_mail, sign_in, text
from tests.accounts.test_mfa import turn_on
from tests.conftest import PASSWORD, just_proved

NEW_PASSWORD = "another long passphrase"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Version/18.5 Mobile Safari/604.1"


def browser(user: User, user_agent: str = FIREFOX, address: str = "192.0.2.7") -> Client:
    """Return a browser in which the person has signed in by the page."""
    client = Client(headers={"user-agent": user_agent}, REMOTE_ADDR=address)
    sign_in(client, user.username)
    assert is_signed_in(client)
    return client


# --- The list -----------------------------------------------------------------------------------


def test_sessions_are_listed_with_what_tells_them_apart(owner: User) -> None:
    desk = browser(owner)
    browser(owner, PHONE, "2001:db8::1")
    SignedInSession.objects.filter(address="192.0.2.7").update(first_seen_on=timezone.now() - timedelta(days=400))
    page = text(desk, "/accounts/sessions/")
    assert page.index("Firefox, Linux") < page.index("this one") < page.index("Safari, iPhone")
    assert "192.0.2.7" in page
    assert "2001:db8::1" in page
    assert str((timezone.now() - timedelta(days=400)).year) in page
    for session in Session.objects.all():
        assert session.session_key not in page


def test_one_session_is_ended_from_another(owner: User) -> None:
    desk, phone = browser(owner), browser(owner, PHONE)
    row = SignedInSession.objects.get(user_agent=PHONE)
    page = desk.post(f"/accounts/sessions/{row.pk}/end/", follow=True).content.decode()
    assert "That session has ended." in page
    assert "iPhone" not in page
    assert (is_signed_in(desk), is_signed_in(phone)) == (True, False)


def test_all_others_are_ended(owner: User, other: User) -> None:
    desk, *more = (browser(owner) for _ in range(3))
    stranger = browser(other)
    assert "2 other sessions have ended." in desk.post("/accounts/sessions/end-others/", follow=True).content.decode()
    assert is_signed_in(desk)
    assert [is_signed_in(each) for each in more] == [False, False]
    assert is_signed_in(stranger)


def test_ending_this_one_is_a_sign_out(owner: User) -> None:
    desk = browser(owner)
    assert desk.post(f"/accounts/sessions/{SignedInSession.objects.get().pk}/end/").headers["Location"] == "/"
    assert not is_signed_in(desk)


def test_session_of_another_person_cannot_be_ended(owner: User, other: User) -> None:
    desk, stranger = browser(owner), browser(other)
    row = SignedInSession.objects.get(user=owner)
    assert stranger.post(f"/accounts/sessions/{row.pk}/end/").status_code == 404
    assert stranger.get(f"/accounts/sessions/{row.pk}/end/").status_code == 405
    assert is_signed_in(desk)


def test_list_has_the_sites_look(owner: User) -> None:
    browser(owner, PHONE)
    assert_site_look(browser(owner), "/accounts/sessions/")


def test_row_goes_with_its_session(owner: User) -> None:
    desk = browser(owner)
    desk.post("/accounts/logout/")
    assert not SignedInSession.objects.exists()


def test_last_seen_moves_at_most_once_in_five_minutes(owner: User) -> None:
    desk = browser(owner)
    long_ago = timezone.now() - timedelta(hours=3)
    SignedInSession.objects.update(last_seen_on=long_ago)
    is_signed_in(desk)
    assert SignedInSession.objects.get().last_seen_on == long_ago
    session = desk.session
    session["accounts.seen"] |= {"at": session["accounts.seen"]["at"] - services.SEEN_EVERY_S - 1}
    session.save()
    is_signed_in(desk)
    assert timezone.now() - SignedInSession.objects.get().last_seen_on < timedelta(minutes=1)


async def test_session_without_a_row_gets_one_in_the_async_stack(async_client: AsyncClient, owner: User) -> None:
    await async_client.aforce_login(owner)
    await SignedInSession.objects.all().adelete()
    assert (await async_client.get("/tokens/")).status_code == 200
    session = await async_client.asession()
    await session.aset("accounts.seen", {})
    await session.asave()
    await async_client.get("/tokens/")
    assert await SignedInSession.objects.filter(user=owner, session_id=session.session_key).aexists()


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (FIREFOX, "Firefox, Linux"),
        (PHONE, "Safari, iPhone"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge, Windows"),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36", "Chrome, Android"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 15_5) Version/18.5 Safari/605.1.15", "Safari, macOS"),
        ("curl/8.5.0", "Unknown browser"),
        ("", "Unknown browser"),
    ],
)
def test_device_is_named_in_words(user_agent: str, name: str) -> None:
    assert device_name(user_agent) == name


@pytest.mark.parametrize(("days", "is_in"), [(13, True), (15, False)])
async def test_session_lasts_fourteen_days_however_much_it_is_used(
    async_client: AsyncClient, owner: User, days: int, is_in: bool
) -> None:
    await async_client.aforce_login(owner)
    session = await async_client.asession()
    seen = await session.aget("accounts.seen")
    await session.aset("accounts.seen", seen | {"since": seen["since"] - days * 24 * 3600})
    await session.asave()
    for _ in range(2):
        assert (await async_client.get("/tokens/")).status_code == (200 if is_in else 302)
    assert await SignedInSession.objects.filter(user=owner).aexists() is is_in


def test_old_session_ends_in_the_sync_stack_too(client: Client, owner: User) -> None:
    client.force_login(owner)
    session = client.session
    session["accounts.seen"] |= {"since": 0}
    session.save()
    assert not is_signed_in(client)


# --- What ends the others -----------------------------------------------------------------------


def test_password_change_ends_the_others_and_keeps_this_one_with_its_first_day(owner: User) -> None:
    desk, phone = browser(owner), browser(owner, PHONE)
    began = SignedInSession.objects.get(user_agent=FIREFOX).first_seen_on
    data = {"oldpassword": PASSWORD, "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    desk.post("/accounts/password/change/", data)
    row = SignedInSession.objects.get()
    assert abs(row.first_seen_on - began) < timedelta(seconds=1)
    assert row.user_agent == FIREFOX
    assert (is_signed_in(desk), is_signed_in(phone)) == (True, False)


def test_password_reset_ends_all(client: Client, owner: User) -> None:
    desk = browser(owner)
    client.post("/accounts/password/reset/", {"email": "owner@example.org"})
    address = client.get(link_in_mail(), follow=True).request["PATH_INFO"]
    client.post(address, {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD})
    assert not SignedInSession.objects.exists()
    assert not is_signed_in(desk)


@pytest.mark.django_db(transaction=True)
def test_second_factor_turned_on_and_off_ends_the_others(owner: User) -> None:
    EmailAddress.objects.create(user=owner, email=owner.email, verified=True, primary=True)
    desk, phone = browser(owner), browser(owner, PHONE)
    turn_on(desk)
    assert (is_signed_in(desk), is_signed_in(phone)) == (True, False)
    just_proved(phone, owner)
    desk.post("/accounts/2fa/totp/deactivate/")
    assert (is_signed_in(desk), is_signed_in(phone)) == (True, False)


def test_deactivation_in_the_admin_ends_all_at_once(
    client: Client, staff: User, owner: User, token: RapidProToken
) -> None:
    desk = browser(owner)
    just_proved(client, staff)
    edit(client, owner, is_active="")
    assert not SignedInSession.objects.filter(user=owner).exists()
    assert desk.get("/tokens/").headers["Location"] == "/accounts/login/?next=/tokens/"
    # respx lets no request out: an attempt to check the token would fail this test.
    data = {"action": "check_now", "_selected_action": [str(token.pk)], "confirmed": "yes"}
    page = client.post("/admin/rapidpro_integration/rapidprotoken/", data, follow=True).content.decode()
    assert "0 tokens checked" in page
    assert desk.post(f"/tokens/{token.pk}/check/").headers["Location"].startswith("/accounts/login/")


def test_password_set_by_an_administrator_ends_all(client: Client, staff: User, owner: User) -> None:
    desk = browser(owner)
    just_proved(client, staff)
    data = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD, "usable_password": "true"}
    assert client.post(f"/admin/accounts/user/{owner.pk}/password/", data).status_code == 302
    assert not SignedInSession.objects.filter(user=owner).exists()
    assert SignedInSession.objects.filter(user=staff).exists()
    assert not is_signed_in(desk)


# --- A new device -------------------------------------------------------------------------------


def test_new_device_is_told_once_in_the_persons_own_time(owner: User) -> None:
    User.objects.update(time_zone="Asia/Kathmandu")
    desk = browser(owner)
    assert len(mail.outbox) == 1
    message = mail.outbox[0]
    assert (message.to, message.subject) == (["owner@example.org"], "Sign-in from a new device")
    for words in ("Firefox, Linux", "192.0.2.7", "(Asia/Kathmandu)", "http://testserver/accounts/password/reset/"):
        assert words in message.body
    desk.post("/accounts/logout/")
    sign_in(desk, "owner")
    assert is_signed_in(desk)
    assert len(mail.outbox) == 1
    browser(owner, PHONE)
    assert len(mail.outbox) == 2


def test_mail_about_a_new_device_is_in_the_persons_language(owner: User) -> None:
    User.objects.update(language="fr")
    sign_in(Client(headers={"accept-language": "en"}), "owner")
    assert "Bonjour" in mail.outbox[0].body


def test_device_of_one_person_is_new_to_another(owner: User, other: User) -> None:
    desk = browser(owner)
    for user in (other, owner, other):
        desk.post("/accounts/logout/")
        sign_in(desk, user.username)
    assert [message.to for message in mail.outbox] == [["owner@example.org"], ["other@example.org"]]


@pytest.mark.parametrize("forged", ["", "x", "0" * 32, "0" * 32 + ":1vNqWx:sig"])
def test_forged_device_is_a_new_one(owner: User, forged: str) -> None:
    client = Client()
    client.cookies["device"] = forged
    sign_in(client, "owner")
    assert is_signed_in(client)
    assert len(mail.outbox) == 1


def test_new_account_gets_no_such_mail(client: Client, db: None) -> None:
    data = {"email": "new@example.org", "username": "newcomer", "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    client.post("/accounts/signup/", data)
    assert is_signed_in(client)
    assert "new device" not in "".join(message.subject for message in mail.outbox)


def test_mail_server_that_is_down_locks_nobody_out(
    owner: User, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.MAILERS = {
        "default": {
            "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
            "OPTIONS": {"host": "127.0.0.1", "port": 9, "timeout": 1},
        }
    }
    browser(owner)
    assert "new device was not sent" in caplog.text
