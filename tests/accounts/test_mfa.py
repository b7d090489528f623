"""The second factor: an app, security keys, recovery codes; no secret of theirs where it does not belong."""

import re
import time
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.contrib.sessions.models import Session
from django.core import mail
from django.db import connection
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext
from django.urls import NoReverseMatch, get_resolver, reverse
from django.urls.converters import IntConverter
from pytest_django import Settings

from accounts.models import User
from tests.accounts.test_accounts import SOME_ID, assert_site_look, is_signed_in, patterns, sign_in, text
from tests.conftest import PASSWORD, just_proved


def code_of(secret: str) -> str:
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30))


def turn_on(client: Client) -> str:
    """Set an app up by the page, as a person does, and return its key."""
    page = text(client, "/accounts/2fa/totp/activate/")
    found = re.search(r'<code class="key" dir="ltr">(\w+)</code>', page)
    assert found is not None
    response = client.post("/accounts/2fa/totp/activate/", {"code": code_of(found[1])})
    assert response.headers["Location"] == "/accounts/2fa/recovery-codes/"
    return found[1]


def recovery_codes(client: Client) -> list[str]:
    return re.findall(r"<code>(\d+)</code>", text(client, "/accounts/2fa/recovery-codes/"))


@pytest.fixture
def at_home(client: Client, owner: User) -> Client:
    """Return a browser in which the owner has just signed in with the password."""
    EmailAddress.objects.create(user=owner, email=owner.email, verified=True, primary=True)
    sign_in(client, "owner")
    return client


def test_app_is_asked_for_at_the_next_sign_in(at_home: Client, owner: User) -> None:
    secret = turn_on(at_home)
    assert Authenticator.objects.filter(user=owner, type=Authenticator.Type.TOTP).exists()
    elsewhere = Client()
    page = sign_in(elsewhere, "owner")
    assert "One more step" in page
    assert not is_signed_in(elsewhere)
    assert "Incorrect code" in elsewhere.post("/accounts/2fa/authenticate/", {"code": "000000"}).content.decode()
    elsewhere.post("/accounts/2fa/authenticate/", {"code": code_of(secret)})
    assert is_signed_in(elsewhere)


def second_step(code: str) -> bool:
    """Sign in with the password and the code; return whether that opened the account."""
    client = Client()
    sign_in(client, "owner")
    client.post("/accounts/2fa/authenticate/", {"code": code})
    return is_signed_in(client)


@pytest.mark.parametrize("later_s", [0, 20, 31])
def test_code_that_was_seen_is_worth_nothing_a_second_time(
    at_home: Client, monkeypatch: pytest.MonkeyPatch, later_s: int
) -> None:
    now = time.time() // 30 * 30 + 30
    monkeypatch.setattr(time, "time", lambda: now)
    code = code_of(turn_on(at_home))
    assert second_step(code)
    monkeypatch.setattr(time, "time", lambda: now + later_s)
    assert not second_step(code)


@pytest.mark.parametrize(("off_s", "counts"), [(-31, False), (-30, True), (0, True), (59, True), (60, False)])
def test_code_counts_a_period_before_and_after_its_own(
    at_home: Client, monkeypatch: pytest.MonkeyPatch, off_s: int, counts: bool
) -> None:
    now = time.time() // 30 * 30 + 30
    monkeypatch.setattr(time, "time", lambda: now)
    code = code_of(turn_on(at_home))
    monkeypatch.setattr(time, "time", lambda: now + off_s)
    assert second_step(code) is counts


def test_code_that_opened_the_account_is_no_fresh_proof_too(at_home: Client) -> None:
    secret = turn_on(at_home)
    client = Client()
    sign_in(client, "owner")
    for address in ("/accounts/2fa/authenticate/", "/accounts/2fa/reauthenticate/"):
        response = client.post(address, {"code": code_of(secret)})
    assert "Incorrect code" in response.content.decode()


def test_recovery_code_opens_once(at_home: Client, owner: User) -> None:
    turn_on(at_home)
    code = recovery_codes(at_home)[0]
    browsers = [Client(), Client()]
    for browser in browsers:
        sign_in(browser, "owner")
        browser.post("/accounts/2fa/authenticate/", {"code": code})
    assert [is_signed_in(browser) for browser in browsers] == [True, False]
    assert len(recovery_codes(browsers[0])) == 9


def test_recovery_codes_are_ten_downloaded_and_replaced(at_home: Client) -> None:
    turn_on(at_home)
    first = recovery_codes(at_home)
    assert len(set(first)) == 10
    download = at_home.get("/accounts/2fa/recovery-codes/download/")
    assert download.content.decode().split() == first
    assert "attachment" in download.headers["Content-Disposition"]
    at_home.post("/accounts/2fa/recovery-codes/generate/")
    assert not set(first) & set(recovery_codes(at_home))


