"""Background work, as staff see it: what is queued, under way, done and failed, and which workers are alive."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django import forms
from django.db.models import Count, QuerySet
from django.tasks import TaskResultStatus
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django_tasks_db.models import DBTaskResult

from rapidpro_integration.health import watching
from rapidpro_integration.models import WorkerBeat
from rapidpro_integration.staff.exporting import Columns
from rapidpro_integration.staff.tables import Column

COLUMNS = (
    Column("task", _("Task"), "task_path"),
    Column("status", _("State"), "status"),
    Column("enqueued", _("Queued"), "enqueued_at", newest_first=True),
    Column("started", _("Begun"), "started_at", newest_first=True),
    Column("finished", _("Ended"), "finished_at", newest_first=True),
    Column("failure", _("Failed with"), "exception_class_path"),
)
DEFAULT_ORDER = "-enqueued"

STATUSES = {
    TaskResultStatus.READY.value: _("Queued"),
    TaskResultStatus.RUNNING.value: _("Under way"),
    TaskResultStatus.FAILED.value: _("Failed"),
    TaskResultStatus.SUCCESSFUL.value: _("Done"),
}

EXPORTED: Columns = {
    "id": lambda row: row.pk,
    "task": lambda row: row.task_path,
    "status": lambda row: row.status,
    "queued_on": lambda row: row.enqueued_at,
    "begun_on": lambda row: row.started_at,
    "ended_on": lambda row: row.finished_at,
    "attempts": lambda row: len(row.worker_ids),
    "failed_with": lambda row: row.exception_class_path,
}


class WorkFilterForm(forms.Form):
    """The filters of the list of tasks, as they stand in its address."""

    status = forms.ChoiceField(label=_("State"), required=False, choices=[("", _("Any")), *STATUSES.items()])
    task = forms.CharField(label=_("Task"), required=False, max_length=200, widget=forms.TextInput({"type": "search"}))

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__(data, label_suffix="")

    def rows(self) -> QuerySet[DBTaskResult[Any, Any]]:
        """Return the tasks that fit, none for filters that make no sense."""
        # What a task was given, returned and failed with in full stays in the database: it may tell of anything.
        rows = DBTaskResult.objects.defer("args_kwargs", "return_value", "traceback")
        if not self.is_valid():
            return rows.none()
        if self.cleaned_data["status"]:
            rows = rows.filter(status=self.cleaned_data["status"])
        if self.cleaned_data["task"]:
            rows = rows.filter(task_path__icontains=self.cleaned_data["task"])
        return rows


def status_counts() -> list[tuple[str, Any, int]]:
    """Return (status, words, number) of each status."""
    rows = DBTaskResult.objects.order_by().values_list("status").annotate(number=Count("pk"))
    counts = dict(rows)
    return [(status, words, counts.get(status, 0)) for status, words in STATUSES.items()]


def workers() -> list[WorkerBeat]:
    """Return the processes that have given a sign of life in the last day, the newest first."""
    rows = WorkerBeat.objects.filter(beat_on__gt=timezone.now() - timedelta(days=1))
    return list(rows.exclude(worker_id=watching.HOUSEKEEPING)[:20])  # a note of the schedulers, and no process


def is_alive(worker: WorkerBeat) -> bool:
    """Return whether the process is taken to be alive."""
    return worker.beat_on > timezone.now() - timedelta(minutes=1)
