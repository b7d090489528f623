"""Makes the people of a test of several processes: `python -m tests.faults.stage "[people, tokens, idle, server]"`."""

import json
import sys
import time
import uuid

import django

django.setup()

from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret  # noqa: E402
from django.conf import settings  # noqa: E402
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY  # noqa: E402
from django.contrib.auth.hashers import make_password  # noqa: E402
from django.contrib.sessions.backends.db import SessionStore  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.utils import timezone  # noqa: E402

from accounts.models import User  # noqa: E402
from rapidpro_integration import canaries, services  # noqa: E402
from rapidpro_integration.models import RapidProToken, TokenState  # noqa: E402
from rapidpro_integration.vault import Secret  # noqa: E402
from tests.faults.workspaces import secret_of  # noqa: E402

PASSWORD = "a long enough passphrase"


def _session(user: User) -> str:
    """Return the key of a session in which the person has just typed the password."""
    session = SessionStore()
    session[SESSION_KEY], session[HASH_SESSION_KEY] = str(user.pk), user.get_session_auth_hash()
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    # Some minutes ahead: a run that asks for it again in the middle would measure that.
    session["account_authentication_methods"] = [{"method": "password", "at": time.time() + 1800}]
    session["account_authentication_methods_user"] = str(user.pk)
    session.save()
    assert session.session_key is not None
    return session.session_key


def _token(owner: User, server: str, number: int) -> str:
    row = RapidProToken(owner=owner, label=f"first {number}", state=TokenState.WORKING, checked_on=timezone.now())
    fields = services.sealed_fields(
        Secret(secret_of(owner.username, number)), row_id=row.pk, owner_id=owner.pk, server=server
    )
    for name, value in fields.items():
        setattr(row, name, value)
    row.workspace_uuid, row.workspace_name = uuid.uuid4(), "Nutrition"
    with canaries.sealing():
        row.save()
    return str(row.pk)


def main(people: int, tokens: int, idle: int, server: str) -> None:
    """Migrate, collect, make; print a list of people."""
    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    password, made = make_password(PASSWORD), []
    names = ["boss", *(f"person{number}" for number in range(1, people)), *["idle"] * bool(idle)]
    for number, name in enumerate(names):
        user = User.objects.create(
            username=name, email=f"{name}@example.org", password=password,
            is_staff=number == 0, is_superuser=number == 0,
        )  # fmt: skip
        if user.is_staff:
            TOTP.activate(user, generate_totp_secret())
        rows = [_token(user, server, each) for each in range(idle if name == "idle" else tokens)]
        made.append({"name": name, "session": _session(user), "tokens": rows})
    sys.stdout.write(json.dumps(made))


if __name__ == "__main__":
    main(*json.loads(sys.argv[1]))
