"""How long each staff page takes with a large demo, and whether the database reads whole tables for it.

    DATABASE_URL=postgres://… DEBUG=true … python -m benchmarks.bench_staff [--write]

Fill the database first: `manage.py migrate`, `manage.py demo --large` (or with --tokens 10000 --days 365 and so on).
Each page is asked for in this process, through every middleware, as a superuser; the table has the median of a few
rounds. Every SELECT is explained too: where PostgreSQL reads one of the tables that grow (BIG) from end to end and
throws more than half of it away, an index is missing, and it ends with 1. So does a page of more than a second.
`--write` puts the table in its section of docs/benchmarks.md, in the row of this data's size.
"""

import argparse
import json
import os
import re
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import django
from asgiref.sync import async_to_sync

from benchmarks import sections

ROUNDS = 7
DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
SECTION = "staff"
INTRODUCTION = """## Staff pages

`python -m benchmarks.bench_staff --write` on a database that `manage.py demo --large` has filled: through every
middleware, in one process, on a machine that was busy with other things. *SQL* is the time that the database took,
*page* all of it. Every statement is explained with `EXPLAIN (ANALYZE)`: *read in vain* names each of the tables that
grow of which PostgreSQL read everything and threw away more than half, so that an index is missing."""
BIG = (
    "rapidpro_integration_tokencheck",
    "rapidpro_integration_workspacehour",
    "rapidpro_integration_serverhour",
    "accounts_auditentry",
)
_SLOW_S = 1.0


@dataclass(frozen=True, slots=True)
class Measured:
    """One page."""

    name: str
    queries: int
    sql_ms: float
    page_ms: float
    kilobytes: float
    scans: list[str]


def pages() -> dict[str, str]:
    """Return the pages by name; those of one row take a row that is there."""
    from rapidpro_integration.models import RapidProToken, WorkspaceHour

    token = RapidProToken.objects.exclude(workspace_uuid=None).order_by("-last_used_on").first()
    hour = WorkspaceHour.objects.order_by("-hour", "-requests").first()
    assert token is not None  # there is a demo
    assert hour is not None
    return {
        "Overview": "/staff/overview/",
        "Overview, 90 days": "/staff/overview/?range=90d",
        "Overview, a year": "/staff/overview/?range=365d",
        "Tokens": "/staff/tokens/",
        "Tokens, searched": "/staff/tokens/?q=nairobi&sort=owner",
        "Tokens, workspace held by several": "/staff/tokens/?shared=on&sort=workspace",
        "Tokens, last page": "/staff/tokens/?page=9999",
        "Checks, 24 hours": "/staff/checks/",
        "Checks, failed, 90 days": "/staff/checks/?failed=on&range=90d",
        "Checks of one token": f"/staff/checks/?token={token.pk}&range=365d",
        "Servers": "/staff/servers/",
        "Servers, a year": "/staff/servers/?range=365d",
        "One server, 30 days": f"/staff/server/?server={token.server}&range=30d",
        "Workspaces": "/staff/workspaces/",
        "One workspace, 30 days": f"/staff/workspace/?server={hour.server}&workspace={hour.workspace_uuid}&range=30d",
        "People": "/staff/users/",
        "People, by tokens": "/staff/users/?sort=-tokens&factor=no",
        "One person": f"/staff/users/{token.owner_id}/",
        "Work": "/staff/work/",
        "Audit log": "/staff/audit/",
        "Audit log, searched, a year": "/staff/audit/?range=365d&q=amina",
        "Tokens as CSV": "/staff/tokens.csv",
        "People as CSV": "/staff/users.csv",
    }


def body_of(response: Any) -> bytes:
    """Return all of an answer."""
    if not response.streaming:
        return bytes(response.content)

    async def whole() -> bytes:
        return b"".join([part async for part in response])

    return async_to_sync(whole)()


