"""A process of its own that signs 50 people in at once, by the page, with real Argon2; prints what it took as JSON.

Run by test_hashers.py: the most memory that a process ever had can be asked of a fresh process only.
"""

import json
import os
import resource
import sys
import threading
import time
from collections import Counter
from pathlib import Path

PEOPLE = 50
PASSWORD = "a long enough passphrase"


def peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(folder: Path) -> None:
    os.environ |= {"DJANGO_SETTINGS_MODULE": "tests.settings", "DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}"}
    import django
    from django.conf import settings

    django.setup()
    settings.ACCOUNT_RATE_LIMITS = False
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client, override_settings

    from accounts.models import User

    call_command("migrate", verbosity=0)
    owner = User.objects.create_user("owner", "owner@example.org", PASSWORD)
    together = threading.Barrier(PEOPLE)
    answers: list[tuple[int, str]] = []

    def sign_in() -> None:
        client = Client()
        client.get("/accounts/login/")
        together.wait()
        response = client.post("/accounts/login/", {"login": "owner", "password": PASSWORD})
        answers.append((response.status_code, response.headers.get("Retry-After", "")))
        connection.close()

    def storm() -> None:
        threads = [threading.Thread(target=sign_in) for _ in range(PEOPLE)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    # A first storm with the tests' own cheap digest pays for what 50 threads, pages and mails leave behind.
    storm()
    answers.clear()
    with override_settings(PASSWORD_HASHERS=["accounts.hashers.Argon2Hasher"]):
        owner.set_password(PASSWORD)
        owner.save()
        before, started = peak_kib(), time.monotonic()
        storm()
    found = {
        "grown_kib": peak_kib() - before,
        "seconds": round(time.monotonic() - started, 2),
        "statuses": Counter(status for status, _ in answers),
        "retry_after": sorted({after for status, after in answers if status == 503}),
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