def test_turning_the_app_off_destroys_the_recovery_codes_too(at_home: Client, owner: User) -> None:
    turn_on(at_home)
    at_home.post("/accounts/2fa/totp/deactivate/")
    assert not Authenticator.objects.filter(user=owner).exists()
    assert mail.outbox[-1].to == [owner.email]


def test_key_of_the_app_changes_with_every_look_until_it_is_turned_on(at_home: Client) -> None:
    pages = [text(at_home, "/accounts/2fa/totp/activate/") for _ in range(2)]
    keys = [re.findall(r'<code class="key" dir="ltr">(\w+)</code>', page)[0] for page in pages]
    assert keys[0] != keys[1]
    page = at_home.post("/accounts/2fa/totp/activate/", {"code": "000000"}).content.decode()
    assert keys[1] in page
    assert "Incorrect code" in page


class BackwardsAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth has no types
    """Seals a key by turning it round: enough to see where it was sealed and where not."""

    def encrypt(self, text: str) -> str:
        return text[::-1]

    decrypt = encrypt


def test_key_of_the_app_lies_nowhere_in_clear(at_home: Client, owner: User, settings: Settings) -> None:
    settings.MFA_ADAPTER = "tests.accounts.test_mfa.BackwardsAdapter"
    page = text(at_home, "/accounts/2fa/totp/activate/")
    for _ in range(2):
        page = at_home.post("/accounts/2fa/totp/activate/", {"code": "000000"}).content.decode()
    secret = re.findall(r'<code class="key" dir="ltr">(\w+)</code>', page)[0]
    waiting = str(Session.objects.get().get_decoded())
    assert secret not in waiting
    assert secret[::-1] in waiting
    at_home.post("/accounts/2fa/totp/activate/", {"code": code_of(secret)})
    assert Authenticator.objects.get(user=owner, type=Authenticator.Type.TOTP).data == {"secret": secret[::-1]}
    assert secret[::-1] not in str(Session.objects.get().get_decoded())


def test_qr_code_is_an_image_that_the_policy_lets_through(at_home: Client) -> None:
    response = at_home.get("/accounts/2fa/totp/activate/")
    assert 'src="data:image/svg+xml;base64,' in response.content.decode()
    assert "img-src 'self' data:;" in response.headers["Content-Security-Policy"]


def test_codes_cannot_be_guessed(at_home: Client, owner: User) -> None:
    secret = turn_on(at_home)
    elsewhere = Client()
    sign_in(elsewhere, "owner")
    for _ in range(5):
        elsewhere.post("/accounts/2fa/authenticate/", {"code": "000000"})
    page = elsewhere.post("/accounts/2fa/authenticate/", {"code": code_of(secret)}).content.decode()
    assert "Too many failed login attempts" in page
    assert not is_signed_in(elsewhere)


@pytest.mark.parametrize(
    "page",
    [
        "",
        "totp/activate/",
        "totp/deactivate/",
        "recovery-codes/",
        "recovery-codes/generate/",
        "webauthn/",
        "webauthn/add/",
    ],
)
def test_pages_have_the_sites_look(at_home: Client, page: str) -> None:
    if page != "totp/activate/":
        turn_on(at_home)
    assert_site_look(at_home, f"/accounts/2fa/{page}")


def test_second_step_has_the_sites_look(at_home: Client) -> None:
    turn_on(at_home)
    elsewhere = Client()
    sign_in(elsewhere, "owner")
    assert_site_look(elsewhere, "/accounts/2fa/authenticate/")


def test_admin_takes_a_lost_factor_away_and_never_sees_what_it_holds(at_home: Client, owner: User, staff: User) -> None:
    secret = turn_on(at_home)
    factor = Authenticator.objects.get(user=owner, type=Authenticator.Type.TOTP)
    admin = Client()
    just_proved(admin, staff)
    pages = [text(admin, f"/admin/mfa/authenticator/{page}") for page in ("", f"{factor.pk}/change/")]
    assert "owner@example.org" in pages[0]
    assert secret not in "".join(pages)
    assert "secret" not in pages[1]
    assert admin.get("/admin/mfa/authenticator/?data__secret__startswith=A").status_code == 400
    assert admin.get("/admin/mfa/authenticator/add/").status_code == 403
    admin.post(f"/admin/mfa/authenticator/{factor.pk}/delete/", {"post": "yes"})
    assert not Authenticator.objects.filter(user=owner).exists()
    assert not is_signed_in(at_home)


