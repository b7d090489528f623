"""People and rows for the pages that nobody of the demo can see: `python -m tests.e2e.stage <sandbox origin>`.

Runs with the environment of a served site, and prints as JSON who is signed in by which cookie, and the ids by name.
"""

import json
import sys
from typing import Any

import django

django.setup()

from allauth.account.forms import default_token_generator  # noqa: E402  # all of these need the settings
from allauth.account.models import EmailAddress, EmailConfirmationHMAC  # noqa: E402
from allauth.account.utils import user_pk_to_url_str  # noqa: E402
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes  # noqa: E402
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret  # noqa: E402
from asgiref.sync import async_to_sync  # noqa: E402
from django.conf import settings  # noqa: E402
from django.contrib.auth.models import Group  # noqa: E402
from django.test import Client  # noqa: E402

from accounts.models import User  # noqa: E402
from rapidpro_integration import notices, services  # noqa: E402
from rapidpro_integration.checking import acheck_secret  # noqa: E402
from rapidpro_integration.models import BulkAction, Server, ServerRequest  # noqa: E402
from rapidpro_integration.sandbox.data import load  # noqa: E402
from rapidpro_integration.sandbox.script import stable_uuid  # noqa: E402
from rapidpro_integration.sandbox.tokens import TOKENS  # noqa: E402
from rapidpro_integration.vault import Secret  # noqa: E402
from tests.conftest import just_proved  # noqa: E402
from tests.e2e.conftest import PASSWORD  # noqa: E402
from tests.security.urls import rows_of_the_admin  # noqa: E402

# Name in pages.txt: the name that the site shows, and what else there is to say of the account.
PEOPLE: dict[str, dict[str, Any]] = {
    "owner": {"name": "Lindiwe Looker"},
    "keyed": {"name": "Karim Keyed"},
    "passwordless": {"name": "Pia Passwordless"},
    "staff": {"name": "Stella Staff", "is_staff": True, "is_superuser": True},
}


def make_people() -> dict[str, User]:
    """Return the accounts; the keyed one has an app and recovery codes, a key is for a browser to add."""
    people = {}
    for name, facts in PEOPLE.items():
        email = f"look-{name}@example.org"
        person = people[name] = User.objects.create_user(f"look-{name}", email, PASSWORD, **facts)
        EmailAddress.objects.create(user=person, email=email, verified=True, primary=True)
    people["passwordless"].set_unusable_password()
    people["passwordless"].save()
    TOTP.activate(people["keyed"], generate_totp_secret())
    RecoveryCodes.activate(people["keyed"])
    return people


async def check_all(origin: str) -> dict[str, Any]:
    """Return what the sandbox says of each of its tokens."""
    return {name: await acheck_secret(Secret(token.secret), origin) for name, token in TOKENS.items()}


def make_tokens(person: User, origin: str) -> dict[str, str]:
    """Save each token of the sandbox, in whatever state it is; return their ids by name."""
    outcomes, ids = async_to_sync(check_all)(origin), {}
    with notices.silence():
        for name, outcome in outcomes.items():
            secret = Secret(TOKENS[name].secret)
            ids[name] = str(services.add_token(person.pk, f"The {name} token", origin, secret, outcome).pk)
    return ids


def cookie_of(person: User) -> dict[str, str]:
    """Return the cookie of somebody who has just signed in."""
    cookie = just_proved(Client(), person).cookies[settings.SESSION_COOKIE_NAME]
    return {"name": settings.SESSION_COOKIE_NAME, "value": cookie.value}


def names_of_flows() -> dict[str, str]:
    """Return ids of flows by name: the busiest of the large workspace, and those with a picture or none."""
    busiest = max(load()["national"].tables["flows"], key=lambda row: sum(row.body["runs"].values()))
    drawn = {f"flow-{key}": stable_uuid("gallery", "flow", key) for key in ("menu", "outreach", "empty", "legacy")}
    return {"flow-busiest": busiest.body["uuid"], **drawn}


def main() -> None:
    """Make everything, and say where it is."""
    people, origin = make_people(), sys.argv[1]
    owner = people["owner"]
    names = make_tokens(owner, origin) | names_of_flows()
    names |= {"server": origin, "workspace": str(owner.rapidpro_tokens.get(pk=names["national"]).workspace_uuid)}
    action = BulkAction.objects.create(kind="check", staff=people["staff"], token_ids=[names["national"]])
    Group.objects.create(name="Helpers")
    for part in ("north", "south"):
        wish = ServerRequest.objects.create(
            person=owner, name=f"Ministry of the {part}", origin=f"https://{part}.example", reason="Our own server"
        )
    unproved = EmailAddress.objects.create(user=people["passwordless"], email="second@example.org", verified=False)
    ids = rows_of_the_admin() | {
        "token_id": names["national"],
        "flow_uuid": names["flow-busiest"],
        "user_id": owner.pk,
        "action_id": action.pk,
        "kind": "csv",
        "key": EmailConfirmationHMAC(unproved).key,
        "uidb36": user_pk_to_url_str(owner),
        "accounts.user.object_id": owner.pk,
        "accounts.user.id": owner.pk,
        # Not those of another test, which are others each time.
        "rapidpro_integration.server.object_id": Server.objects.get(origin=origin).pk,
        "rapidpro_integration.serverrequest.object_id": wish.pk,
        "rapidpro_integration.rapidprotoken.object_id": names["national"],
    }
    cookies = {name: cookie_of(person) for name, person in people.items()}
    # To sign in is among what ends an older one.
    owner.refresh_from_db()
    names["reset-key"] = default_token_generator.make_token(owner)
    sys.stdout.write(json.dumps({"ids": ids, "names": names, "cookies": cookies}, default=str))


if __name__ == "__main__":
    main()
