"""Two real workers on one database, and one of them is killed in the middle of its checks."""

import json
import signal
import time
from collections import Counter
from pathlib import Path

from tests.databases import RealDatabase
from tests.processes import Site, output_of
from tests.rapidpro_integration.health.worker_process import COUNT, SERVERS
from tests.security.rotation import OLD as KEY

PROCESS = ("-m", "tests.rapidpro_integration.health.worker_process")
MOST = 4


def lines(log: Path) -> list[list[str]]:
    return [line.split() for line in log.read_text("utf-8").splitlines()] if log.exists() else []


def most_at_once(told: list[list[str]]) -> int:
    """Return how many requests one server had under way at most."""
    now, most = Counter[str](), 0
    for _, what, server, _ in told:
        now[server] += 1 if what == "asks" else -1
        most = max(most, now[server])
    return most


def test_each_due_token_is_checked_once_although_a_worker_is_killed(
    real_database: RealDatabase, tmp_path: Path
) -> None:
    site = Site(real_database.url, RAPIDPRO_SERVERS=",".join(SERVERS), DJANGO_SETTINGS_MODULE="config.settings")
    log = tmp_path / "requests"
    go = tmp_path / "go"
    workers = {name: site.start(KEY, *PROCESS, "work", name, str(log), str(go)) for name in ("a", "b")}
    verifier = site.start(KEY, *PROCESS, "verify")
    try:
        for worker in workers.values():
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        go.touch()
        ends = time.monotonic() + 30
        while {name for name, *_ in lines(log)} != {"a", "b"}:
            assert time.monotonic() < ends, "both should be at it"
            assert all(worker.poll() is None for worker in workers.values())
            time.sleep(0.01)
        workers["a"].kill()
        workers["a"].wait()
        before = lines(log)
        under_way = Counter(token for name, what, _, token in before if name == "a" and what == "asks")
        under_way.subtract(token for name, what, _, token in before if name == "a" and what == "hears")
        found = json.loads(output_of(verifier))
        workers["b"].send_signal(signal.SIGTERM)
        assert workers["b"].wait(10) == 0
    finally:
        for process in (*workers.values(), verifier):
            process.kill()
            process.communicate()
    assert sorted(found["checks"], key=int) == [str(number) for number in range(COUNT)], "each once"
    assert found["leased"] == 0
    assert most_at_once(before) <= MOST
    # Only what the killed one had under way was asked about again.
    asked = Counter(token for _, what, _, token in lines(log) if what == "asks")
    assert {token for token, count in asked.items() if count > 1} <= {
        token for token, left in under_way.items() if left
    }
    assert max(asked.values()) <= 2
    assert {status for status, _ in found["tasks"]} == {"SUCCESSFUL"}
    assert ["a", "b"] in [workers for _, workers in found["tasks"]], "the killed one's task was taken over"
    assert "b" in found["beats"]
