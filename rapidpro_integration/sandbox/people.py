"""Contacts and runs of the three large workspaces, made when first asked for."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from rapidpro_integration.sandbox.data import load
from rapidpro_integration.sandbox.model import NOW, Json, Row, Workspace, stamp
from rapidpro_integration.sandbox.script import Ask, Fetch, Script, result_key, stable_uuid

#: Workspace -> contacts, runs, telephone prefix. RapidPro archives old runs, so few of those counted are listed.
_SIZES = {"clinics": (180, 640, "+96279"), "districts": (300, 900, "+22177"), "national": (600, 1500, "+97798")}
_GIVEN = ("Amina", "يوسف", "सीता", "Ousmane", "ሰላም", "សុខា", "Zoë", "Maryam", "गोपाल", "Ndeye", "خالد", "Li")
_FAMILY = ("Diallo", "الخطيب", "थापा", "Sow", "Haile", "ចាន់", "O’Neil", "Haddad", "यादव", "Ba", "Nasser", "Wang")


@dataclass(frozen=True)
class People:
    """The contacts and runs of one workspace, in list order: last modified first."""

    contacts: Sequence[Row]
    runs: Sequence[Row]


@cache
def people(slug: str) -> People:
    """Return the contacts and runs of a workspace; the small technical workspaces have none."""
    if slug not in _SIZES:
        return People((), ())
    workspace = load()[slug]
    dice = random.Random(f"people of {slug}")  # noqa: S311 - invented data, not a secret.
    contact_count, run_count, prefix = _SIZES[slug]
    contacts = [_contact(workspace, dice, number, prefix) for number in range(contact_count)]
    flows = [
        row.body for row in workspace.tables["flows"] if row.body["runs"]["completed"] and not row.body["archived"]
    ]
    playable = [flow for flow in flows if flow["uuid"] in workspace.scripts][:60]
    # One flow is much busier than the others, so that its own runs fill more than a page.
    weights = [len(playable) * 2 // 3, *[1] * (len(playable) - 1)]
    runs = [
        _run(workspace.scripts[dice.choices(playable, weights)[0]["uuid"]], dice, number, dice.choice(contacts).body)
        for number in range(run_count)
    ]
    return People(_last_modified_first(contacts), _last_modified_first(runs))


def _last_modified_first(rows: Sequence[Row]) -> Sequence[Row]:
    return sorted(rows, key=lambda row: (row.modified_on, row.id), reverse=True)


def _contact(workspace: Workspace, dice: random.Random, number: int, prefix: str) -> Row:
    created = NOW - timedelta(days=900 - number, minutes=7 * number)
    modified = created + timedelta(days=dice.randint(0, 200), microseconds=dice.randrange(10**6))
    groups = [{"uuid": row.body["uuid"], "name": row.body["name"]} for row in workspace.tables["groups"]]
    body: Json = {
        "uuid": stable_uuid(workspace.slug, "contact", number),
        "name": f"{dice.choice(_GIVEN)} {dice.choice(_FAMILY)}" if number % 17 else None,
        "status": "active",
        "language": dice.choice((*workspace.languages, None)),
        "urns": [f"tel:{prefix}{1_000_000 + number}"],
        "groups": dice.sample(groups, dice.randint(0, 2)),
        "notes": [],
        "fields": {row.body["key"]: None for row in workspace.tables["fields"]},
        "flow": None,
        "created_on": stamp(created),
        "modified_on": stamp(modified),
        "last_seen_on": None,
        "blocked": False,
        "stopped": False,
    }
    return Row(number + 1, created, modified, body)


def _run(script: Script, dice: random.Random, number: int, contact: Json) -> Row:
    # Every fifth run shares its last change with the one before, as runs that expire together do.
    created = NOW - timedelta(hours=number - number % 5, seconds=dice.randint(30, 3000))
    modified = (
        NOW - timedelta(hours=number - number % 5) if number % 5 < 2 else min(NOW, created + timedelta(minutes=4))
    )
    waiting = number % 13 == 0
    asked = [(index, step) for index, step in enumerate(script.steps) if isinstance(step, Ask | Fetch)]
    answered = asked[: dice.randint(0, len(asked))]
    values = {}
    for index, step in answered:
        category = dice.choice(step.categories)[0]
        values[result_key(step.result)] = {
            "name": step.result,
            "value": str(dice.randint(0, 90)) if category in ("Number", "رقم") else category.lower(),
            "category": category,
            "node": script.node_uuid(index, "wait" if isinstance(step, Ask) else ""),
            "time": _precise(created + timedelta(seconds=20 * index)),
        }
    steps = range(answered[-1][0] + 1 if answered else 1)
    urn = contact["urns"][0]
    body: Json = {
        "uuid": stable_uuid(script.flow_uuid, "run", number),
        "flow": {"uuid": script.flow_uuid, "name": script.name},
        "contact": {key: contact[key] for key in ("uuid", "name")}
        | {"urn": urn, "urn_display": urn.removeprefix("tel:")},
        "start": {"uuid": stable_uuid(script.flow_uuid, "start", number // 50)} if number % 3 == 0 else None,
        "responded": any(isinstance(step, Ask) for _, step in answered),
        "path": [{"node": script.node_uuid(n), "time": _precise(created + timedelta(seconds=20 * n))} for n in steps],
        "values": values,
        "created_on": stamp(created),
        "modified_on": stamp(modified),
        "exited_on": None if waiting else stamp(modified),
        "exit_type": None
        if waiting
        else dice.choice(("completed", "completed", "completed", "expired", "interrupted")),
        "id": number + 1,
    }
    return Row(number + 1, created, modified, body)


def _precise(moment: object) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}"
