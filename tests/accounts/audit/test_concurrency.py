"""Many processes with many threads write at once into a real database: one chain, without a fork or a gap."""

from accounts.audit.models import AuditEntry
from accounts.audit.verification import verify
from tests.databases import RealDatabase

PROCESSES, THREADS, ENTRIES = 4, 6, 10


def test_writers_at_once_make_one_chain(real_database: RealDatabase) -> None:
    arguments = ("-m", "tests.accounts.audit.writers", str(THREADS), str(ENTRIES))
    writers = [real_database.run(*arguments) for _ in range(PROCESSES)]
    told = [writer.communicate(timeout=120)[0] for writer in writers]
    assert told == [str(THREADS * ENTRIES)] * PROCESSES
    with real_database.connected() as alias:
        verdict = verify(using=alias)
        last = AuditEntry.objects.using(alias).order_by("number").last()
    assert verdict.broken == ""
    assert verdict.entries == PROCESSES * THREADS * ENTRIES
    assert last is not None
    assert last.number == verdict.entries
