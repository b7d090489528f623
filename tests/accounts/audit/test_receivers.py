"""What happens to accounts is written down: by whom, whose, from where, and without a secret."""

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa import signals
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.contrib.sessions.backends.db import SessionStore
from django.core import mail
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from accounts import services
from accounts.audit.actions import Action, Outcome
from accounts.audit.context import acting_as
from accounts.audit.looks import RecordsLooks
from accounts.audit.models import AuditEntry
from accounts.audit.services import LogBroken
from accounts.audit.verification import verify
from accounts.models import User
from rapidpro_integration.models import RapidProToken
from tests.accounts.test_accounts import NEW_PASSWORD, SIGN_UP, edit, link_in_mail, sign_in
from tests.conftest import PASSWORD, SECRET, Sql, just_proved


def entries(*actions: Action) -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(action__in=actions).order_by("number"))


def only(action: Action) -> AuditEntry:
    (entry,) = entries(action)
    return entry


def forget() -> int:
    """Return the number of the newest entry, for `after`."""
    newest = AuditEntry.objects.first()
    return newest.number if newest else 0


# --- In and out ---------------------------------------------------------------------------------


def test_sign_in_tells_who_and_from_where(client: Client, owner: User) -> None:
    data = {"login": "owner", "password": PASSWORD}
    client.post("/accounts/login/", data, headers={"User-Agent": "Mozilla/5.0 " + "x" * 300}, REMOTE_ADDR="192.0.2.7")
    entry = only(Action.SIGNED_IN)
    assert (entry.actor_id, entry.owner_id, entry.actor_name) == (owner.pk, owner.pk, "owner@example.org")
    assert (entry.address, entry.agent[:12], len(entry.agent)) == ("192.0.2.7", "Mozilla/5.0 ", 120)
    assert len(entry.reference) == 8


@pytest.mark.parametrize("login", ["owner", "OWNER@example.org"])
def test_failed_sign_in_is_told_to_the_person_who_was_meant(client: Client, owner: User, login: str) -> None:
    sign_in(client, login, "wrong password!")
    entry = only(Action.SIGN_IN_FAILED)
    assert (entry.owner_id, entry.actor_id, entry.outcome) == (owner.pk, None, Outcome.REFUSED)
    assert entry.address == "127.0.0.1"
    assert not entries(Action.SIGNED_IN)


def test_failed_sign_in_keeps_nothing_of_what_was_typed(client: Client, owner: User) -> None:
    sign_in(client, "my secret passphrase", "in the wrong field")
    entry = only(Action.SIGN_IN_FAILED)
    assert (entry.owner_id, entry.details) == (None, {"known_account": False})
    assert "secret" not in str(AuditEntry.objects.values())


def test_sign_out_is_written(owner_client: Client, owner: User) -> None:
    owner_client.post("/accounts/logout/")
    assert only(Action.SIGNED_OUT).owner_id == owner.pk


def test_entries_of_one_request_share_its_reference(client: Client, db: None) -> None:
    client.post("/accounts/signup/", SIGN_UP)
    made, signed_in = entries(Action.ACCOUNT_MADE, Action.SIGNED_IN)
    assert made.reference == signed_in.reference != ""


# --- The account --------------------------------------------------------------------------------


def test_password_change_and_reset_are_written_once_each(owner_client: Client, owner: User) -> None:
    data = {"oldpassword": PASSWORD, "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    owner_client.post("/accounts/password/change/", data)
    entry = only(Action.PASSWORD_CHANGED)
    assert (entry.actor_id, entry.owner_id) == (owner.pk, owner.pk)
    browser = Client()
    browser.post("/accounts/password/reset/", {"email": owner.email})
    address = browser.get(link_in_mail(), follow=True).request["PATH_INFO"]
    browser.post(address, {"password1": PASSWORD + "!", "password2": PASSWORD + "!"})
    reset = entries(Action.PASSWORD_CHANGED)[1]
    assert (reset.actor_id, reset.owner_id) == (None, owner.pk)


def test_better_hash_of_the_same_password_is_no_change(client: Client, owner: User, settings: Settings) -> None:
    before = owner.password
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.PBKDF2PasswordHasher",
        "django.contrib.auth.hashers.MD5PasswordHasher",
    ]
    sign_in(client, "owner")
    owner.refresh_from_db()
    assert owner.password != before
    assert not entries(Action.PASSWORD_CHANGED)


