"""A process that opens one token again and again: `python -m tests.rapidpro_integration.openers TIMES THREADS END`."""

import os
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
TOKEN_ID = UUID("5a1e7a8c-7a35-4f0e-9b5f-0e3c7c2f5d10")


class Token:
    """What the log reads of a token."""

    pk, owner_id, label = TOKEN_ID, 1, "Clinics"


def opener() -> Callable[[int], None]:
    """Return a function that notes an opening from whichever thread it is called in."""
    from django.db import connection

    from rapidpro_integration.openings import Purpose, note_opening

    def note(_: int) -> None:
        note_opening(Token(), Purpose.FLOWS)
        connection.close()

    return note


if __name__ == "__main__":
    times, threads, end = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    django.setup()
    if end == "minute over":
        from rapidpro_integration import openings

        # A clock that has half a second left of its minute; the timer that waits for its end is the real one.
        began = time.time()
        openings._openings = openings.Openings(clock=lambda: 59.5 + time.time() - began)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(opener(), range(times)))
    if end == "minute over":
        time.sleep(3)
    if end != "ended":
        os.kill(os.getpid(), signal.SIGKILL)
