"""A process that writes entries from many threads at once: `python -m tests.accounts.audit.writers THREADS ENTRIES`."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")


def write(entries: int) -> int:
    """Write entries one after the other; every second one inside a transaction with other work. Return how many."""
    from django.db import connection, transaction

    from accounts.audit.actions import Action
    from accounts.audit.services import record
    from accounts.models import User

    for number in range(entries):
        if number % 2:
            with transaction.atomic():
                User.objects.filter(username="nobody").update(name=str(number))
                record(Action.TOKEN_OPENED, details={"process": os.getpid(), "n": number})
        else:
            record(Action.SIGNED_IN)
    connection.close()
    return entries


if __name__ == "__main__":
    threads, entries = map(int, sys.argv[1:])
    django.setup()
    with ThreadPoolExecutor(threads) as pool:
        sys.stdout.write(str(sum(pool.map(write, [entries] * threads))))