def test_new_address_is_written_when_it_counts(owner_client: Client, owner: User) -> None:
    EmailAddress.objects.create(user=owner, email=owner.email, verified=True, primary=True)
    owner_client.post("/accounts/email/", {"email": "fresh@example.org", "action_add": ""})
    assert not entries(Action.EMAIL_CHANGED)
    owner_client.post(link_in_mail())
    assert only(Action.EMAIL_CHANGED).details == {"from": "owner@example.org", "to": "fresh@example.org"}
    assert only(Action.EMAIL_CONFIRMED).owner_id == owner.pk


def test_closed_account_stays_in_the_log_with_its_tokens(
    owner_client: Client, owner: User, token: RapidProToken
) -> None:
    key = owner.pk
    owner_client.post("/accounts/close/", {"password": PASSWORD})
    closed = only(Action.ACCOUNT_CLOSED)
    assert (closed.owner_id, closed.actor_id, closed.owner_name) == (key, key, "owner@example.org")
    assert not User.objects.exists()
    assert verify().broken == ""


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one lock for all")
def test_closing_locks_the_person_before_the_log(owner: User, token: RapidProToken) -> None:
    with CaptureQueriesContext(connection) as queries:
        owner.delete()
    locks = [query["sql"] for query in queries if "FOR UPDATE" in query["sql"] or query["sql"].startswith("DELETE")]
    assert '"accounts_user"' in locks[0]
    assert "FOR UPDATE" in locks[0]


def test_change_that_cannot_be_written_down_is_not_made(owner: User, sql: Sql) -> None:
    sql("DELETE FROM accounts_audithead")
    owner.is_staff = True
    with pytest.raises(LogBroken):
        owner.save()
    with pytest.raises(LogBroken), transaction.atomic():
        owner.delete()
    assert not User.objects.get().is_staff


def test_second_factors_are_written(owner: User) -> None:
    request = RequestFactory().get("/")
    request.user, request.session = owner, SessionStore()
    factor = Authenticator.objects.create(user=owner, type=Authenticator.Type.TOTP, data={})
    facts = {"sender": Authenticator, "request": request, "user": owner, "authenticator": factor}
    for signal in (signals.authenticator_added, signals.authenticator_reset, signals.authenticator_removed):
        signal.send(**facts)
    signals.authentication_failed.send(**facts)
    told = [(entry.owner_id, entry.details) for entry in AuditEntry.objects.order_by("number")][-4:]
    kind = {"kind": "totp"}
    assert told == [
        (owner.pk, kind),
        (owner.pk, kind | {"again": True}),
        (owner.pk, kind),
        (owner.pk, {"second_factor": True}),
    ]


# --- Rights -------------------------------------------------------------------------------------


def test_rights_given_in_the_admin_are_written(client: Client, staff: User, owner: User) -> None:
    just_proved(client, staff)
    edit(client, owner, is_staff="on")
    entry = only(Action.PERMISSIONS_CHANGED)
    assert (entry.actor_id, entry.owner_id, entry.details) == (staff.pk, owner.pk, {"is_staff": True})
    edit(client, owner, is_active="")
    assert entries(Action.PERMISSIONS_CHANGED)[-1].details == {"is_active": False, "is_staff": False}