def scans_of(statements: Sequence[str]) -> list[str]:
    """Return which of the big tables PostgreSQL reads from end to end for these statements without need."""
    from django.db import connection

    found = []
    with connection.cursor() as cursor:
        for statement in statements:
            if not statement.startswith("SELECT") or "FOR UPDATE" in statement:
                continue
            cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement.replace('%', '%%')}")
            plan = cursor.fetchone()[0]
            found += _wasteful((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"])
    return sorted(set(found))


def _wasteful(node: dict[str, Any]) -> list[str]:
    """Return the big tables that are read whole for less than half of their rows."""
    found = [table for child in node.get("Plans", []) for table in _wasteful(child)]
    is_whole = node["Node Type"] == "Seq Scan" and node["Relation Name"] in BIG
    # A part of a name is looked for in every row of the time: that takes no index without an extension.
    is_search = "~~" in node.get("Filter", "")
    if is_whole and not is_search and node.get("Rows Removed by Filter", 0) > max(node["Actual Rows"], 1_000):
        found.append(node["Relation Name"])
    return found


def measure(browser: Any, name: str, address: str) -> Measured:
    """Ask for the page a few times."""
    from django.db import connection, reset_queries

    browser.get(address)  # what is asked once and kept, and the entry of the look
    times, sql_times, statements, size = [], [], [], 0
    for _ in range(ROUNDS):
        reset_queries()
        begun = time.perf_counter()
        response = browser.get(address)
        assert response.status_code == 200, (address, response.status_code)
        size = len(body_of(response))
        times.append(time.perf_counter() - begun)
        statements = [query["sql"] for query in connection.queries]
        sql_times.append(sum(float(query["time"]) for query in connection.queries))
    scans = scans_of(statements) if connection.vendor == "postgresql" else []
    median = statistics.median
    return Measured(name, len(statements), median(sql_times) * 1000, median(times) * 1000, size / 1000, scans)


def table(rows: Sequence[Measured]) -> list[str]:
    """Return the rows as Markdown."""
    head = ["| Page | queries | SQL ms | page ms | kB | read in vain |", "|---|--:|--:|--:|--:|---|"]
    return head + [
        f"| {row.name} | {row.queries} | {row.sql_ms:.0f} | {row.page_ms:.0f} | {row.kilobytes:.0f} | "
        f"{', '.join(row.scans) or '–'} |"
        for row in rows
    ]


def size() -> str:
    """Return what is in the database, as the heading of its table."""
    from django.db import connection

    from accounts.models import User
    from rapidpro_integration.models import RapidProToken, ServerHour, TokenCheck, WorkspaceHour

    days = (ServerHour.objects.latest("hour").hour - ServerHour.objects.earliest("hour").hour).days
    hours = ServerHour.objects.count() + WorkspaceHour.objects.count()
    return (
        f"{User.objects.count():,} people, {RapidProToken.objects.count():,} tokens, {days} days: "
        f"{TokenCheck.objects.count():,} checks, {hours:,} hourly rows ({connection.vendor})"
    )


def write(heading: str, lines: Sequence[str]) -> None:
    """Put the table into the document, in the place of the one of the same size."""
    text = sections.sections(DOCUMENT.read_text("utf-8"))
    inside = text.partition(f"<!-- {SECTION}: begin -->")[2].partition(f"<!-- {SECTION}: end -->")[0]
    parts = [part.strip() for part in re.split(r"(?m)^(?=### )", inside) if part.startswith("### ")]
    parts = [part for part in parts if part.split(": ")[0] != f"### {heading}".split(": ")[0]]
    parts = sorted([*parts, "\n".join([f"### {heading}", "", *lines])], key=len)
    sections.put(DOCUMENT, SECTION, "\n\n".join([INTRODUCTION, *parts]))


def main() -> int:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.conf import settings
    from django.db import connection
    from django.test import Client

    from accounts.models import User

    settings.ALLOWED_HOSTS = ["*"]
    connection.force_debug_cursor = True
    staff, _ = User.objects.get_or_create(
        username="bench", defaults={"email": "bench@example.org", "is_staff": True, "is_superuser": True}
    )
    browser = Client()
    browser.force_login(staff)
    rows = [measure(browser, name, address) for name, address in pages().items()]
    heading, lines = size(), table(rows)
    print(heading, *lines, sep="\n")
    if options.write:
        write(heading, lines)
    slow = [row.name for row in rows if row.page_ms > _SLOW_S * 1000 and "CSV" not in row.name]
    scanned = [row.name for row in rows if row.scans]
    if slow or scanned:
        print(f"Too slow: {slow}. Read in vain: {scanned}.", file=sys.stderr)
    return bool(slow or scanned)


if __name__ == "__main__":
    raise SystemExit(main())
