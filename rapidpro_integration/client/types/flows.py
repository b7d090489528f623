"""Flows, their runs and starts."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Raw, Struct, field

from rapidpro_integration.client.lenient import patient_rows
from rapidpro_integration.client.types.base import ByUuid, Count, Id, JsonObject, Progress, Ref


class RunCounts(Struct, frozen=True, gc=False):
    """How many runs of a flow are in each state; 0 where the server does not say."""

    active: Count = 0
    waiting: Count = 0
    completed: Count = 0
    expired: Count = 0
    interrupted: Count = 0
    failed: Count = 0

    @property
    def total(self) -> int:
        """All runs, whatever their state."""
        return self.active + self.waiting + self.completed + self.expired + self.interrupted + self.failed

    @property
    def completion_rate(self) -> float | None:
        """The completed share of all runs, from 0 to 1; None if there are none."""
        return self.completed / self.total if self.total else None


class FlowResult(Struct, frozen=True, gc=False):
    """A result that a flow saves, with the categories its answers fall into."""

    key: str = ""
    name: str = ""
    categories: tuple[str, ...] = ()
    node_uuids: tuple[str, ...] = ()


_RESULTS = msgspec.json.Decoder(tuple[FlowResult, ...])


class Flow(ByUuid, frozen=True, gc=False):
    """A flow, as the listing tells it.

    `type` is None for legacy kinds; `expires_minutes` is 0 for flows that never expire, None if unknown. `raw` is the
    row's JSON as it came, kept only where one flow was asked for.
    """

    name: str = ""
    type: str | None = None
    archived: bool = False
    labels: tuple[Ref, ...] = ()
    expires_minutes: Count | None = field(default=None, name="expires")
    runs: RunCounts = RunCounts()
    results_json: Raw = field(default=Raw(b"[]"), name="results")
    parent_refs: tuple[str, ...] = ()
    created_on: datetime | None = None
    modified_on: datetime | None = None
    # Set by us: no server has a field of that name.
    raw: JsonObject | None = field(default=None, name="$raw")

    @property
    def results(self) -> tuple[FlowResult, ...]:
        """The results, decoded here and now: they are half of a page's cost, and a list does not show them."""
        try:
            return _RESULTS.decode(self.results_json)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return patient_rows(FlowResult, bytes(self.results_json))


class FlowStart(ByUuid, frozen=True, gc=False):
    """A start of a flow for groups, contacts or addresses. `extra` and `params` are the same to a server."""

    flow: Ref = Ref()
    status: str = ""
    progress: Progress = Progress()
    groups: tuple[Ref, ...] = ()
    contacts: tuple[Ref, ...] = ()
    params: JsonObject | None = None
    created_on: datetime | None = None
    modified_on: datetime | None = None
    id: Id | None = None
    restart_participants: bool | None = None
    exclude_active: bool | None = None


class RunContact(Struct, frozen=True, gc=False):
    """Whom a run is of."""

    uuid: UUID | None = None
    name: str = ""
    urn: str | None = None
    urn_display: str | None = None


class Step(Struct, frozen=True, gc=False):
    """A node that a run came to, and when."""

    node: UUID | None = None
    time: datetime | None = None


class RunValue(Struct, frozen=True, gc=False):
    """A result that a run saved. `value` is what was kept, `input` what was said."""

    name: str = ""
    value: str | None = None
    category: str | None = None
    node: UUID | None = None
    time: datetime | None = None
    input: str | None = None


class Run(ByUuid, frozen=True, gc=False):
    """A contact's way through a flow. `path` is None where it was not asked for (`paths=False`)."""

    flow: Ref = Ref()
    contact: RunContact = RunContact()
    start: Ref | None = None
    responded: bool = False
    path: tuple[Step, ...] | None = None
    values: dict[str, RunValue] = field(default_factory=dict)
    created_on: datetime | None = None
    modified_on: datetime | None = None
    exited_on: datetime | None = None
    exit_type: str | None = None
    id: Id | None = None


class Definitions(Struct, frozen=True, gc=False):
    """Definitions in the form that RapidPro exports and imports; each as the JSON that came.

    `missing` are uuids that were asked for and did not come: unknown, deleted, or of another workspace.
    """

    version: str = ""
    site: str = ""
    flows: tuple[JsonObject, ...] = ()
    campaigns: tuple[JsonObject, ...] = ()
    triggers: tuple[JsonObject, ...] = ()
    fields: tuple[JsonObject, ...] = ()
    groups: tuple[JsonObject, ...] = ()
    missing: tuple[UUID, ...] = field(default=(), name="$missing")

    def as_export(self) -> dict[str, Any]:
        """Return one JSON object that RapidPro can import."""
        return {
            "version": self.version,
            "site": self.site,
            "flows": list(self.flows),
            "campaigns": list(self.campaigns),
            "triggers": list(self.triggers),
            "fields": list(self.fields),
            "groups": list(self.groups),
        }
