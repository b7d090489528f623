"""Broadcasts, messages, tickets and channel events of the large workspaces, made when first asked for."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache

from rapidpro_integration.sandbox.data import load
from rapidpro_integration.sandbox.model import NOW, Json, Row, Workspace, last_modified_first, newest_first, stamp
from rapidpro_integration.sandbox.people import SIZES, dice_for, mention, reachable
from rapidpro_integration.sandbox.phrases import PHRASES
from rapidpro_integration.sandbox.runs import busy, playable
from rapidpro_integration.sandbox.script import Ask, Say, Script, stable_uuid

#: States in which an outgoing message has left; `folder=sent` lists these.
SENT = ("wired", "sent", "delivered", "read")
_OUTGOING = (*SENT, "queued", "errored", "failed")
_OUTGOING_WEIGHTS = (10, 40, 35, 5, 3, 3, 4)
#: What a message is part of: a flow's question, the answer to one, a broadcast, or nothing but a person's wish.
_KINDS = ("asked", "answered", "broadcast", "written")
_KIND_WEIGHTS = (34, 30, 18, 18)
_MINUTES_APART = 31


def _before(dice: random.Random, **before: float) -> datetime:
    """Return a moment so long before now, and a little more."""
    return NOW - timedelta(**before) - timedelta(seconds=dice.randint(0, 1500), microseconds=dice.randrange(10**6))


@cache
def broadcasts(slug: str) -> Sequence[Row]:
    """Return the broadcasts, newest first."""
    if slug not in SIZES:
        return ()
    workspace, dice = load()[slug], dice_for(slug, "broadcasts")
    return newest_first([_broadcast(workspace, dice, number) for number in range(SIZES[slug].broadcasts)])


def _broadcast(workspace: Workspace, dice: random.Random, number: int) -> Row:
    slug = workspace.slug
    created = _before(dice, hours=13 * number + 1)
    groups = [mention(row.body) for row in workspace.tables["groups"] if not row.body["system"]]
    people = dice.sample(reachable(slug), dice.randint(0, 3))
    wording = dice.randrange(3)
    languages = workspace.languages[: dice.randint(1, 2)]
    total = dice.randint(5, 900)
    status = ("queued", "started", "completed")[min(number, 2)] if number % 29 != 28 else "failed"
    body: Json = {
        "uuid": stable_uuid(slug, "broadcast", number),
        "status": status,
        "progress": {"total": total, "started": {"queued": 0, "completed": total}.get(status, total // 3)},
        "urns": [f"tel:{SIZES[slug].phone_prefix}{2_000_000 + number}"] if number % 9 == 4 else [],
        "contacts": [mention(contact) for contact in people],
        "groups": dice.sample(groups, dice.randint(0 if people else 1, 2)),
        "text": {language: _sent(language, wording) for language in languages},
        "attachments": {
            language: [f"image/jpeg:{_photo(slug, number)['url']}"] if number % 17 == 8 else []
            for language in languages
        },
        "quick_replies": {
            language: [{"text": word} for word in PHRASES[language].yes_no] if wording == 1 else []
            for language in languages
        },
        "base_language": workspace.languages[0],
        "created_on": stamp(created),
        "id": number + 1,
    }
    return Row(number + 1, created, created, body)


def _sent(language: str, wording: int) -> str:
    sent = PHRASES[language].sent
    return sent[wording % len(sent)]


@cache
def messages(slug: str) -> Sequence[Row]:
    """Return the messages, newest first."""
    if slug not in SIZES:
        return ()
    workspace, dice = load()[slug], dice_for(slug, "messages")
    scripts = [script for script in playable(slug) if any(isinstance(step, Ask) for step in script.steps)]
    weights = dict(zip((script.flow_uuid for script in playable(slug)), busy(slug), strict=True))
    chosen = dice.choices(scripts, [weights[script.flow_uuid] for script in scripts], k=SIZES[slug].messages)
    return newest_first([_message(workspace, dice, number, script) for number, script in enumerate(chosen)])


def _message(workspace: Workspace, dice: random.Random, number: int, script: Script) -> Row:
    slug = workspace.slug
    contact = dice.choice(reachable(slug))
    kind = dice.choices(_KINDS, _KIND_WEIGHTS)[0]
    created = _before(dice, minutes=_MINUTES_APART * number)
    past = [row for row in broadcasts(slug) if row.created_on <= created] if kind == "broadcast" else []
    outgoing = kind == "asked" or bool(past)
    # The messages of a broadcast are made at one moment.
    created = past[0].created_on if past else created
    sent_after = timedelta(seconds=dice.randint(1, 5400), microseconds=dice.randrange(10**6))
    status = dice.choices(_OUTGOING, _OUTGOING_WEIGHTS)[0] if outgoing else "handled"
    sent = min(NOW, created + sent_after) if status in SENT else None
    modified = sent or min(NOW, created + timedelta(seconds=2))
    archived = kind == "written" and number % 12 == 5
    labels = [mention(row.body) for row in workspace.tables["labels"]]
    body: Json = {
        "uuid": stable_uuid(slug, "message", number),
        "contact": mention(contact),
        "urn": contact["urns"][0],
        "channel": mention(workspace.tables["channels"][number % 2].body),
        "direction": "out" if outgoing else "in",
        "type": "text",
        "status": status,
        "archived": archived,
        "visibility": "archived" if archived else "visible",
        "text": _text(workspace, dice, script, kind, past),
        "labels": dice.sample(labels, dice.randint(1, 2)) if not outgoing and dice.random() < 0.3 else [],
        "flow": {"uuid": script.flow_uuid, "name": script.name} if kind in ("asked", "answered") else None,
        "attachments": [_photo(slug, number)] if not outgoing and number % 15 == 7 else [],
        "quick_replies": past[0].body["quick_replies"][workspace.languages[0]] if past else [],
        "created_on": stamp(created),
        "sent_on": stamp(sent) if sent else None,
        "modified_on": stamp(modified),
        "media": None,
        "id": number + 1,
        "broadcast": past[0].id if past else None,
    }
    return Row(number + 1, created, modified, body, sent_on=sent)


def _text(workspace: Workspace, dice: random.Random, script: Script, kind: str, past: Sequence[Row]) -> str:
    if past:
        return str(past[0].body["text"][workspace.languages[0]])
    questions = [step for step in script.steps if isinstance(step, Ask)]
    if kind == "asked":
        said = [step.text for step in script.steps if isinstance(step, Say)]
        return dice.choice([*said, *(question.question for question in questions)])[0]
    if kind == "answered":
        category = dice.choice(dice.choice(questions).categories)[0]
        return str(dice.randint(0, 90)) if category in ("Number", "رقم") else category.lower()
    return dice.choice(PHRASES[dice.choice(workspace.languages)].written)


def _photo(slug: str, number: int) -> Json:
    name = stable_uuid(slug, "photo", number)
    return {"content_type": "image/jpeg", "url": f"https://media.sandbox.example/{slug}/{name}.jpg"}


@cache
def tickets(slug: str) -> Sequence[Row]:
    """Return the tickets, last modified first."""
    if slug not in SIZES:
        return ()
    workspace, dice = load()[slug], dice_for(slug, "tickets")
    return last_modified_first([_ticket(workspace, dice, number) for number in range(SIZES[slug].tickets)])


def _ticket(workspace: Workspace, dice: random.Random, number: int) -> Row:
    slug = workspace.slug
    opened = _before(dice, hours=9 * number + 2)
    closed = min(NOW, opened + timedelta(hours=dice.randint(1, 60))) if number % 3 else None
    modified = closed or opened + timedelta(minutes=dice.randint(0, 30))
    staff = [{"email": row.body["email"], "name": row.body["name"]} for row in workspace.tables["users"]]
    from_flow = number % 2 == 0
    script = dice.choice(playable(slug))
    body: Json = {
        "uuid": stable_uuid(slug, "ticket", number),
        "contact": mention(dice.choice(reachable(slug))),
        "status": "closed" if closed else "open",
        "topic": mention(dice.choice(workspace.tables["topics"]).body),
        "body": dice.choice(PHRASES[workspace.languages[0]].written) if from_flow else None,
        "assignee": dice.choice((*staff, None)),
        "opened_on": stamp(opened),
        "opened_by": None if from_flow else dice.choice(staff),
        "opened_in": {"uuid": script.flow_uuid, "name": script.name} if from_flow else None,
        "modified_on": stamp(modified),
        "closed_on": stamp(closed) if closed else None,
    }
    return Row(number + 1, opened, modified, body)


@cache
def channel_events(slug: str) -> Sequence[Row]:
    """Return calls and new conversations, newest first."""
    if slug not in SIZES:
        return ()
    workspace, dice = load()[slug], dice_for(slug, "channel events")
    channels = [mention(row.body) for row in workspace.tables["channels"]]
    rows = []
    for number in range(SIZES[slug].channel_events):
        created = _before(dice, hours=5 * number + 1)
        type_ = dice.choice(("call-in", "call-in-missed", "call-out", "call-out-missed", "new_conversation"))
        body: Json = {
            "id": number + 1,
            "type": type_,
            "contact": mention(dice.choice(reachable(slug))),
            "channel": dice.choice(channels),
            "extra": {"duration": dice.randint(2, 240)},
            "occurred_on": stamp(created - timedelta(seconds=dice.randint(0, 4))),
            "created_on": stamp(created),
        }
        rows.append(Row(number + 1, created, created, body))
    return newest_first(rows)