def test_admin_takes_several_factors_away_at_once(at_home: Client, owner: User, staff: User) -> None:
    turn_on(at_home)
    factors = [str(pk) for pk in Authenticator.objects.filter(user=owner).values_list("pk", flat=True)]
    admin = just_proved(Client(), staff)
    data = {"post": "yes", "action": "delete_selected", "_selected_action": factors}
    admin.post("/admin/mfa/authenticator/", data)
    assert not Authenticator.objects.filter(user=owner).exists()
    assert Authenticator.objects.filter(user=staff).exists()


def test_key_of_another_person_cannot_be_touched(at_home: Client, other: User) -> None:
    theirs = Authenticator.objects.create(user=other, type=Authenticator.Type.WEBAUTHN, data={"name": "theirs"})
    for page in ("edit", "remove"):
        assert at_home.post(f"/accounts/2fa/webauthn/keys/{theirs.pk}/{page}/", {"name": "mine"}).status_code == 404
    assert Authenticator.objects.get(pk=theirs.pk).data == {"name": "theirs"}


def test_second_step_alone_opens_nothing(client: Client, owner: User) -> None:
    assert client.get("/accounts/2fa/authenticate/").headers["Location"].startswith("/accounts/login/")
    client.post("/accounts/2fa/authenticate/", {"code": "000000", "login": "owner", "password": PASSWORD})
    assert not is_signed_in(client)


# --- Staff --------------------------------------------------------------------------------------


@pytest.fixture(params=[{"is_staff": True}, {"is_superuser": True}], ids=str)
def bare_staff(request: pytest.FixtureRequest, owner: User) -> User:
    """Return somebody with rights and without a second factor."""
    User.objects.filter(pk=owner.pk).update(**request.param)
    owner.refresh_from_db()
    return owner


def test_staff_without_a_second_factor_reach_nothing_else(client: Client, bare_staff: User) -> None:
    just_proved(client, bare_staff)
    tried, by_regex = 0, set()
    for name, _, converters in patterns(get_resolver()):
        kwargs = {key: 1 if isinstance(each, IntConverter) else SOME_ID for key, each in converters.items()}
        try:
            address = reverse(name, kwargs=kwargs)
        except NoReverseMatch:
            by_regex.add(name)
            continue
        if name not in OPEN_TO_STAFF:
            for response in (client.get(address), client.post(address)):
                assert (response.status_code, response.headers.get("Location")) == (302, "/accounts/2fa/"), address
            tried += 1
    assert tried > 40
    assert by_regex == {"account_confirm_email", "account_reset_password_from_key", "admin:None", "admin:app_list"}


OPEN_TO_STAFF = {
    "favicon",
    "healthz",
    "livez",
    "readyz",
    # A 404 for all who may not read it, and what it is answered by stands before the gate.
    "metrics",
    "account_logout",
    "account_reauthenticate",
    "account_email",
    "account_email_verification_sent",
    "account_confirm_email",
    "mfa_index",
    "mfa_activate_totp",
    "mfa_add_webauthn",
}


def test_staff_set_a_second_factor_up_and_go_on(client: Client, bare_staff: User) -> None:
    User.objects.filter(pk=bare_staff.pk).update(is_staff=True)
    just_proved(client, bare_staff)
    assert "Set one up to go on." in client.get("/tokens/", follow=True).content.decode()
    turn_on(client)
    assert client.get("/admin/").status_code == 200
    assert "Set one up to go on." not in text(client, "/accounts/2fa/")


async def test_gate_holds_in_the_async_stack_too(async_client: AsyncClient, bare_staff: User) -> None:
    await async_client.aforce_login(bare_staff)
    response = await async_client.get("/tokens/")
    assert (response.status_code, response.headers["Location"]) == (302, "/accounts/2fa/")


def test_recovery_codes_alone_are_no_second_factor(client: Client, bare_staff: User) -> None:
    Authenticator.objects.create(user=bare_staff, type=Authenticator.Type.RECOVERY_CODES, data={})
    client.force_login(bare_staff)
    assert client.get("/tokens/").headers["Location"] == "/accounts/2fa/"


def test_gate_can_be_left_open_for_the_demo(client: Client, bare_staff: User, settings: Settings) -> None:
    settings.STAFF_MFA_REQUIRED = False
    client.force_login(bare_staff)
    assert client.get("/tokens/").status_code == 200


def test_gate_costs_staff_a_query_and_others_none(
    client: Client, owner: User, settings: Settings, django_assert_num_queries: Any
) -> None:
    client.force_login(owner)
    client.get("/tokens/")
    with CaptureQueriesContext(connection) as gated:
        client.get("/tokens/")
    settings.STAFF_MFA_REQUIRED = False
    with django_assert_num_queries(len(gated)):
        client.get("/tokens/")
