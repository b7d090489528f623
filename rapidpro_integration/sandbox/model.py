"""What the data set is made of: rows as they are served, and the workspaces that hold them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rapidpro_integration.sandbox.script import Script

type Json = dict[str, Any]

#: The moment the data set was "taken": fixed, so that every answer is the same each day.
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a list: `body` is served as it is, the rest is what paging and filters need."""

    id: int
    created_on: datetime
    modified_on: datetime
    body: Json
    #: When a message left; None for all that did not, and for rows of other lists.
    sent_on: datetime | None = None
    #: True for a contact that only `deleted=true` lists.
    deleted: bool = False


@dataclass(frozen=True)
class Workspace:
    """One workspace; `tables` are its flows and its shorter lists by endpoint, newest first."""

    slug: str
    uuid: str
    name: str
    country: str
    languages: tuple[str, ...]
    timezone: str
    date_style: str
    tables: Mapping[str, Sequence[Row]]
    #: By flow UUID; a flow that is missing here has no revision.
    scripts: Mapping[str, Script] = field(default_factory=dict)
    #: Definitions that were drawn by hand, by flow UUID; they stand in for those that are made from scripts.
    definitions: Mapping[str, Json] = field(default_factory=dict)
    #: Rates of its own by throttle scope, like {"v2": "5/minute"}.
    rates: Mapping[str, str] = field(default_factory=dict)
    #: True where one flow's stored facts are null, which makes RapidPro's list of flows a 500.
    flows_broken: bool = False

    def describe(self) -> Json:
        """Return the body of workspace.json."""
        return {
            "uuid": self.uuid,
            "name": self.name,
            "country": self.country,
            "languages": list(self.languages),
            "timezone": self.timezone,
            "date_style": self.date_style,
            "anon": False,
            "credits": {"used": -1, "remaining": -1},
            "primary_language": self.languages[0],
        }


def stamp(moment: datetime) -> str:
    """Return the moment as RapidPro writes it: UTC with a Z, and no fraction at all when it is zero."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def newest_first(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Return the rows in the order of most lists: by creation, then by id, both descending."""
    return tuple(sorted(rows, key=lambda row: (row.created_on, row.id), reverse=True))


def last_modified_first(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Return the rows in the order of the lists that follow the last change, newest first."""
    return tuple(sorted(rows, key=lambda row: (row.modified_on, row.id), reverse=True))


def precise(moment: datetime) -> str:
    """Return the moment as the inside of a run has it: always with six decimals."""
    return f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}"
