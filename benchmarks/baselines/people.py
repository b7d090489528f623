"""`python -m benchmarks.baselines.people ORIGIN COUNT`: tables and people of the baselines; prints the visits."""

import json
import os
import sys
import uuid
from datetime import timedelta
from typing import Any

import django

_AT_ONCE = 2_000


def make(origin: str, count: int) -> list[dict[str, str]]:
    """Save so many people, each with a session of both kinds and one token; return their visits."""
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.auth.models import User
    from django.contrib.sessions.backends.db import SessionStore
    from django.contrib.sessions.models import Session
    from django.db import connection
    from django.utils import timezone

    from benchmarks.baselines.models import PlainSession, Token
    from benchmarks.baselines.sealing import seal

    users = User.objects.bulk_create(
        [User(username=f"person-{number}", password="!") for number in range(count)], _AT_ONCE
    )
    until, store = timezone.now() + timedelta(days=14), SessionStore()
    sessions, plain, tokens, visits = [], [], [], []
    for number, user in enumerate(users):
        content: dict[str, Any] = {
            SESSION_KEY: str(user.pk),
            BACKEND_SESSION_KEY: "django.contrib.auth.backends.ModelBackend",
            HASH_SESSION_KEY: user.get_session_auth_hash(),
        }
        key, row_id, label = f"{number:032x}", uuid.uuid4(), f"Workspace of person {number}"
        sessions.append(Session(session_key=key, session_data=store.encode(content), expire_date=until))
        plain.append(PlainSession(key=key, owner=user, expires_on=until))
        sealed = seal(f"{number:040x}", str(row_id))
        tokens.append(Token(id=row_id, owner=user, label=label, server=origin, sealed=sealed))
        path = f"/tokens/{row_id}/flows/"
        visits.append({"path": path, "cookie": f"sessionid={key}", "mark": label + "<"})
    for model, rows in ((Session, sessions), (PlainSession, plain), (Token, tokens)):
        model.objects.bulk_create(rows, _AT_ONCE)  # type: ignore[attr-defined]  # of any model
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return visits


def main() -> None:
    """Make the tables, then the people."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.baselines.settings"
    django.setup()
    from django.core.management import call_command

    # The first time for the tables of Django, which ours refer to.
    call_command("migrate", verbosity=0)
    call_command("migrate", run_syncdb=True, verbosity=0)
    sys.stdout.write(json.dumps(make(sys.argv[1], int(sys.argv[2]))))


if __name__ == "__main__":
    main()
