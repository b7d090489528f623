"""People, sessions and sealed tokens by the thousand in the database of the site: `python -m benchmarks.pages.people`.

    python -m benchmarks.pages.people make ORIGIN COUNT     prints the visits as JSON
    python -m benchmarks.pages.people renew                 says of each session that it was seen just now

Rows are written as a sign-in and a saved token would have left them, but many at once. A site notes once in some
minutes that a session was seen: without `renew` each page of a rare visitor would pay for it.
"""

import json
import sys
import time
import uuid
from datetime import timedelta
from importlib import import_module
from typing import Any

import django

_AT_ONCE = 2_000


def _store(key: str | None = None) -> Any:
    """Return a session of the kind that the settings name."""
    from django.conf import settings

    return import_module(settings.SESSION_ENGINE).SessionStore(key)


def _session_content(user: Any, key: str) -> dict[str, Any]:
    """Return what a session holds after the sign-in and the first look at a page."""
    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.http import HttpRequest

    from accounts import services

    request = HttpRequest()
    request.session = _store(key)
    seen = {"mark": services._mark(request), "at": time.time(), "since": time.time()}
    return {
        SESSION_KEY: str(user.pk),
        BACKEND_SESSION_KEY: settings.AUTHENTICATION_BACKENDS[0],
        HASH_SESSION_KEY: user.get_session_auth_hash(),
        services._SEEN: seen,
    }


def make(origin: str, count: int) -> list[dict[str, str]]:
    """Save so many people, each with one session and one working token at `origin`; return their visits."""
    from django.conf import settings
    from django.contrib.sessions.models import Session
    from django.db import connection
    from django.urls import reverse
    from django.utils import timezone

    from accounts.models import SignedInSession, User
    from benchmarks.pages.load import USER_AGENT
    from benchmarks.upstream import WORKSPACE_UUID
    from rapidpro_integration import canaries, vault
    from rapidpro_integration.models import RapidProToken, TokenState
    from rapidpro_integration.vault import Secret

    now, first = timezone.now(), User.objects.count()
    numbers = range(first, first + count)
    users = User.objects.bulk_create(
        [
            User(username=f"p{number}", email=f"p{number}@example.org", name=f"Person {number}", password="!")
            for number in numbers
        ],
        _AT_ONCE,
    )
    sessions, seen, tokens, visits = [], [], [], []
    store = _store()
    with canaries.sealing():
        for number, user in zip(numbers, users, strict=True):
            key = f"{number:032x}"
            content = store.encode(_session_content(user, key))
            sessions.append(Session(session_key=key, session_data=content, expire_date=now + timedelta(days=14)))
            seen.append(SignedInSession(session_id=key, user=user, address="192.0.2.7", user_agent=USER_AGENT))
            row_id, secret, label = uuid.uuid4(), Secret(f"{number:040x}"), f"Workspace of person {number}"
            sealed = vault.seal_token(secret, row_id=row_id, owner_id=user.pk, origin=origin)
            tokens.append(
                RapidProToken(
                    id=row_id,
                    owner=user,
                    label=label,
                    server=origin,
                    sealed=sealed.text,
                    key_id=sealed.key_id,
                    fingerprint=vault.ring().fingerprint(secret, owner_id=user.pk, origin=origin),
                    last_four=vault.last_four(secret),
                    state=TokenState.WORKING,
                    workspace_uuid=WORKSPACE_UUID,
                    workspace_name="Benchmark District Health",
                    workspace_time_zone="Africa/Maputo",
                    checked_on=now,
                    check_status=200,
                    next_check_on=now + timedelta(days=3_650),
                )
            )
            path = reverse("rapidpro:flow-list", args=[row_id])
            cookie = f"{settings.SESSION_COOKIE_NAME}={key}"
            visits.append({"path": path, "cookie": cookie, "mark": label + "<"})
        Session.objects.bulk_create(sessions, _AT_ONCE)
        SignedInSession.objects.bulk_create(seen, _AT_ONCE)
        RapidProToken.objects.bulk_create(tokens, _AT_ONCE)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return visits


def renew() -> None:
    """Say of each session that it was seen just now."""
    from django.contrib.sessions.models import Session

    from accounts.models import SignedInSession

    store, changed = _store(), []
    for row in SignedInSession.objects.select_related("session", "user").iterator():
        row.session.session_data = store.encode(_session_content(row.user, row.session_id))
        changed.append(row.session)
    Session.objects.bulk_update(changed, ["session_data"], batch_size=_AT_ONCE)


def main() -> None:
    """Do what the arguments say."""
    django.setup()
    match sys.argv[1:]:
        case ["make", origin, count]:
            sys.stdout.write(json.dumps(make(origin, int(count))))
        case ["renew"]:
            renew()
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
