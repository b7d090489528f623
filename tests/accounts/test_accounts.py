"""Accounts: the ways in, the ways out, and nothing told to strangers."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.urls.converters import IntConverter
from django.utils import timezone, translation
from pytest_django import Settings

from accounts import services
from accounts.forms import time_zone_choices
from accounts.models import User
from rapidpro_integration.models import RapidProToken
from tests.conftest import PASSWORD, TokenMaker, just_proved

NEW_PASSWORD = "another long passphrase"
SIGN_UP = {"email": "New@Example.org", "username": "newcomer", "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}


def text(client: Client, address: str, status: int = 200) -> str:
    response = client.get(address)
    assert response.status_code == status
    return response.content.decode()


def is_signed_in(client: Client) -> bool:
    return client.get("/tokens/").status_code == 200


def sign_in(client: Client, login: str, password: str = PASSWORD) -> str:
    response = client.post("/accounts/login/", {"login": login, "password": password}, follow=True)
    return response.content.decode()


def link_in_mail() -> str:
    match = re.search(r"http://testserver(/accounts/\S+)", mail.outbox[-1].body)
    assert match is not None
    return match[1]


# --- Sign in and out ----------------------------------------------------------------------------


@pytest.mark.parametrize("login", ["owner", "owner@example.org", "OWNER", "Owner@Example.ORG"])
def test_sign_in_by_name_or_address_in_any_case(client: Client, owner: User, login: str) -> None:
    sign_in(client, login)
    assert is_signed_in(client)


@pytest.mark.parametrize("pair", [("owner", "nobody"), ("owner@example.org", "nobody@example.org")], ids=str)
def test_wrong_password_and_unknown_account_look_alike(client: Client, owner: User, pair: tuple[str, str]) -> None:
    pages = [sign_in(client, login, "wrong password!") for login in pair]
    assert not is_signed_in(client)
    errors = [re.search(r'<ul class="errorlist.*?</ul>', page, re.DOTALL) for page in pages]
    assert errors[0] is not None
    assert errors[1] is not None
    assert errors[0][0] == errors[1][0]


def test_inactive_person_does_not_get_in(client: Client, owner: User) -> None:
    User.objects.update(is_active=False)
    sign_in(client, "owner")
    assert not is_signed_in(client)


def test_deactivation_ends_a_session_at_once(owner_client: Client, owner: User) -> None:
    assert is_signed_in(owner_client)
    User.objects.update(is_active=False)
    assert not is_signed_in(owner_client)


def test_sign_in_goes_to_where_it_was_asked_and_never_to_another_site(client: Client, owner: User) -> None:
    data = {"login": "owner", "password": PASSWORD}
    response = client.post("/accounts/login/", data | {"next": "/tokens/add/"})
    assert response.headers["Location"] == "/tokens/add/"
    client.logout()
    response = client.post("/accounts/login/", data | {"next": "https://evil.example/"})
    assert "evil" not in response.headers.get("Location", "")


def test_sign_out_is_a_post(owner_client: Client) -> None:
    text(owner_client, "/accounts/logout/")
    assert is_signed_in(owner_client)
    assert owner_client.post("/accounts/logout/").headers["Location"] == "/"
    assert not is_signed_in(owner_client)


# --- Sign up ------------------------------------------------------------------------------------


def test_sign_up_makes_an_account(client: Client, db: None) -> None:
    client.post("/accounts/signup/", SIGN_UP)
    user = User.objects.get()
    assert (user.username, user.email) == ("newcomer", "new@example.org")
    assert is_signed_in(client)


def test_known_address_makes_no_second_account_and_is_not_told(client: Client, owner: User, settings: Settings) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    response = client.post("/accounts/signup/", SIGN_UP | {"email": "OWNER@example.org"}, follow=True)
    assert User.objects.count() == 1
    assert not is_signed_in(client)
    assert "already" not in response.content.decode().lower()


@pytest.mark.parametrize("password", ["short", "password1234", "newcomer1234"])
def test_weak_password_is_refused(client: Client, db: None, password: str) -> None:
    client.post("/accounts/signup/", SIGN_UP | {"password1": password, "password2": password})
    assert not User.objects.exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("over\u202eride", "Remove the invisible characters."),
        ("zero\u200bwidth", "Remove the invisible characters."),
        ("tab\tx", "Remove the invisible characters."),
        ("admin", "Username can not be used."),
        ("ＡＤＭＩＮ", "Username can not be used."),
        ("x" * 151, "at most 150 characters"),
    ],
    ids=ascii,
)
def test_misleading_user_name_is_refused(client: Client, db: None, name: str, words: str) -> None:
    page = client.post("/accounts/signup/", SIGN_UP | {"username": name}).content.decode()
    assert words in page
    assert not User.objects.exists()


def test_same_name_in_other_signs_is_the_same_name(client: Client, owner: User) -> None:
    client.post("/accounts/signup/", SIGN_UP | {"username": "ｏｗｎｅｒ"})
    assert User.objects.get() == owner
    sign_in(client, "ｏｗｎｅｒ")
    assert is_signed_in(client)


def test_name_and_address_are_kept_in_small_letters_however_they_came(client: Client, db: None) -> None:
    User.objects.create_user("Amina", "Amina@Example.ORG", PASSWORD)
    sign_in(client, "amina@example.org")
    assert is_signed_in(client)
    with translation.override("en"), pytest.raises(ValidationError, match="exists"):
        User(username="AMINA", email="amina2@example.org", password="x").full_clean()


def test_closed_sign_up_says_so_and_makes_nothing(client: Client, db: None, settings: Settings) -> None:
    settings.SIGNUP_OPEN = False
    assert "password1" not in text(client, "/accounts/signup/")
    client.post("/accounts/signup/", SIGN_UP)
    assert not User.objects.exists()
    assert "Create an account" not in text(client, "/")
    assert "/accounts/signup/" not in text(client, "/accounts/login/")


def test_unconfirmed_address_waits_where_confirmation_is_mandatory(
    client: Client, db: None, settings: Settings
) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    client.post("/accounts/signup/", SIGN_UP)
    assert not is_signed_in(client)
    client.post(link_in_mail())
    assert EmailAddress.objects.get().verified


# --- Password and e-mail ------------------------------------------------------------------------


def test_password_change_keeps_this_session_and_ends_the_others(owner_client: Client, owner: User) -> None:
    other_browser = Client()
    other_browser.force_login(owner)
    data = {"oldpassword": PASSWORD, "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    owner_client.post("/accounts/password/change/", data)
    owner.refresh_from_db()
    assert owner.check_password(NEW_PASSWORD)
    assert not is_signed_in(other_browser)


def test_changed_password_is_told_and_leads_back_to_the_profile(owner_client: Client, owner: User) -> None:
    data = {"oldpassword": PASSWORD, "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    response = owner_client.post("/accounts/password/change/", data, follow=True)
    assert response.request["PATH_INFO"] == "/accounts/profile/"
    assert '<p class="message success">' in response.content.decode()
    assert mail.outbox[-1].to == [owner.email]


@pytest.mark.parametrize("email", ["owner@example.org", "nobody@example.org"])
def test_mails_are_signed_by_the_site_and_say_nothing_else(
    client: Client, owner: User, settings: Settings, email: str
) -> None:
    settings.SITE_NAME = "Ministry Console"
    client.post("/accounts/password/reset/", {"email": email})
    message = mail.outbox[-1]
    assert "Hello from Ministry Console!" in message.body
    assert "Ministry" not in message.subject
    assert "token" not in message.body.lower()
    assert len(mail.outbox) == 1


def test_forgotten_password_is_reset_by_mail(client: Client, owner: User) -> None:
    client.post("/accounts/password/reset/", {"email": "owner@example.org"})
    assert mail.outbox[-1].to == ["owner@example.org"]
    link = link_in_mail()
    page = client.get(link, follow=True)
    address = page.request["PATH_INFO"]
    client.post(address, {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD})
    owner.refresh_from_db()
    assert owner.check_password(NEW_PASSWORD)
    assert "password1" not in client.get(link, follow=True).content.decode()


def test_reset_of_an_unknown_address_looks_the_same(client: Client, owner: User) -> None:
    known = client.post("/accounts/password/reset/", {"email": "owner@example.org"})
    unknown = client.post("/accounts/password/reset/", {"email": "nobody@example.org"})
    assert known.headers["Location"] == unknown.headers["Location"]


def test_new_address_counts_once_it_is_confirmed(owner_client: Client, owner: User) -> None:
    EmailAddress.objects.create(user=owner, email=owner.email, verified=True, primary=True)
    owner_client.post("/accounts/email/", {"email": "fresh@example.org", "action_add": ""})
    owner.refresh_from_db()
    assert owner.email == "owner@example.org"
    assert "fresh@example.org" in text(owner_client, "/accounts/email/")
    owner_client.post(link_in_mail())
    owner.refresh_from_db()
    assert owner.email == "fresh@example.org"


# --- Profile ------------------------------------------------------------------------------------


def test_profile_is_saved_and_counts_at_once(owner_client: Client, owner: User, make_token: TokenMaker) -> None:
    make_token(owner, checked_on=timezone.now().replace(hour=12, minute=34))
    data = {"name": "Amina", "language": "ar", "time_zone": "Asia/Kathmandu"}
    page = owner_client.post("/accounts/profile/", data, follow=True).content.decode()
    assert '<html lang="ar" dir="rtl">' in page
    assert "Amina" in page
    assert "18:19</time>" in text(owner_client, "/tokens/")
    owner.refresh_from_db()
    assert (owner.name, owner.language, owner.time_zone) == ("Amina", "ar", "Asia/Kathmandu")


@pytest.mark.parametrize("data", [{"time_zone": "Mars/Olympus"}, {"language": "tlh"}, {"name": "x" * 151}], ids=str)
def test_nonsense_in_the_profile_is_refused(owner_client: Client, owner: User, data: dict[str, str]) -> None:
    page = owner_client.post("/accounts/profile/", {"name": "A", "language": "", "time_zone": "UTC"} | data)
    assert "errorlist" in page.content.decode()
    owner.refresh_from_db()
    assert (owner.name, owner.time_zone) == ("", "Africa/Nairobi")


def test_profile_offers_the_zones_with_their_offsets(owner_client: Client) -> None:
    page = text(owner_client, "/accounts/profile/")
    assert '<optgroup label="Africa">' in page
    assert '<option value="Africa/Nairobi" selected>Nairobi (UTC+03:00)</option>' in page


def test_zone_that_is_no_place_is_not_lost_by_saving_the_form(owner_client: Client, owner: User) -> None:
    User.objects.update(time_zone="Etc/GMT+3")
    assert '<option value="Etc/GMT+3" selected>Etc/GMT+3 (UTC-03:00)</option>' in text(
        owner_client, "/accounts/profile/"
    )
    owner_client.post("/accounts/profile/", {"name": "A", "language": "", "time_zone": "Etc/GMT+3"})
    owner.refresh_from_db()
    assert (owner.name, owner.time_zone) == ("A", "Etc/GMT+3")


def test_zone_offset_is_that_of_the_season() -> None:
    def berlin(month: int) -> str:
        regions = dict(time_zone_choices(now=datetime(2026, month, 1, tzinfo=UTC)))
        return dict(regions["Europe"])["Europe/Berlin"]  # type: ignore[call-overload,no-any-return]

    assert (berlin(1), berlin(7)) == ("Berlin (UTC+01:00)", "Berlin (UTC+02:00)")


def test_zone_must_be_known(owner: User) -> None:
    owner.time_zone = "Mars/Olympus"
    with translation.override("en"), pytest.raises(ValidationError, match="time zone"):
        owner.full_clean()


@pytest.mark.parametrize("name", ["Mars/Olympus", "../etc/passwd"])
def test_zone_that_the_database_has_dropped_breaks_no_page(owner_client: Client, name: str) -> None:
    User.objects.update(time_zone=name)
    assert '<option value="UTC"' in text(owner_client, "/accounts/profile/")


def test_saving_the_profile_undoes_nothing_that_happened_meanwhile(owner: User) -> None:
    seen = User.objects.get(pk=owner.pk)
    User.objects.update(is_active=False, password="changed", email="moved@example.org")
    seen.name = "Amina"
    services.save_profile(seen)
    owner.refresh_from_db()
    assert (owner.name, owner.is_active, owner.password, owner.email) == (
        "Amina",
        False,
        "changed",
        "moved@example.org",
    )


def test_language_left_to_the_browser_speaks_it_at_once(owner_client: Client, owner: User) -> None:
    User.objects.update(language="ar")
    data = {"name": "", "language": "", "time_zone": "UTC"}
    page = owner_client.post("/accounts/profile/", data, follow=True, headers={"accept-language": "en"})
    assert '<html lang="en" dir="ltr">' in page.content.decode()
    assert "Saved." in page.content.decode()


def test_times_of_the_account_have_utc_as_their_tooltip(owner_client: Client, owner: User) -> None:
    User.objects.update(date_joined=datetime(2026, 3, 4, 22, 30, tzinfo=UTC))
    tag = '<time datetime="2026-03-04T22:30:00Z" title="2026-03-04 22:30:00 UTC">5 Mar 2026, 01:30</time>'
    assert tag in text(owner_client, "/accounts/profile/")


def test_person_is_called_by_name_or_address(owner: User) -> None:
    assert str(owner) == owner.get_full_name() == owner.get_short_name() == "owner@example.org"
    owner.name = "Amina"
    assert str(owner) == "Amina"


# --- Closing ------------------------------------------------------------------------------------


def test_closing_destroys_the_account_its_tokens_and_its_sessions(
    owner_client: Client, owner: User, other: User, token: RapidProToken, make_token: TokenMaker
) -> None:
    make_token(other)
    for user in (owner, other):
        Client().force_login(user)
    assert "1 token that you saved" in text(owner_client, "/accounts/close/")
    assert User.objects.count() == 2
    response = owner_client.post("/accounts/close/")
    assert response.headers["Location"] == "/"
    assert response.cookies["sessionid"].value == ""
    assert "destroyed" in text(owner_client, "/")
    assert list(User.objects.all()) == [other]
    assert RapidProToken.objects.get().owner == other
    owners = {session.get_decoded().get("_auth_user_id") for session in Session.objects.all()}
    assert str(owner.pk) not in owners
    assert str(other.pk) in owners


def test_stranger_cannot_close_another_persons_account(owner_client: Client, owner: User, other: User) -> None:
    owner_client.post(f"/accounts/close/?user={other.pk}", {"user": other.pk, "id": other.pk})
    assert list(User.objects.all()) == [other]


def test_last_superuser_cannot_leave_the_site_without_one(client: Client, staff: User) -> None:
    just_proved(client, staff)
    page = client.post("/accounts/close/", follow=True).content.decode()
    assert "only administrator" in page
    assert User.objects.filter(pk=staff.pk).exists()
    User.objects.create_user("second", "second@example.org", is_superuser=True)
    client.post("/accounts/close/")
    assert not User.objects.filter(pk=staff.pk).exists()


# --- Every address ------------------------------------------------------------------------------

OPEN = {
    "home",
    "healthz",
    "livez",
    "readyz",
    "metrics",
    "favicon",
    "account_login",
    "mfa_login_webauthn",
    "account_signup",
    "account_logout",
    "account_reset_password",
    "account_reset_password_done",
    "account_reset_password_from_key",
    "account_reset_password_from_key_done",
    "account_confirm_email",
    "account_email_verification_sent",
    "account_inactive",
    "account_confirm_login_code",
    "mfa_authenticate",
    "admin:login",
}


def patterns(resolver: URLResolver, namespace: str = "", **outer: Any) -> list[tuple[str, URLPattern, dict[str, Any]]]:
    """Return every address below the resolver: its name, its pattern, the converters on the way to it."""
    found: list[tuple[str, URLPattern, dict[str, Any]]] = []
    for entry in resolver.url_patterns:
        converters = outer | getattr(entry.pattern, "converters", {})
        if isinstance(entry, URLResolver):
            inner = f"{namespace}{entry.namespace}:" if entry.namespace else namespace
            found += patterns(entry, inner, **converters)
        else:
            found.append((f"{namespace}{entry.name}", entry, converters))
    return found


SOME_ID = "5a1e7a8c-7a35-4f0e-9b5f-0e3c7c2f5d10"


def test_only_the_listed_addresses_are_open_to_strangers() -> None:
    found = {name for name, entry, _ in patterns(get_resolver()) if not getattr(entry.callback, "login_required", True)}
    assert found == OPEN


def test_every_other_address_sends_a_stranger_to_sign_in(client: Client, db: None) -> None:
    ours = ("accounts:", "account_", "mfa_", "rapidpro:")
    closed = {name: way for name, _, way in patterns(get_resolver()) if name not in OPEN and name.startswith(ours)}
    assert len(closed) > 12
    for name, converters in closed.items():
        kwargs = {key: 1 if isinstance(each, IntConverter) else SOME_ID for key, each in converters.items()}
        address = reverse(name, kwargs=kwargs)
        # What takes a post has perhaps no page of its own to come back to.
        for response, following in ((client.get(address), address), (client.post(address), "/")):
            assert response.status_code == 302, name
            assert response.headers["Location"] == f"/accounts/login/?next={following}", name


ENTRANCE = [
    "/",
    "/accounts/login/",
    "/accounts/signup/",
    "/accounts/password/reset/",
    "/accounts/password/reset/done/",
    "/accounts/password/reset/key/1-bad/",
    "/accounts/password/reset/key/done/",
    "/accounts/inactive/",
    "/accounts/confirm-email/",
    "/accounts/confirm-email/bad/",
]
INSIDE = [
    "/accounts/profile/",
    "/accounts/close/",
    "/accounts/email/",
    "/accounts/password/change/",
    "/accounts/logout/",
    "/accounts/reauthenticate/",
]


def assert_site_look(client: Client, address: str) -> None:
    response = client.get(address)
    assert response.status_code == 200
    page = response.content.decode()
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert response.headers["Cache-Control"]
    assert '<header class="site">' in page
    assert page.count("<h1") == 1
    assert "<title>" in page
    assert not re.search(r'<style|<script(?![^>]* (?:src=|type="application/json"))|\sstyle=|\son\w+=', page)
    for field in re.findall(r'<input (?![^>]*type="hidden")[^>]*>', page):
        identifier = re.search(r'id="([^"]+)"', field)
        assert identifier is not None, field
        assert f'for="{identifier[1]}"' in page, field


@pytest.mark.parametrize("address", ENTRANCE)
def test_entrance_pages_have_the_sites_look(client: Client, db: None, address: str) -> None:
    assert_site_look(client, address)


@pytest.mark.parametrize("address", INSIDE)
def test_inner_pages_have_the_sites_look_and_are_closed_to_strangers(
    client: Client, owner_client: Client, owner: User, address: str
) -> None:
    assert_site_look(owner_client, address)
    stranger = Client().get(address)
    assert stranger.status_code == 302
    # Signing out is open, for there is nothing in it to hide.
    assert stranger.headers["Location"] == ("/" if "logout" in address else f"/accounts/login/?next={address}")


def test_new_session_ages(owner_client: Client) -> None:
    session = Session.objects.get()
    assert session.expire_date - timezone.now() > timedelta(days=13)


# --- Admin --------------------------------------------------------------------------------------


def test_admins_manage_users(client: Client, staff: User, owner: User, token: RapidProToken) -> None:
    just_proved(client, staff)
    page = text(client, "/admin/accounts/user/?q=owner")
    assert "owner@example.org" in page
    assert '<td class="field-tokens">1</td>' in page
    text(client, f"/admin/accounts/user/{owner.pk}/change/")
    data = {
        "email": "made@example.org",
        "username": "made",
        "usable_password": "true",
        "password1": NEW_PASSWORD,
        "password2": NEW_PASSWORD,
    }
    client.post("/admin/accounts/user/add/", data)
    assert User.objects.get(username="made").email == "made@example.org"


def edit(client: Client, user: User, **changed: str) -> None:
    names = ("email", "username", "name", "language", "time_zone")
    data = {name: getattr(user, name) for name in names} | {"is_active": "on"}
    data |= {"date_joined_0": "2026-01-02", "date_joined_1": "03:04:05"} | changed
    address = f"/admin/accounts/user/{user.pk}/change/"
    assert client.post(address, {name: value for name, value in data.items() if value}).status_code == 302


def test_admin_deactivates_a_person(client: Client, staff: User, owner: User) -> None:
    just_proved(client, staff)
    edit(client, owner, is_active="")
    owner.refresh_from_db()
    assert not owner.is_active


def test_address_that_an_admin_replaced_opens_the_account_no_more(client: Client, staff: User, owner: User) -> None:
    EmailAddress.objects.create(user=owner, email=owner.email, verified=True, primary=True)
    just_proved(client, staff)
    edit(client, owner, name="Amina")
    assert EmailAddress.objects.get(user=owner).verified
    edit(client, owner, email="new@example.org")
    address = EmailAddress.objects.get(user=owner)
    assert (address.email, address.primary, address.verified) == ("new@example.org", True, False)
    Client().post("/accounts/password/reset/", {"email": "owner@example.org"})
    assert "/password/reset/key/" not in mail.outbox[-1].body


def test_number_of_queries_of_the_list_does_not_grow_with_the_people(
    client: Client, staff: User, token: RapidProToken, django_assert_num_queries: Any
) -> None:
    just_proved(client, staff)
    with CaptureQueriesContext(connection) as few:
        text(client, "/admin/accounts/user/")
    for number in range(5):
        User.objects.create_user(f"person{number}", f"person{number}@example.org")
    with django_assert_num_queries(len(few)):
        text(client, "/admin/accounts/user/")


@pytest.mark.parametrize("wanted", ["", "?next=/admin/", "?next=https://evil.example/"])
def test_admin_has_one_door(client: Client, db: None, wanted: str) -> None:
    response = client.get(f"/admin/login/{wanted}")
    assert response.status_code == 302
    assert response.headers["Location"] == "/accounts/login/?next=%2Fadmin%2F"


def test_admin_lets_nobody_sign_in_as_somebody_else_past_the_second_factor(
    client: Client, staff: User, owner: User
) -> None:
    User.objects.filter(pk=owner.pk).update(is_staff=True)
    just_proved(client, staff)
    client.post("/admin/login/", {"username": "owner", "password": PASSWORD, "next": "/admin/"})
    assert client.session["_auth_user_id"] == str(staff.pk)


def test_admin_changes_the_own_password_on_the_sites_page(client: Client, staff: User) -> None:
    just_proved(client, staff)
    data = {"old_password": PASSWORD, "new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD}
    assert client.post("/admin/password_change/", data).headers["Location"] == "/accounts/password/change/"
    assert client.session["_auth_user_hash"] == User.objects.get(pk=staff.pk).get_session_auth_hash()
    assert User.objects.get(pk=staff.pk).check_password(PASSWORD)


def test_admin_is_closed_to_people_without_the_right(owner_client: Client) -> None:
    assert owner_client.get("/admin/", follow=True).status_code == 403


def test_too_many_tries_are_a_page_of_the_site(client: Client, owner: User) -> None:
    for _ in range(30):
        response = client.post("/accounts/password/reset/", {"email": "owner@example.org"})
    assert response.status_code == 429
    assert "That was tried too often" in response.content.decode()
    assert '<header class="site">' in response.content.decode()


def test_sign_in_says_what_it_takes(client: Client, db: None) -> None:
    assert "E-mail address or user name" in text(client, "/accounts/login/")


def test_used_up_link_says_so(client: Client, db: None) -> None:
    page = text(client, "/accounts/password/reset/key/1-bad/")
    assert "This link no longer works" in page
    assert "/accounts/password/reset/" in page