def test_groups_and_permissions_are_written_from_both_ends(owner: User, staff: User) -> None:
    group = Group.objects.create(name="Helpers")
    permission = Permission.objects.get(codename="view_user")
    owner.groups.add(group)
    group.user_set.remove(owner)
    group.user_set.set([owner, staff])
    owner.groups.clear()
    owner.user_permissions.add(permission)
    group.permissions.set([permission])
    group.permissions.clear()
    group.delete()
    told = [(entry.owner_id, entry.details) for entry in entries(Action.PERMISSIONS_CHANGED)]
    assert told[:2] == [(owner.pk, {"groups_added": ["Helpers"]}), (owner.pk, {"groups_removed": ["Helpers"]})]
    assert sorted(told[2:4], key=str) == sorted(
        [(owner.pk, {"groups_added": ["Helpers"]}), (staff.pk, {"groups_added": ["Helpers"]})], key=str
    )
    assert told[4:] == [
        (owner.pk, {"groups_removed": ["Helpers"]}),
        (owner.pk, {"permissions_added": ["accounts.view_user"]}),
        (None, {"group": "Helpers", "permissions_added": ["accounts.view_user"]}),
        (None, {"group": "Helpers", "permissions_removed": ["accounts.view_user"]}),
        (None, {"group": "Helpers", "deleted": True}),
    ]


def test_program_that_acts_is_named(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with acting_as("manage.py createsuperuser"):
        monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
        call_command("createsuperuser", "--noinput", username="root2", email="root2@example.org", verbosity=0)
    entry = only(Action.ACCOUNT_MADE)
    assert (entry.actor_id, entry.actor_name) == (None, "manage.py createsuperuser")
    assert entry.details == {"is_active": True, "is_staff": True, "is_superuser": True}


def test_profile_and_last_sign_in_are_no_entries_of_their_own(owner: User) -> None:
    number = forget()
    services.save_profile(owner)
    owner.save(update_fields=["last_login"])
    assert forget() == number


# --- Looks --------------------------------------------------------------------------------------


def test_look_at_a_person_is_written_and_tells_whose(client: Client, staff: User, owner: User) -> None:
    client.force_login(staff)
    for page in ("change", "history", "delete"):
        client.get(f"/admin/accounts/user/{owner.pk}/{page}/")
    told = [(e.actor_id, e.owner_id, e.details) for e in entries(Action.FACTS_VIEWED)]
    pages = ("page", "history", "deletion")
    assert told == [(staff.pk, owner.pk, {"what": "user", "page": page, "row": str(owner.pk)}) for page in pages]


def test_search_is_written_with_what_it_found_but_not_with_what_was_typed(
    client: Client, staff: User, owner: User
) -> None:
    client.force_login(staff)
    client.get("/admin/accounts/user/", {"q": "owner", "is_staff__exact": "0"})
    entry = only(Action.FACTS_VIEWED)
    assert (entry.owner_id, entry.details["searched"], entry.details["rows"]) == (owner.pk, True, [str(owner.pk)])
    assert entry.details["filters"] == ["is_staff__exact"]
    client.get("/admin/accounts/user/", {"q": SECRET})
    assert SECRET not in str(AuditEntry.objects.values())


def test_look_at_an_address_tells_whose(client: Client, staff: User, owner: User) -> None:
    address = EmailAddress.objects.create(user=owner, email=owner.email, verified=True, primary=True)
    client.force_login(staff)
    assert client.get(f"/admin/account/emailaddress/{address.pk}/change/").status_code == 200
    assert only(Action.FACTS_VIEWED).owner_id == owner.pk


def test_refused_look_is_no_look(owner_client: Client, other: User) -> None:
    owner_client.get(f"/admin/accounts/user/{other.pk}/change/")
    assert not entries(Action.FACTS_VIEWED)


def test_every_admin_page_of_somebodys_facts_writes_its_looks() -> None:
    holding_no_facts = {"Group"}
    found = {model.__name__: isinstance(page, RecordsLooks) for model, page in admin.site._registry.items()}
    assert {name for name, writes in found.items() if not writes} == holding_no_facts


def test_no_mail_or_password_is_in_the_log(client: Client, db: None) -> None:
    client.post("/accounts/signup/", SIGN_UP)
    assert mail.outbox
    assert NEW_PASSWORD not in str(AuditEntry.objects.values())
