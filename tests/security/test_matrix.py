"""Who gets what at every address of the project: a new address without a line in matrix.txt fails.

`python -m pytest tests/security/test_matrix.py` prints the line that is missing: look at it, then write it down.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
from allauth.account.models import EmailAddress, EmailConfirmation
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import SignedInSession, User
from rapidpro_integration.models import BulkAction, RapidProToken, Server, ServerRequest, TokenCheck
from tests.conftest import SERVER, just_proved
from tests.security.urls import UNKNOWN, address, names_in, routes, rows_of_the_admin

TABLE = Path(__file__).with_name("matrix.txt")
PEOPLE = ("stranger", "other", "bare_staff", "staff", "superuser")
REDIRECTS = {"/accounts/login/": "login", "/accounts/2fa/": "mfa", "/accounts/reauthenticate/": "proof"}
ROUTES = sorted(set(routes()))


def declared() -> dict[str, tuple[str, ...]]:
    """Return the ten declared answers of each route: GET of the five people, then POST."""
    lines = [line.split(" | ") for line in TABLE.read_text("utf-8").splitlines() if " | " in line and line[0] != "#"]
    return {route.strip(): tuple(get.split() + post.split()) for route, get, post in lines}


def kind(response: HttpResponse) -> str:
    """Return the status, or where it leads if that is one of the three doors."""
    target = response.headers.get("Location", "").partition("?")[0]
    return (
        REDIRECTS.get(target, str(response.status_code)) if response.status_code == 302 else str(response.status_code)
    )


class House:
    """Everybody who could knock, each in a browser of their own, and a row of everything."""

    def __init__(self, owner: User, other: User, token: RapidProToken) -> None:
        self.owner, self.token = owner, token
        self.browsers = {"stranger": Client(), "other": just_proved(Client(), other)}
        for name, rights, factor in (
            ("bare_staff", {"is_staff": True}, False),
            ("staff", {"is_staff": True}, True),
            ("superuser", {"is_staff": True, "is_superuser": True}, True),
        ):
            user = User.objects.create_user(name, f"{name}@example.org", "a long enough passphrase", **rights)
            if factor:
                TOTP.activate(user, generate_totp_secret())
            self.browsers[name] = just_proved(Client(), user)
        self.browsers["owner"] = just_proved(Client(), owner)
        self.browsers["owner"].get("/accounts/sessions/")
        for user in User.objects.all():
            mail = EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
            EmailConfirmation.create(mail)
        # An id that stands nowhere else on a page: 24 is in every icon.
        key = Authenticator.objects.create(
            pk=123_454_321, user=owner, type=Authenticator.Type.WEBAUTHN, data={"name": "theirs"}
        )
        Group.objects.create(name="helpers")
        Server.objects.get_or_create(origin=SERVER, defaults={"name": "RapidPro"})
        ServerRequest.objects.create(person=owner, name="Wish", origin="https://wish.example")
        session = SignedInSession.objects.filter(user=owner).first()
        assert session is not None
        TokenCheck.objects.create(token=token, started_on=timezone.now(), state="working", trigger="due", server=SERVER)
        self.ids = rows_of_the_admin() | {"token_id": token.pk, "kind": "csv", "session_id": session.pk, "pk": key.pk}
        self.ids["user_id"] = owner.pk
        self.ids["action_id"] = BulkAction.objects.create(kind="check", token_ids=[str(token.pk)]).pk
        self.ids["accounts.user.object_id"] = self.ids["accounts.user.id"] = owner.pk
        for browser in self.browsers.values():
            browser.raise_request_exception = False

    def ask(self, person: str, method: str, where: str, **options: Any) -> Any:
        """Return the answer; what it changed is undone."""
        with transaction.atomic():
            cookies = self.browsers[person].cookies.copy()
            response = getattr(self.browsers[person], method)(where, **options)
            self.browsers[person].cookies = cookies
            transaction.set_rollback(True)
        return response


@pytest.fixture
def house(
    owner: User, other: User, token: RapidProToken, settings: Settings, respx_mock: respx.MockRouter
) -> Iterator[House]:
    settings.RATELIMIT_ENABLE = False
    settings.ACCOUNT_RATE_LIMITS = False
    settings.RATE_LIMITS = dict.fromkeys(settings.RATE_LIMITS, "100000/m/user")
    settings.USE_TZ = True
    respx_mock.route().mock(return_value=httpx.Response(403, json={"detail": "Invalid token"}))
    yield House(owner, other, token)
    assert not respx_mock.calls, "somebody else's token was used"


def test_every_address_has_a_line_and_every_line_an_address() -> None:
    assert sorted(declared()) == ROUTES
    assert len(ROUTES) > 90


def test_answers_are_as_declared(house: House) -> None:
    table, unlike, asked = declared(), [], 0
    for route in ROUTES:
        where = address(route, house.ids)
        answers = [kind(house.ask(person, method, where)) for method in ("get", "post") for person in PEOPLE]
        asked += len(answers)
        if table.get(route) != tuple(answers) or "500" in answers:
            unlike.append(f"{route} | {' '.join(answers[:5])} | {' '.join(answers[5:])}")
    assert unlike == []
    assert asked == len(ROUTES) * 10 > 1000


# --- Another's and nobody's ---------------------------------------------------------------------

_OURS = [
    each for each in ROUTES if not each.startswith("admin/") and {"token_id", "session_id", "pk"} & {*names_in(each)}
]
_CHANGING = re.compile(r'name="csrfmiddlewaretoken" value="\w+"|"X-CSRFToken": *"\w+"')


def bytes_of(response: Any, ids: dict[str, Any]) -> tuple[int, str, str]:
    """Return status, headers and page without CSRF tokens, the answer's own id and the ids that were asked for."""
    text, headers = response.content.decode(), str(sorted(response.headers.items()))
    for value in (response.headers["X-Request-Id"], *ids.values()):
        # Whole words: an id of one digit is no part of a page's length.
        text, headers = (re.sub(rf"\b{value}\b", "ID", where) for where in (text, headers))
    return response.status_code, headers, _CHANGING.sub("CSRF", text)


