"""Creating and deleting groups and labels: kept in memory by one running app, gone with it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from rapidpro_integration.sandbox.endpoints import ENDPOINTS
from rapidpro_integration.sandbox.errors import BadParam, FieldErrors, NotFound
from rapidpro_integration.sandbox.lists import rows_of
from rapidpro_integration.sandbox.messages import Request
from rapidpro_integration.sandbox.model import NOW, Json, Row, Workspace
from rapidpro_integration.sandbox.script import stable_uuid

WRITABLE = ("groups", "labels")


@dataclass
class Store:
    """What one app serves: the data set, with the groups and labels that were written since its start."""

    _changed: dict[tuple[str, str], list[Row]] = field(default_factory=dict)

    def rows(self, workspace: Workspace, endpoint: str) -> Sequence[Row]:
        """Return the rows of a list in its order; an endpoint without data has none."""
        if (workspace.slug, endpoint) in self._changed:
            return self._changed[workspace.slug, endpoint]
        return rows_of(workspace, endpoint)

    def create(self, workspace: Workspace, endpoint: str, request: Request) -> Json:
        """Keep a new group or label and return its body.

        Raises: BadParam if the body is not JSON, FieldErrors if it has no name.
        """
        try:
            sent = json.loads(request.body or b"{}")
        except ValueError as error:
            raise BadParam(f"JSON parse error - {error}") from None
        name = sent.get("name") if isinstance(sent, dict) else None
        if not name:
            raise FieldErrors({"name": ["This field is required."]})
        rows = self._own(workspace, endpoint)
        number = max((row.id for row in rows), default=0) + 1
        body: Json = {"uuid": stable_uuid(workspace.slug, endpoint, number, name), "name": str(name)}
        if endpoint == "groups":
            body |= {"query": None, "status": "ready", "system": False}
        body["count"] = 0
        rows.insert(0, Row(number, NOW, NOW, body))
        return body

    def delete(self, workspace: Workspace, endpoint: str, request: Request) -> None:
        """Remove a group or label.

        Raises: BadParam without a UUID, NotFound if there is none of that UUID.
        """
        wanted = request.params.uuid("uuid")
        if wanted is None:
            raise BadParam("URL must contain one of the following parameters: uuid")
        rows = self._own(workspace, endpoint)
        left = [row for row in rows if row.body["uuid"] != wanted]
        if len(left) == len(rows):
            raise NotFound(f"No {ENDPOINTS[endpoint].model} matches the given query.")
        self._changed[workspace.slug, endpoint] = left

    def _own(self, workspace: Workspace, endpoint: str) -> list[Row]:
        key = (workspace.slug, endpoint)
        return self._changed.setdefault(key, list(workspace.tables.get(endpoint, ())))
