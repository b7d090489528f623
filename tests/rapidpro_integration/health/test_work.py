"""Background work in the rows of django-tasks-db: taken over from the dead, tried again, taken out of the queue."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import transaction
from django.tasks import task
from django.utils import timezone
from django_tasks_db.management.commands import db_worker
from django_tasks_db.models import DBTaskResult
from pytest_django import Settings

from rapidpro_integration.health import heartbeat, tasks, watching, work
from rapidpro_integration.models import RapidProToken, TokenCheck, WorkerBeat
from tests.rapidpro_integration.health.test_rounds import WORKSPACE
from tests.rapidpro_integration.test_token_views import Answer

DATABASE = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
OLD = timedelta(minutes=5)


@task
def broken(word: str) -> None:
    """Fail."""
    raise RuntimeError(word)


@contextmanager
def beating_once(worker_id: str, *, also: Callable[[], object]) -> Iterator[None]:
    """Give one sign of life, in this thread: another one would have a database of its own here (see test_workers)."""
    heartbeat.beat(worker_id)
    also()
    yield


@pytest.fixture
def queue(settings: Settings, db: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Keep background work in the database, as the site does; return its rows."""
    settings.TASKS = DATABASE
    monkeypatch.setattr(heartbeat, "beating", beating_once)
    # The test's transaction lives in the connection that a worker would close between two tasks.
    monkeypatch.setattr(db_worker, "close_old_connections", lambda: None)
    return DBTaskResult.objects


def running(worker_id: str, *, attempts: int = 1, **fields: Any) -> DBTaskResult:
    """Return a task that a worker has begun a while ago."""
    result = tasks.housekeeping.enqueue()
    begun = {"status": "RUNNING", "started_at": timezone.now() - OLD, "worker_ids": [worker_id] * attempts}
    DBTaskResult.objects.filter(pk=result.id).update(**begun | fields)
    row: DBTaskResult = DBTaskResult.objects.get(pk=result.id)
    return row


def work_through() -> None:
    call_command("db_worker", batch=True, interval=0, startup_delay=False, reload=False, verbosity=0)


def test_killed_workers_task_is_taken_over(queue: Any) -> None:
    row = running("dead")
    assert work.take_over() == (1, 0)
    assert work.take_over() == (0, 0)
    row.refresh_from_db()
    assert (row.status, row.worker_ids) == ("READY", ["dead"])


def test_living_workers_task_is_left_alone(queue: Any) -> None:
    heartbeat.beat("alive")
    running("alive")
    running("just begun", started_at=timezone.now())
    assert work.take_over() == (0, 0)


def test_task_that_brings_down_its_workers_is_given_up_and_said_to_be(queue: Any) -> None:
    row = running("dead", attempts=3)
    assert work.take_over() == (0, 1)
    row.refresh_from_db()
    assert row.status == "FAILED"
    assert row.task_result.errors[0].exception_class is work.WorkerDied


def test_failed_task_is_kept_and_can_be_tried_again(queue: Any) -> None:
    result = broken.enqueue("no")
    work_through()
    row = queue.get(pk=result.id)
    assert (row.status, row.exception_class_path) == ("FAILED", "builtins.RuntimeError")
    assert work.retry(result.id)
    assert not work.retry(result.id), "a second click"
    row.refresh_from_db()
    assert (row.status, row.worker_ids, row.traceback) == ("READY", [], "")
    assert not work.retry(uuid4())


def test_waiting_task_can_be_taken_out_and_a_done_one_not(queue: Any) -> None:
    first, second = tasks.housekeeping.enqueue(), broken.enqueue("no")
    assert work.cancel(second.id)
    work_through()
    assert not work.cancel(first.id)
    assert queue.get(pk=first.id).status == "SUCCESSFUL"
    assert queue.get(pk=second.id).exception_class_path.endswith("work.Cancelled")


def test_old_results_are_deleted_and_failures_kept_for_longer(queue: Any) -> None:
    done, failed = tasks.housekeeping.enqueue(), broken.enqueue("no")
    work_through()
    queue.update(finished_at=timezone.now() - timedelta(days=4))
    assert work.prune() == 1
    assert not queue.filter(pk=done.id).exists()
    queue.update(finished_at=timezone.now() - timedelta(days=31))
    assert work.prune() == 1
    assert not queue.filter(pk=failed.id).exists()


def test_work_is_handed_out_only_with_what_it_belongs_to(queue: Any) -> None:
    with transaction.atomic():
        work.hand_out(broken, "no")
        transaction.set_rollback(True)
    assert not queue.exists()


def test_another_backend_gets_the_work_after_the_commit(
    db: None, django_capture_on_commit_callbacks: Any, settings: Settings
) -> None:
    settings.TASKS = {"default": {"BACKEND": "django.tasks.backends.dummy.DummyBackend"}}
    from django.tasks import default_task_backend

    with django_capture_on_commit_callbacks(execute=True):
        work.hand_out(broken, "no")
        assert default_task_backend.results == []
    assert [result.args for result in default_task_backend.results] == [["no"]]
    for call in (work.retry, work.cancel):
        with pytest.raises(work.NotOurs):
            call(uuid4())
    assert work.take_over() == (0, 0)


def test_worker_is_ours_and_shows_that_it_is_alive(queue: Any) -> None:
    assert heartbeat.worker_heartbeat() is None
    work_through()
    assert heartbeat.worker_heartbeat() is not None


def test_heartbeat_is_the_newest_workers_and_not_the_schedulers(db: None) -> None:
    heartbeat.beat("a")
    heartbeat.beat("b")
    WorkerBeat.objects.filter(worker_id="a").update(beat_on=timezone.now() - OLD)
    heartbeat.beat("scheduler", WorkerBeat.Role.WATCH)
    assert heartbeat.worker_heartbeat() == WorkerBeat.objects.get(worker_id="b").beat_on
    assert heartbeat.living(timezone.now()) == {"b", "scheduler"}
    WorkerBeat.objects.filter(worker_id="a").update(beat_on=timezone.now() - timedelta(days=2))
    heartbeat.beat("c")
    assert not WorkerBeat.objects.filter(worker_id="a").exists()


def test_due_check_goes_from_the_scheduler_through_the_queue(
    queue: Any, token: RapidProToken, rapidpro: Answer
) -> None:
    rapidpro("workspace.json", json=WORKSPACE)
    assert watching.tick() == ["check_due", "housekeeping"]
    assert watching.tick() == [], "it is in the queue, and the housekeeping was done this hour"
    work_through()
    assert TokenCheck.objects.get().token_id == token.pk
    assert queue.get(task_path=tasks.check_due.module_path).return_value == {"checked": 1, "working": 1, "put_off": 0}
    assert watching.tick() == []
    assert watching.tick(timezone.now() + timedelta(hours=1)) == ["housekeeping"]


def test_named_tokens_are_checked_by_a_task(queue: Any, token: RapidProToken, rapidpro: Answer) -> None:
    rapidpro("workspace.json", json=WORKSPACE)
    result = tasks.check_these.enqueue([str(token.pk), str(uuid4())])
    work_through()
    assert queue.get(pk=result.id).return_value["checked"] == 1
    assert TokenCheck.objects.get().trigger == "staff"