@pytest.mark.parametrize("person", ["stranger", "other", "staff", "superuser"])
def test_anothers_row_and_no_row_are_the_same_bytes(house: House, person: str) -> None:
    assert len(_OURS) >= 10
    for route in _OURS:
        names = set(names_in(route)) - {"flow_uuid"}
        owners = {name: house.ids[name] for name in names} | {"flow_uuid": UNKNOWN["flow_uuid"]}
        nobodys = {name: UNKNOWN[name] for name in owners}
        for method in ("get", "post", "put", "delete", "head", "options"):
            answers = [
                bytes_of(house.ask(person, method, address(route, ids)), {name: ids[name] for name in names})
                for ids in (owners, nobodys)
            ]
            assert answers[0] == answers[1], (route, method)


# --- Changes -----------------------------------------------------------------------------------

# What a look may write: when a session was seen, who looked, and that a token was used.
_WRITTEN_BY_LOOKS = {"django_session", "accounts_signedinsession", "accounts_auditentry", "accounts_audithead"}


def written_to(statement: str) -> str | None:
    """Return the table that a statement changes, or None if it changes none."""
    if re.match(r"\s*(SELECT|SAVEPOINT|RELEASE|ROLLBACK|SET CONSTRAINTS)\b", statement):
        return None
    names = re.match(r'\s*(?:INSERT INTO|UPDATE|DELETE FROM) "(\w+)"', statement)
    return names[1] if names else statement


def test_no_get_changes_anything(house: House) -> None:
    changed, asked = set[str](), 0

    def note(execute: Callable[..., Any], statement: str, *rest: Any) -> Any:
        if (table := written_to(statement)) not in _WRITTEN_BY_LOOKS | {None}:
            changed.add(str(table))
        return execute(statement, *rest)

    for person in ("owner", "superuser", "stranger"):
        for route in ROUTES:
            if person == "owner" and "/flows/" in route:
                continue  # the owner's own flows are read with the token, and that it was used is written down
            for method in ("get", "head", "options"):
                with connection.execute_wrapper(note):
                    house.ask(person, method, address(route, house.ids))
                asked += 1
            assert changed == set(), (person, route)
    assert asked > 700
    with connection.execute_wrapper(note):
        house.token.save()
    assert changed == {"rapidpro_integration_rapidprotoken"}, "and a change would have been seen"


_LOOKS_ALONE = {"healthz", "livez", "readyz"}


def test_no_post_without_a_csrf_token_gets_in(house: House) -> None:
    for person in ("stranger", "owner", "superuser"):
        strict = Client(enforce_csrf_checks=True, raise_request_exception=False)
        strict.cookies = house.browsers[person].cookies.copy()
        for route in ROUTES:
            for method in ("post", "put", "patch", "delete") if person == "owner" else ("post",):
                response = getattr(strict, method)(address(route, house.ids))
                told = (response.status_code, "out of date" in response.content.decode())
                # What machines ask is answered first, and is never more than a look.
                assert told == ((405, False) if route in _LOOKS_ALONE else (403, True)), (person, method, route)
