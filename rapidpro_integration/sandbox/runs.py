"""Flow starts and runs of the large workspaces, made when first asked for."""

import random
from collections.abc import Sequence
from datetime import timedelta
from functools import cache

from rapidpro_integration.sandbox.data import load
from rapidpro_integration.sandbox.model import NOW, Json, Row, Workspace, last_modified_first, precise, stamp
from rapidpro_integration.sandbox.people import SIZES, dice_for, mention, reachable
from rapidpro_integration.sandbox.script import Ask, Fetch, Script, result_key, stable_uuid

_STARTS = ("completed", "completed", "completed", "completed", "failed", "interrupted")
_UNFINISHED = ("pending", "queued", "started")


@cache
def playable(slug: str) -> Sequence[Script]:
    """Return the scripts of sixty flows at most that somebody has completed."""
    workspace = load()[slug]
    flows = [row.body for row in workspace.tables["flows"] if row.body["runs"]["completed"]]
    uuids = [flow["uuid"] for flow in flows if not flow["archived"] and flow["uuid"] in workspace.scripts]
    return [workspace.scripts[uuid] for uuid in uuids[:60]]


def busy(slug: str) -> Sequence[int]:
    """Return how often each playable flow is played; one is much busier, so that its own runs fill more than a page."""
    others = len(playable(slug)) - 1
    return [max(1, 2 * others // 3), *[1] * others]


@cache
def flow_starts(slug: str) -> Sequence[Row]:
    """Return the starts of flows, last modified first."""
    if slug not in SIZES:
        return ()
    workspace, dice = load()[slug], dice_for(slug, "flow starts")
    return last_modified_first([_start(workspace, dice, number) for number in range(SIZES[slug].flow_starts)])


def _start(workspace: Workspace, dice: random.Random, number: int) -> Row:
    slug = workspace.slug
    created = NOW - timedelta(hours=11 * number + 1, seconds=dice.randint(0, 3000), microseconds=dice.randrange(10**6))
    modified = created + timedelta(seconds=dice.randint(20, 900), microseconds=dice.randrange(10**6))
    script = dice.choices(playable(slug), busy(slug))[0]
    groups = [mention(row.body) for row in workspace.tables["groups"] if not row.body["system"]]
    chosen = dice.sample(reachable(slug), dice.randint(0, 4))
    total = dice.randint(1, 400)
    status = _UNFINISHED[number] if number < len(_UNFINISHED) else dice.choice(_STARTS)
    params = (
        {"round": str(dice.randint(1, 9)), "place": dice.choice(("إربد", "Thiès", "कैलाली"))}
        if number % 4 == 1
        else None
    )
    body: Json = {
        "uuid": stable_uuid(slug, "start", number),
        "flow": {"uuid": script.flow_uuid, "name": script.name},
        "status": status,
        # The total is unknown until RapidPro has counted the groups' members.
        "progress": {
            "total": -1 if status == "pending" else total,
            "started": {"completed": total, "pending": 0, "queued": 0}.get(status, total // 2),
        },
        "groups": dice.sample(groups, 1) if not chosen or number % 2 else [],
        "contacts": [mention(contact) for contact in chosen],
        "params": params,
        "created_on": stamp(created),
        "modified_on": stamp(modified),
        "id": number + 1,
        "extra": params,
        "restart_participants": number % 5 != 2,
        "exclude_active": number % 7 == 3,
    }
    return Row(number + 1, created, modified, body)


@cache
def runs(slug: str) -> Sequence[Row]:
    """Return the runs, last modified first."""
    if slug not in SIZES:
        return ()
    dice, people = dice_for(slug, "runs"), reachable(slug)
    scripts = dice.choices(playable(slug), busy(slug), k=SIZES[slug].runs)
    starts: dict[str, list[Row]] = {}
    for start in flow_starts(slug):
        starts.setdefault(start.body["flow"]["uuid"], []).append(start)
    return last_modified_first(
        [
            _run(script, dice, number, dice.choice(people), starts.get(script.flow_uuid, ()))
            for number, script in enumerate(scripts)
        ]
    )


def _run(script: Script, dice: random.Random, number: int, contact: Json, starts: Sequence[Row]) -> Row:
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
            "time": precise(created + timedelta(seconds=20 * index)),
        }
    steps = range(answered[-1][0] + 1 if answered else 1)
    start = next((start for start in starts if start.created_on <= created), None) if number % 3 == 0 else None
    urn = contact["urns"][0]
    body: Json = {
        "uuid": stable_uuid(script.flow_uuid, "run", number),
        "flow": {"uuid": script.flow_uuid, "name": script.name},
        "contact": mention(contact) | {"urn": urn, "urn_display": urn.partition(":")[2]},
        "start": {"uuid": start.body["uuid"]} if start else None,
        "responded": any(isinstance(step, Ask) for _, step in answered),
        "path": [{"node": script.node_uuid(n), "time": precise(created + timedelta(seconds=20 * n))} for n in steps],
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
