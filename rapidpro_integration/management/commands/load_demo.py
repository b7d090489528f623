"""`manage.py load_demo`: the people and tokens that a newcomer can try everything with."""

import contextlib
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from allauth.account.models import EmailAddress
from asgiref.sync import async_to_sync
from django.conf import settings
from django.core.checks import Tags
from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, connection, transaction

from accounts.models import User
from rapidpro_integration import notices, services
from rapidpro_integration.checking import CheckOutcome, acheck_secret
from rapidpro_integration.sandbox.app import create_app
from rapidpro_integration.sandbox.serve import serving
from rapidpro_integration.sandbox.tokens import TOKENS
from rapidpro_integration.vault import Secret

PASSWORD = "sandbox-only"  # noqa: S105  # of accounts that exist in the local demo only

# E-mail address: name, staff, {label: name of a sandbox token}.
PEOPLE: dict[str, tuple[str, bool, dict[str, str]]] = {
    "owner@example.org": (
        "Amina Owner",
        False,
        {
            "National programme": "national",
            "Clinics": "clinics",
            "Bee school": "gallery",
            "Left-over of last year": "revoked",
        },
    ),
    "other@example.org": ("Omar Other", False, {"Districts": "districts"}),
    "staff@example.org": ("Sita Staff", True, {}),
}


class Command(BaseCommand):
    """Make the demo accounts and their tokens, once; a second run changes nothing that is there."""

    help = "Make the demo accounts with tokens of the sandbox; only with DEBUG on and the local SQLite file."

    def handle(self, *args: Any, **options: Any) -> None:
        """Refuse anything but a local demo; then make what is missing."""
        self._refuse_real_sites()
        self.check(tags=[Tags.database], include_deployment_checks=True, databases=[DEFAULT_DB_ALIAS])
        with transaction.atomic():
            people = {email: self._person(email, name, staff) for email, (name, staff, _) in PEOPLE.items()}
        wanted = [
            (people[email], label, Secret(TOKENS[name].secret))
            for email, (_, _, tokens) in PEOPLE.items()
            for label, name in tokens.items()
            if not people[email].rapidpro_tokens.filter(label=label, server=settings.SANDBOX_ORIGIN).exists()
        ]
        outcomes: list[CheckOutcome] = []
        if wanted:
            with _sandbox():
                outcomes = async_to_sync(_acheck_all)([secret for _, _, secret in wanted])
        with notices.silence():
            for (person, label, secret), outcome in zip(wanted, outcomes, strict=True):
                self._save(person, label, secret, outcome)
        self.stdout.write(f"Demo accounts: {', '.join(PEOPLE)} (password {PASSWORD})")

    def _refuse_real_sites(self) -> None:
        if not settings.DEBUG:
            raise CommandError("The demo is made only with DEBUG on.")
        name = connection.settings_dict["NAME"]
        if connection.vendor != "sqlite" or not Path(name).is_file():
            raise CommandError("The demo is made only in the local SQLite file.")
        if not settings.SANDBOX_ORIGIN:
            raise CommandError("The demo needs SANDBOX_ORIGIN, the address of the sandbox, as http://127.0.0.1:8001.")

    def _save(self, person: User, label: str, secret: Secret, outcome: CheckOutcome) -> None:
        """Save a demo token; one that an earlier run made for another port moves along."""
        server = settings.SANDBOX_ORIGIN
        earlier = person.rapidpro_tokens.filter(label=label, server__startswith="http://127.0.0.1:").first()
        with contextlib.suppress(services.TokenAlreadySaved):  # the person saved it under another label: leave it
            if earlier is not None:
                services.replace_token(earlier, server, secret, outcome)
            else:
                services.add_token(person.pk, label, server, secret, outcome)

    def _person(self, email: str, name: str, staff: bool) -> User:
        """Return the account, made if it is missing; one that exists keeps what was changed in it."""
        user, is_new = User.objects.get_or_create(
            username=email.partition("@")[0],
            defaults={"email": email, "name": name, "is_staff": staff, "is_superuser": staff},
        )
        if is_new:
            user.set_password(PASSWORD)
            user.save()
            EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)
        return user


async def _acheck_all(secrets: list[Secret]) -> list[CheckOutcome]:
    """Return what the sandbox says of each token: really asked, so that the demo shows nothing untrue."""
    return [await acheck_secret(secret, settings.SANDBOX_ORIGIN) for secret in secrets]


def _sandbox() -> contextlib.AbstractContextManager[object]:
    """Serve the sandbox for a moment, unless it already runs."""
    address = urlsplit(settings.SANDBOX_ORIGIN)
    host, port = address.hostname or "", address.port or 80
    with socket.socket() as probe:
        running = probe.connect_ex((host, port)) == 0
    return contextlib.nullcontext() if running else serving(create_app(), host, port)
