"""How much each large workspace holds, and its contacts, made when first asked for."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from rapidpro_integration.sandbox.data import load
from rapidpro_integration.sandbox.model import NOW, Json, Row, Workspace, last_modified_first, stamp
from rapidpro_integration.sandbox.phrases import PHRASES
from rapidpro_integration.sandbox.script import stable_uuid


@dataclass(frozen=True, slots=True)
class Size:
    """How many rows a workspace's long lists have. RapidPro archives old runs and messages: few of them are listed."""

    contacts: int
    runs: int
    flow_starts: int
    messages: int
    broadcasts: int
    tickets: int
    channel_events: int
    phone_prefix: str


#: By workspace; the small technical ones are not here, and have nothing of all this.
SIZES: Mapping[str, Size] = {
    "clinics": Size(180, 640, 40, 420, 18, 25, 30, "+96279"),
    "districts": Size(300, 900, 251, 700, 40, 60, 80, "+22177"),
    "national": Size(600, 1500, 720, 2100, 320, 280, 300, "+97798"),
}
DELETED = 14
_GIVEN = ("Amina", "يوسف", "सीता", "Ousmane", "ሰላም", "សុខា", "Zoë", "Maryam", "गोपाल", "Ndeye", "خالد", "Li")
_FAMILY = ("Diallo", "الخطيب", "थापा", "Sow", "Haile", "ចាន់", "O’Neil", "Haddad", "यादव", "Ba", "Nasser", "Wang")
_VILLAGES = ("الرمثا", "Ndioum", "सिमलचौर", "ጎንደር ዙሪያ", "Kampong Thom", "Ain Janna", "Mbacké", "Jajarkot")
_STATUSES = {29: "blocked", 31: "stopped", 37: "archived"}


def dice_for(slug: str, what: str) -> random.Random:
    """Return dice that fall the same for this list of this workspace at each start."""
    return random.Random(f"{what} of {slug}")  # noqa: S311 - invented data, not a secret.


def mention(body: Json) -> Json:
    """Return how one row mentions another: its UUID and name."""
    return {"uuid": body["uuid"], "name": body["name"]}


@cache
def contacts(slug: str) -> Sequence[Row]:
    """Return a workspace's contacts, last modified first, the deleted ones among them."""
    if slug not in SIZES:
        return ()
    workspace, dice, size = load()[slug], dice_for(slug, "contacts"), SIZES[slug]
    groups = [mention(row.body) for row in workspace.tables["groups"] if not row.body["system"]]
    flows = [mention(row.body) for row in workspace.tables["flows"] if row.body["runs"]["waiting"]]
    living = [_contact(workspace, dice, number, groups, flows) for number in range(size.contacts)]
    gone = [_deleted(slug, size.contacts + number) for number in range(DELETED)]
    return last_modified_first([*living, *gone])


@cache
def reachable(slug: str) -> Sequence[Json]:
    """Return the bodies of the contacts that can be written to."""
    return [row.body for row in contacts(slug) if row.body["status"] == "active" and row.body["urns"]]


def _contact(
    workspace: Workspace, dice: random.Random, number: int, groups: Sequence[Json], flows: Sequence[Json]
) -> Row:
    created = NOW - timedelta(days=900 - number, minutes=7 * number)
    modified = created + timedelta(days=dice.randint(0, 200), microseconds=dice.randrange(10**6))
    status = next((word for every, word in _STATUSES.items() if number % every == every - 1), "active")
    active = status == "active"
    body: Json = {
        "uuid": stable_uuid(workspace.slug, "contact", number),
        "name": f"{dice.choice(_GIVEN)} {dice.choice(_FAMILY)}" if number % 17 else None,
        "status": status,
        "language": dice.choice((*workspace.languages, None)),
        "urns": _urns(number, SIZES[workspace.slug].phone_prefix) if status != "blocked" else [],
        "groups": dice.sample(groups, dice.randint(0, 2)) if active else [],
        "notes": [_note(workspace, dice, created)] if number % 23 == 1 else [],
        "fields": _fields(workspace, dice, created),
        "flow": dice.choice(flows) if active and number % 19 == 3 else None,
        "created_on": stamp(created),
        "modified_on": stamp(modified),
        "last_seen_on": stamp(created + (modified - created) * dice.random()) if dice.random() < 0.7 else None,
        "blocked": status == "blocked",
        "stopped": status == "stopped",
    }
    return Row(number + 1, created, modified, body)


def _urns(number: int, prefix: str) -> list[str]:
    telephone = f"tel:{prefix}{1_000_000 + number}"
    if number % 11 == 5:
        return [f"telegram:{700_000_000 + number}"]
    return [telephone, f"whatsapp:{prefix[1:]}{1_000_000 + number}"] if number % 13 == 6 else [telephone]


def _note(workspace: Workspace, dice: random.Random, created: datetime) -> Json:
    author = workspace.tables["users"][0].body
    return {
        "text": dice.choice(PHRASES[workspace.languages[0]].notes),
        "created_on": stamp(created + timedelta(minutes=90)),
        "created_by": {"email": author["email"], "name": author["name"]},
    }


def _fields(workspace: Workspace, dice: random.Random, created: datetime) -> Json:
    """Return a value for each field of the workspace; as in life, many are empty."""
    values = {
        "language_spoken": dice.choice(workspace.languages),
        "village": dice.choice(_VILLAGES),
        "children": str(dice.randint(0, 7)),
        "birth_date": stamp(created.replace(microsecond=0) - timedelta(days=dice.randint(6_500, 22_000))),
        "last_reminder": stamp(created + timedelta(days=dice.randint(1, 90))),
    }
    keys = [row.body["key"] for row in workspace.tables["fields"]]
    return {key: values.get(key) if dice.random() < 0.6 else None for key in keys}


def _deleted(slug: str, number: int) -> Row:
    created = NOW - timedelta(days=700, minutes=7 * number)
    modified = NOW - timedelta(days=5 * (number % DELETED) + 1, microseconds=number)
    nothing = dict.fromkeys(("name", "status", "language"))
    body: Json = {
        "uuid": stable_uuid(slug, "contact", number),
        **nothing,
        "urns": [],
        "groups": [],
        "notes": [],
        "fields": {},
        "flow": None,
        "created_on": stamp(created),
        "modified_on": stamp(modified),
        "last_seen_on": None,
        "blocked": None,
        "stopped": None,
    }
    return Row(number + 1, created, modified, body, deleted=True)
