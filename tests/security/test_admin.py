"""The admin under attack: nothing is told letter by letter, and nothing opens an account without a fresh proof."""

import re

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group
from django.test import Client

from accounts.admin import FreshProofAdmin
from accounts.models import User
from rapidpro_integration.models import RapidProToken
from tests.conftest import PASSWORD, SECRET, just_proved

# What must not be asked for by a look-up, and how an address could reach it from each model.
SECRETS = ("sealed", "fingerprint", "key_id", "last_four", "password", "data", "session_key", "session_data", "key")


def look_ups() -> list[tuple[str, str]]:
    """Return every way from a model of the admin to a secret column, of its own or over one or two relations."""
    found = []
    for model in admin.site._registry:
        ways = [("", model)]
        for _ in range(2):
            ways += [
                (f"{way}{field.name}__", field.related_model)
                for way, start in ways
                for field in start._meta.get_fields()
                if field.is_relation and isinstance(field.related_model, type)
            ]
        found += [
            (model._meta.label_lower, way + field.name)
            for way, end in dict(ways).items()
            for field in end._meta.concrete_fields
            if field.name in SECRETS
        ]
    return sorted(set(found))


def test_no_secret_column_is_looked_up_from_any_list(client: Client, staff: User, token: RapidProToken) -> None:
    just_proved(client, staff)
    tried = 0
    for label, column in look_ups():
        app, model = label.split(".")
        for how in ("", "__startswith", "__regex", "__gt", "__in", "__isnull"):
            response = client.get(f"/admin/{app}/{model}/", {f"{column}{how}": "v1"})
            # The entries of the log have a key id of their own, which says nothing of a token.
            if (label, column) != ("accounts.auditentry", "key_id"):
                assert response.status_code == 400, (label, column, how)
                tried += 1
    assert tried > 100


def test_every_model_with_secrets_is_known_to_the_test_above() -> None:
    names = {field.name for model in apps.get_models() for field in model._meta.concrete_fields}
    assert set(SECRETS) <= names


def test_every_page_that_saves_asks_for_a_fresh_proof() -> None:
    without = {m._meta.label for m, page in admin.site._registry.items() if not isinstance(page, FreshProofAdmin)}
    assert without == {"accounts.AuditEntry"}, "which nobody can save"


@pytest.mark.parametrize("proved", [True, False])
def test_address_that_would_open_an_account_is_added_with_a_fresh_proof_only(
    client: Client, staff: User, owner: User, proved: bool
) -> None:
    just_proved(client, staff, seconds_ago=0 if proved else 301)
    data = {"user": owner.pk, "email": "thief@example.org", "verified": "on"}
    response = client.post("/admin/account/emailaddress/add/", data)
    assert response.status_code == 302
    assert response.headers["Location"].startswith("/accounts/reauthenticate/") is not proved
    assert EmailAddress.objects.filter(email="thief@example.org").exists() is proved


def test_addresses_are_not_marked_as_confirmed_in_passing(client: Client, staff: User, owner: User) -> None:
    just_proved(client, staff, seconds_ago=301)
    mail = EmailAddress.objects.create(user=owner, email="thief@example.org")
    data = {"action": "make_verified", "_selected_action": [str(mail.pk)]}
    client.post("/admin/account/emailaddress/", data)
    mail.refresh_from_db()
    assert not mail.verified


def test_rights_of_a_group_change_with_a_fresh_proof_only(client: Client, staff: User) -> None:
    group = Group.objects.create(name="helpers")
    just_proved(client, staff, seconds_ago=301)
    client.post(f"/admin/auth/group/{group.pk}/change/", {"name": "masters"})
    group.refresh_from_db()
    assert group.name == "helpers"


# --- Fields that nobody offered -----------------------------------------------------------------

EXTRA = {
    "is_staff": "on",
    "is_superuser": "on",
    "is_active": "on",
    "password": "x",
    "owner": "1",
    "sealed": "v1.k1.x",
    "state": "working",
    "token": SECRET,
    "pk": "1",
    "id": "1",
    "access": "open",
}


def test_profile_takes_no_field_that_it_does_not_offer(owner_client: Client, owner: User, other: User) -> None:
    data = {"name": "Amina", "language": "fr", "time_zone": "UTC", "email": other.email, "username": "root"}
    assert owner_client.post("/accounts/profile/", EXTRA | data | {"id": other.pk}).status_code == 302
    before = owner.password
    owner.refresh_from_db()
    other.refresh_from_db()
    assert (owner.name, owner.username, owner.email, owner.is_staff, owner.is_superuser, owner.password) == (
        *("Amina", "owner", "owner@example.org"),
        *(False, False, before),
    )
    assert other.name == ""


def test_sign_up_takes_no_field_that_it_does_not_offer(client: Client, db: None) -> None:
    data = {"email": "new@example.org", "username": "new", "password1": PASSWORD, "password2": PASSWORD}
    client.post("/accounts/signup/", EXTRA | data)
    user = User.objects.get()
    assert (user.is_staff, user.is_superuser, user.check_password(PASSWORD)) == (False, False, True)


def test_token_in_the_admin_takes_no_field_at_all(client: Client, staff: User, token: RapidProToken) -> None:
    just_proved(client, staff)
    before = RapidProToken.objects.values().get()
    client.post(f"/admin/rapidpro_integration/rapidprotoken/{token.pk}/change/", EXTRA | {"label": "Mine"})
    after = RapidProToken.objects.values().get()
    changed = {name for name in before if before[name] != after[name]}
    assert changed <= {"changed_on"}


def test_rename_takes_the_label_alone(owner_client: Client, token: RapidProToken) -> None:
    owner_client.post(f"/tokens/{token.pk}/rename/", EXTRA | {"label": "New", "server": "https://evil.example"})
    row = RapidProToken.objects.get()
    assert (row.label, row.server, row.sealed, row.owner_id) == ("New", token.server, token.sealed, token.owner_id)


def test_staff_without_the_right_do_not_raise_themselves(client: Client, staff: User) -> None:
    User.objects.filter(pk=staff.pk).update(is_superuser=False)
    just_proved(client, staff)
    response = client.post(f"/admin/accounts/user/{staff.pk}/change/", EXTRA)
    staff.refresh_from_db()
    assert (response.status_code, staff.is_superuser) == (403, False)


def test_second_factor_of_another_person_is_not_taken_by_the_form(
    client: Client, staff: User, owner: User, other: User
) -> None:
    factor = Authenticator.objects.create(user=owner, type=Authenticator.Type.TOTP, data={"secret": "x"})
    just_proved(client, staff)
    client.post(f"/admin/mfa/authenticator/{factor.pk}/change/", {"user": other.pk, "data": "{}", "type": "totp"})
    factor.refresh_from_db()
    assert (factor.user_id, factor.data) == (owner.pk, {"secret": "x"})


def test_page_of_a_token_in_the_admin_has_no_field_to_write(client: Client, staff: User, token: RapidProToken) -> None:
    just_proved(client, staff)
    page = client.get(f"/admin/rapidpro_integration/rapidprotoken/{token.pk}/change/").content.decode()
    names = set(re.findall(r'<(?:input|textarea|select)[^>]* name="(\w+)"', page))
    assert names <= {"csrfmiddlewaretoken", "_save", "_continue", "_addanother", "next"}
