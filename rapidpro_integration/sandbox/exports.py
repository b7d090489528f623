"""The export that definitions.json answers with: flows, campaigns, and what they need."""

from collections.abc import Sequence

from rapidpro_integration.sandbox.definitions import definition
from rapidpro_integration.sandbox.errors import BadParam, ServerFailure
from rapidpro_integration.sandbox.model import Json, Row, Workspace
from rapidpro_integration.sandbox.params import as_uuid
from rapidpro_integration.sandbox.plans import campaign_events, campaigns
from rapidpro_integration.sandbox.script import Call

_DEPENDENCIES = ("none", "flows", "all")


def export(workspace: Workspace, flows: Sequence[str], campaign_uuids: Sequence[str], dependencies: str) -> Json:
    """Return the definitions of these flows and campaigns; "none" leaves out what they need, "flows" all but flows.

    Unknown UUIDs are left out in silence. What is needed comes before what needs it, so an asked flow comes last.
    Raises: ServerFailure for a malformed UUID and for a flow without a revision, as in RapidPro, and BadParam.
    """
    if dependencies not in _DEPENDENCIES:
        raise BadParam(f"dependencies must be one of {', '.join(_DEPENDENCIES)}")
    follow = dependencies != "none"
    asked = [_parsed(text) for text in campaign_uuids]
    planned = [row for row in campaigns(workspace.slug) if row.body["uuid"] in asked]
    events = {row.body["uuid"]: _events(workspace, row) for row in planned}
    needed = [event["flow"]["uuid"] for row in planned for event in events[row.body["uuid"]] if event["flow"]]
    known = {row.body["uuid"] for row in workspace.tables["flows"]}
    wanted: list[str] = []
    for flow_uuid in (*map(_parsed, flows), *(needed if follow else ())):
        if flow_uuid in known:
            _collect(workspace, flow_uuid, wanted, follow=follow)
    definitions = [workspace.definitions.get(one) or definition(workspace.scripts[one]) for one in wanted]
    actions = [action for flow in definitions for node in flow.get("nodes", []) for action in node["actions"]]
    everything = dependencies == "all"
    fields = [action["field"] | {"type": "text"} for action in actions if action["type"] == "set_contact_field"]
    fields += [event["relative_to"] | {"type": "datetime"} for one in events.values() for event in one]
    joined = [action["groups"] for action in actions if action["type"] == "add_contact_groups"]
    joined += [[row.body["group"]] for row in planned]
    # A group that is named by an expression is none that the flow needs.
    groups = [group | {"query": None} for together in joined for group in together if "uuid" in group]
    return {
        "version": "13",
        "site": "https://sandbox.example",
        "flows": definitions,
        "campaigns": [_campaign(row, events[row.body["uuid"]]) for row in planned],
        "triggers": [],
        "fields": _each_once(fields) if everything else [],
        "groups": _each_once(groups) if everything else [],
    }


def _parsed(text: str) -> str:
    canonical = as_uuid(text)
    if canonical is None:
        raise ServerFailure("the definition of a malformed UUID was asked")
    return canonical


def _collect(workspace: Workspace, flow_uuid: str, wanted: list[str], *, follow: bool) -> None:
    if flow_uuid in wanted:
        return
    script = workspace.scripts.get(flow_uuid)
    if script is None:
        raise ServerFailure("the flow has no revision")
    wanted.insert(0, flow_uuid)
    for step in script.steps if follow else ():
        if isinstance(step, Call):
            _collect(workspace, step.flow_uuid, wanted, follow=True)


def _events(workspace: Workspace, campaign: Row) -> list[Json]:
    rows = campaign_events(workspace.slug)
    return [row.body for row in rows if row.body["campaign"]["uuid"] == campaign.body["uuid"]]


def _campaign(campaign: Row, events: Sequence[Json]) -> Json:
    return {key: campaign.body[key] for key in ("uuid", "name", "group")} | {
        "events": [
            {
                "uuid": event["uuid"],
                "offset": event["offset"],
                # The list writes units in full, an export by their first letter.
                "unit": event["unit"][0].upper(),
                "delivery_hour": event["delivery_hour"],
                "relative_to": {key: event["relative_to"][key] for key in ("key", "label")},
                "start_mode": "I",
                "event_type": "F" if event["flow"] else "M",
            }
            | ({"flow": event["flow"]} if event["flow"] else {"message": event["message"]})
            for event in events
        ]
    }


def _each_once(items: Sequence[Json]) -> list[Json]:
    return list({item["name"]: item for item in items}.values())
