"""Which databases of the local Redis a run of the suite may empty: the two runs of CI go on side by side."""

import os

_SERVER = os.environ.get("TEST_REDIS", "redis://127.0.0.1:6379")
_FIRST = 10 if os.environ.get("DATABASE_URL", "").startswith("postgres") else 1


def redis_database(number: int) -> str:
    """Return the address of this run's database of that number, from 0 to 4."""
    return f"{_SERVER}/{_FIRST + number}"
