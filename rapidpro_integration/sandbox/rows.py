"""Rows as RapidPro serves them, from the few facts that the data set states about each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from rapidpro_integration.sandbox.model import NOW, Json, Row, Workspace, newest_first, stamp
from rapidpro_integration.sandbox.script import Script, Step, result_key, stable_uuid

#: active, waiting, completed, expired, interrupted, failed
type Counts = tuple[int, int, int, int, int, int]
_COUNTS = ("active", "waiting", "completed", "expired", "interrupted", "failed")
#: Minutes after which a waiting run expires; voice waits for minutes only, the others never wait.
EXPIRES_MINUTES = {"message": 10080, "voice": 5, "background": 0, "survey": 0}


@dataclass(frozen=True, slots=True)
class Written:
    """A flow stated by hand: times are UTC, `labels` are places in the workspace's list, no steps means no revision."""

    key: str
    name: str
    type: str | None
    steps: Sequence[Step] | None
    created_on: str
    modified_on: str
    runs: Counts = (0, 0, 0, 0, 0, 0)
    labels: tuple[int, ...] = ()
    archived: bool = False
    parent_refs: tuple[str, ...] = ()


def ref(slug: str, kind: str, name: str) -> Json:
    """Return how one thing mentions another: its UUID and name."""
    return {"uuid": stable_uuid(slug, kind, name), "name": name}


def flow_row(
    id_: int,
    script: Script,
    created_on: datetime,
    modified_on: datetime,
    *,
    runs: Counts,
    labels: Sequence[Json] = (),
    archived: bool = False,
    parent_refs: Sequence[str] = (),
) -> Row:
    """Return one row of flows.json."""
    body = {
        "uuid": script.flow_uuid,
        "name": script.name,
        "type": script.type,
        "archived": archived,
        "labels": list(labels),
        "expires": script.expires,
        "runs": dict(zip(_COUNTS, runs, strict=True)),
        "results": script.results(),
        "parent_refs": list(parent_refs),
        "created_on": stamp(created_on),
        "modified_on": stamp(modified_on),
    }
    return Row(id_, created_on, modified_on, body)


def written_workspace(
    flows: Sequence[Written],
    *,
    slug: str,
    name: str,
    country: str,
    languages: tuple[str, ...],
    timezone: str,
    labels: Sequence[str] = (),
    groups: Sequence[str] = (),
    first_id: int = 1,
    rates: Mapping[str, str] | None = None,
    flows_broken: bool = False,
    definitions: Mapping[str, Json] | None = None,
) -> Workspace:
    """Return a workspace of flows that were stated by hand."""
    rows, scripts = [], {}
    for place, flow in enumerate(flows):
        expires = EXPIRES_MINUTES.get(flow.type or "message", 0)
        flow_uuid = stable_uuid(slug, "flow", flow.key)
        script = Script(flow_uuid, flow.name, flow.type, languages, flow.steps or (), 3 + place, expires, slug)
        if flow.steps is not None:
            scripts[flow_uuid] = script
        rows.append(
            flow_row(
                first_id + place,
                script,
                datetime.fromisoformat(flow.created_on).replace(tzinfo=UTC),
                datetime.fromisoformat(flow.modified_on).replace(tzinfo=UTC),
                runs=flow.runs,
                labels=[ref(slug, "label", labels[index]) for index in flow.labels],
                archived=flow.archived,
                parent_refs=flow.parent_refs,
            )
        )
    return Workspace(
        slug=slug,
        uuid=stable_uuid("workspace", slug),
        name=name,
        country=country,
        languages=languages,
        timezone=timezone,
        date_style="day_first",
        tables={"flows": newest_first(rows), **other_tables(slug, country, labels, groups)},
        scripts=scripts,
        definitions=definitions or {},
        rates=rates or {},
        flows_broken=flows_broken,
    )


def other_tables(slug: str, country: str, labels: Sequence[str], groups: Sequence[str]) -> dict[str, Sequence[Row]]:
    """Return the shorter lists of a workspace."""
    fields = (
        *(("Language spoken", "text"), ("Village", "text"), ("Birth date", "datetime"), ("Last reminder", "datetime")),
        *(("Children", "number"), ("Province", "state")),
    )
    people = (("Amina", "Diallo", "administrator"), ("Sami", "Haddad", "editor"), ("Maya", "Rai", "agent"))
    team = ref(slug, "team", "All Topics")
    return {
        "labels": _table(slug, "label", [{"name": name, "count": 7 * place} for place, name in enumerate(labels)]),
        "groups": _table(
            slug,
            "group",
            [{"name": "Active", "query": None, "status": "ready", "system": True, "count": 180}]
            + [
                {
                    "name": name,
                    "query": None if place else "age < 5",
                    "status": "ready",
                    "system": False,
                    "count": 31 * place,
                }
                for place, name in enumerate(groups)
            ],
        ),
        "fields": _table(slug, "", [_field(*field) for field in fields]),
        "globals": _table(
            slug,
            "",
            [
                {"key": "helpline", "name": "Helpline", "value": "1166"},
                {"key": "programme", "name": "Programme", "value": ""},
            ],
            stamps=("modified_on",),
        ),
        "channels": _table(
            slug,
            "channel",
            [
                _channel("Short code", "4040", "twilio", country or None, None),
                _channel("Clinic telephone", "+15550100", "android", country or None, {"name": "Old telephone"}),
                _channel("WhatsApp", "15550101", "whatsapp", None, None),
                _channel("Telegram", f"{slug}_sandbox_bot", "telegram", None, None),
            ],
            stamps=("created_on",),
        ),
        "users": _table(
            slug,
            "user",
            [
                {
                    "name": f"{first} {last}",
                    "email": f"{first.lower()}@{slug}.example",
                    "role": role,
                    "team": team if role == "agent" else None,
                    "avatar": None,
                    "first_name": first,
                    "last_name": last,
                }
                for first, last, role in people
            ],
            stamps=("created_on",),
        ),
        "topics": _table(
            slug,
            "topic",
            [
                {"name": "General", "counts": {"open": 2, "closed": 11}, "system": True},
                {"name": "Referral", "counts": {"open": 1, "closed": 4}, "system": False},
                {"name": "شكوى – Complaint", "counts": {"open": 0, "closed": 9}, "system": False},
            ],
            stamps=("created_on",),
        ),
    }


def _table(slug: str, kind: str, bodies: Sequence[Json], stamps: Sequence[str] = ()) -> Sequence[Row]:
    rows = []
    for place, body in enumerate(bodies):
        moment = NOW - timedelta(days=400 - 3 * place, seconds=place)
        named: dict[str, Any] = {"uuid": stable_uuid(slug, kind, body["name"])} if kind else {}
        rows.append(Row(place + 1, moment, moment, named | body | dict.fromkeys(stamps, stamp(moment))))
    return newest_first(rows)


def _field(name: str, type_: str) -> Json:
    return {
        "key": result_key(name),
        "name": name,
        "type": type_,
        "featured": name == "Village",
        "priority": 10 if name == "Village" else 0,
        "usages": {"flows": 1, "groups": 0, "campaign_events": int(type_ == "datetime")},
        "agent_access": "edit" if type_ == "text" else "view",
        "label": name,
        "value_type": "numeric" if type_ == "number" else type_,
    }


def _channel(name: str, address: str, type_: str, country: str | None, device: Json | None) -> Json:
    if device:
        device |= {"power_level": -1, "power_status": None, "power_source": None, "network_type": None}
    return {
        "name": name,
        "address": address,
        "type": type_,
        "country": country,
        "device": device,
        "last_seen": None,
    }
