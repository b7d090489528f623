"""Campaigns with their events, and resthooks with theirs, of the large workspaces."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache

from rapidpro_integration.sandbox.data import load
from rapidpro_integration.sandbox.model import NOW, Json, Row, last_modified_first, newest_first, stamp
from rapidpro_integration.sandbox.people import dice_for, mention, reachable
from rapidpro_integration.sandbox.phrases import PHRASES
from rapidpro_integration.sandbox.runs import playable
from rapidpro_integration.sandbox.script import stable_uuid

#: By workspace, newest first; RapidPro lists no archived ones.
_CAMPAIGNS: Mapping[str, tuple[str, ...]] = {
    "clinics": ("مواعيد التطعيم", "Antenatal visits – زيارات الحمل"),
    "districts": ("Rappels de vaccination", "Suivi nutrition", "Ñakk xale yi"),
    "national": ("खोप तालिका", "Antenatal care", "ክትባት", "आमा समूह", "Cash follow-up 💵"),
}
#: Offset, unit and hour of delivery (-1 is any hour) of each campaign's events; every third one is a message.
_EVENTS = ((-2, "days", 9), (0, "hours", -1), (45, "minutes", -1), (1, "weeks", 15), (6, "weeks", -1))
_RESTHOOKS: Mapping[str, tuple[str, ...]] = {
    "clinics": ("new-mother", "low-stock"),
    "districts": ("nouvelle-grossesse", "alerte"),
    "national": ("new-registration", "outbreak-alert", "stock-out"),
}
_RESTHOOK_EVENTS = {"clinics": 12, "districts": 40, "national": 260}


@cache
def campaigns(slug: str) -> Sequence[Row]:
    """Return the campaigns, newest first."""
    names = _CAMPAIGNS.get(slug, ())
    groups = [row.body for row in load()[slug].tables["groups"] if not row.body["system"]] if names else []
    rows = []
    for place, name in enumerate(names):
        created = _made(60 + 110 * place, place)
        body: Json = {
            "uuid": stable_uuid(slug, "campaign", name),
            "name": name,
            "archived": False,
            "group": mention(groups[place % len(groups)]),
            "created_on": stamp(created),
        }
        rows.append(Row(len(names) - place, created, created, body))
    return newest_first(rows)


@cache
def campaign_events(slug: str) -> Sequence[Row]:
    """Return the events of all campaigns, newest first."""
    rows: list[Row] = []
    for campaign in campaigns(slug):
        dates = [row.body for row in load()[slug].tables["fields"] if row.body["type"] == "datetime"]
        relative_to = {key: dates[campaign.id % len(dates)][key] for key in ("key", "name", "label")}
        for place, (offset, unit, hour) in enumerate(_EVENTS):
            created = campaign.created_on + timedelta(minutes=4 * place, microseconds=71 * place)
            scripts = playable(slug)
            script = scripts[(campaign.id * len(_EVENTS) + place) % len(scripts)]
            sends_message = place % 3 == 1
            body: Json = {
                "uuid": stable_uuid(campaign.body["uuid"], "event", place),
                "campaign": mention(campaign.body),
                "relative_to": relative_to,
                "offset": offset,
                "unit": unit,
                "delivery_hour": hour,
                "flow": None if sends_message else {"uuid": script.flow_uuid, "name": script.name},
                "message": _message(slug, place) if sends_message else None,
                "created_on": stamp(created),
            }
            rows.append(Row(100 * campaign.id + place, created, created, body))
    return newest_first(rows)


def _message(slug: str, place: int) -> Json:
    return {language: PHRASES[language].sent[place % 2] for language in load()[slug].languages[:2]}


@cache
def resthooks(slug: str) -> Sequence[Row]:
    """Return the resthooks, last modified first."""
    rows = []
    for place, name in enumerate(_RESTHOOKS.get(slug, ())):
        created, modified = _made(500 - 90 * place, place), _made(40 + 7 * place, 5)
        body: Json = {"resthook": name, "modified_on": stamp(modified), "created_on": stamp(created)}
        rows.append(Row(place + 1, created, modified, body))
    return last_modified_first(rows)


@cache
def resthook_subscribers(slug: str) -> Sequence[Row]:
    """Return who is told of resthooks, newest first; one of them has two subscribers, one has none."""
    names = _RESTHOOKS.get(slug, ())[:-1]
    rows = []
    for place, name in enumerate((*names, *names[:1])):
        created = _made(300 - 30 * place, place)
        target = f"https://registry.sandbox.example/{slug}/{name}/{place}"
        body: Json = {"id": place + 1, "resthook": name, "target_url": target, "created_on": stamp(created)}
        rows.append(Row(place + 1, created, created, body))
    return newest_first(rows)


@cache
def resthook_events(slug: str) -> Sequence[Row]:
    """Return what resthooks told, newest first."""
    names, dice = _RESTHOOKS.get(slug, ()), dice_for(slug, "resthook events")
    rows = []
    for number in range(_RESTHOOK_EVENTS.get(slug, 0)):
        created = NOW - timedelta(hours=6 * number + 1, seconds=dice.randint(0, 900), milliseconds=number)
        script, contact = dice.choice(playable(slug)), dice.choice(reachable(slug))
        data = {
            "flow": {"uuid": script.flow_uuid, "name": script.name},
            "contact": mention(contact) | {"urn": contact["urns"][0]},
            "results": {},
        }
        body: Json = {"resthook": dice.choice(names), "data": data, "created_on": stamp(created)}
        rows.append(Row(number + 1, created, created, body))
    return newest_first(rows)


def _made(days: int, place: int) -> datetime:
    return NOW - timedelta(days=days, minutes=13 * place + 5, microseconds=31_007 * (place + 1))
