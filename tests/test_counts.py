"""What a page costs that no machine changes: hops to threads, queries, new connections, requests to RapidPro.

Each number is the most that a page may cost. Who needs one more says here why. `python -m benchmarks.bench_frame`
measures the time beside it.
"""

import json
from typing import Any

import pytest
from django.db import connection

from tests.databases import RealDatabase

# hops, queries, requests to RapidPro
MOST: dict[str, tuple[int, int, int]] = {
    "healthz": (0, 0, 0),
    "front, a stranger's": (2, 0, 0),
    "home": (3, 2, 0),
    "token list": (3, 3, 0),
    "one token": (3, 5, 0),
    "flow list, kept": (12, 2, 0),
    "flow list, asking": (33, 12, 1),
    "one flow": (6, 2, 1),
    "profile": (3, 1, 0),
    # A count for each state that has an index of its own, rather than one over the whole table.
    "staff overview": (3, 19, 0),
}


@pytest.fixture
def counts(real_database: RealDatabase) -> dict[str, dict[str, Any]]:
    """Return what each page did, in a process and a database of their own."""
    told, _ = real_database.run("-m", "benchmarks.frame_child").communicate(timeout=300)
    found: dict[str, dict[str, Any]] = json.loads(told)
    return found


@pytest.mark.django_db
def test_no_page_costs_more_than_it_did(counts: dict[str, dict[str, Any]]) -> None:
    assert set(counts) == set(MOST)
    too_many = []
    # PostgreSQL's come from the pool; SQLite's are files that are opened.
    connections = 0 if connection.vendor == "postgresql" else 1
    for page, (hops, queries, upstream) in MOST.items():
        limits = {"hops": hops, "queries": queries, "upstream": upstream, "connections": connections, "threads": 0}
        for what, most in limits.items():
            made = counts[page][what]
            if len(made) > most:
                too_many.append(f"{page}: {len(made)} {what}, at most {most} are allowed:\n  " + "\n  ".join(made))
    assert not too_many, "\n".join(too_many)
