"""`manage.py audit` tells the truth by its words and by its exit code."""

import csv
import io
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from accounts.audit import triggers
from accounts.audit.actions import Action
from accounts.audit.exporting import COLUMNS
from accounts.audit.models import AuditEntry
from accounts.audit.services import record
from accounts.models import User
from tests.conftest import Sql
from tests.databases import RealDatabase


@pytest.fixture
def log(owner: User) -> list[AuditEntry]:
    """Return three entries, oldest first."""
    for _ in range(2):
        record(Action.SIGNED_IN, owner=owner, by=owner)
    return list(AuditEntry.objects.order_by("number"))


def test_verify_tells_a_whole_log_and_its_head(log: list[AuditEntry], capsys: pytest.CaptureFixture[str]) -> None:
    call_command("audit", "verify")
    told = capsys.readouterr().out
    assert "whole: 3 entries" in told
    assert f"3:{log[-1].mac}" in told
    call_command("audit", "verify", "--head", f"2:{log[1].mac}")


def test_verify_names_the_first_broken_row(log: list[AuditEntry], sql: Sql) -> None:
    sql("UPDATE accounts_auditentry SET actor_name = 'x' WHERE number > 1")
    with pytest.raises(CommandError, match="entry 2 was changed") as caught:
        call_command("audit", "verify")
    assert caught.value.returncode == 1


def test_verify_of_a_changed_database_exits_with_1(real_database: RealDatabase) -> None:
    made = real_database.run("-m", "tests.accounts.audit.writers", "1", "3")
    assert made.communicate(timeout=60)[0] == "3"
    whole = real_database.run("manage.py", "audit", "verify")
    assert "whole: 3 entries" in whole.communicate(timeout=60)[0]
    assert whole.returncode == 0
    with real_database.connected() as alias:
        triggers.drop(connections[alias])
        with connections[alias].cursor() as cursor:
            cursor.execute("UPDATE accounts_auditentry SET action = 'signed_out' WHERE number = 1")
        triggers.create(connections[alias])
    broken = real_database.run("manage.py", "audit", "verify")
    broken.communicate(timeout=60)
    assert broken.returncode == 1


def test_export_writes_every_entry_with_its_signature(log: list[AuditEntry], tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    call_command("audit", "export", "--csv", "--output", str(file))
    rows = list(csv.DictReader(io.StringIO(file.read_text("utf-8"))))
    assert tuple(rows[0]) == COLUMNS
    assert [row["mac"] for row in rows[:3]] == [entry.mac for entry in log]
    assert [row["action"] for row in rows] == ["account_made", "signed_in", "signed_in", "log_exported"]
    with pytest.raises(CommandError, match="exists"):
        call_command("audit", "export", "--csv", "--output", str(file))


def test_export_goes_to_the_output(log: list[AuditEntry], capsys: pytest.CaptureFixture[str]) -> None:
    call_command("audit", "export", "--csv")
    assert len(list(csv.reader(io.StringIO(capsys.readouterr().out)))) == 5


def test_prune_by_command(log: list[AuditEntry], sql: Sql, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("audit", "prune", "--keep-days", "1")
    assert "0 entries older than 1 days were removed" in capsys.readouterr().out
    call_command("audit", "prune", "--keep-days", "0")
    assert "3 entries" in capsys.readouterr().out
    with pytest.raises(CommandError, match="0 or more"):
        call_command("audit", "prune", "--keep-days", "-1")
    sql("UPDATE accounts_auditentry SET actor_name = 'x'")
    with pytest.raises(CommandError, match="Nothing was removed"):
        call_command("audit", "prune", "--keep-days", "0")
    call_command("audit", "prune", "--keep-days", "0", "--although-broken")
    assert AuditEntry.objects.count() == 1
