"""A definition as a server sent it, read with patience: what is odd is left out, what is missing is empty."""

import json
import math
from collections.abc import Iterator

from rapidpro_integration.pictures.model import (
    MAX_CHARACTERS,
    MAX_NODES,
    MAX_PARTS,
    Action,
    CannotDraw,
    Case,
    Category,
    Flow,
    Json,
    Node,
    Reason,
    Router,
    Wait,
)
from rapidpro_integration.pictures.texts import clean

_MAX_LANGUAGES = 20
_MAX_KEY = 100
_MAX_NAME = 300
#: Canvases are a few thousand pixels wide; further out stands nothing but nonsense.
_MAX_PX = 1_000_000.0


def read(definition: object) -> Flow:
    """Return the flow. Raises CannotDraw for a legacy, empty, too large or unreadable definition, and nothing else."""
    if not isinstance(definition, dict):
        raise CannotDraw(Reason.UNREADABLE)
    if _is_legacy(definition):
        raise CannotDraw(Reason.LEGACY)
    if _characters(definition) > MAX_CHARACTERS:
        raise CannotDraw(Reason.TOO_LARGE)
    nodes = definition.get("nodes", [])
    if not isinstance(nodes, list):
        raise CannotDraw(Reason.UNREADABLE)
    if len(nodes) > MAX_NODES:
        raise CannotDraw(Reason.TOO_LARGE)
    ui = _object(_object(definition.get("_ui")).get("nodes"))
    read_nodes = {node.uuid: node for node in _nodes(nodes, ui)}
    if not read_nodes:
        raise CannotDraw(Reason.UNREADABLE if nodes else Reason.EMPTY)
    if sum(_parts(node) for node in read_nodes.values()) > MAX_PARTS:
        raise CannotDraw(Reason.TOO_LARGE)
    localization = {
        key: items
        for language, items in list(_object(definition.get("localization")).items())[:_MAX_LANGUAGES]
        if isinstance(items, dict) and (key := clean(language, 20))
    }
    return Flow(
        uuid=clean(definition.get("uuid"), _MAX_KEY),
        name=clean(definition.get("name"), _MAX_NAME),
        language=clean(definition.get("language"), 20),
        nodes=tuple(read_nodes.values()),
        localization=localization,
    )


def _characters(definition: Json) -> int:
    """Return how long the definition is as JSON, which bounds the work that its texts make."""
    try:
        return len(json.dumps(definition, ensure_ascii=False))
    except (RecursionError, ValueError) as error:
        raise CannotDraw(Reason.UNREADABLE) from error


def _is_legacy(definition: Json) -> bool:
    """Tell definitions before 13: they had action sets and rule sets, or their nodes stood in a wrapping."""
    major = clean(definition.get("spec_version") or definition.get("version"), 20).split(".")[0]
    if major.isascii() and major.isdigit():
        return int(major) < 13
    return "action_sets" in definition or "rule_sets" in definition


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> Iterator[Json]:
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else iter(())


def _key(value: object) -> str:
    return clean(value, _MAX_KEY) if isinstance(value, str) else ""


def _nodes(nodes: list[object], ui: Json) -> Iterator[Node]:
    seen: set[str] = set()
    for place, item in enumerate(nodes):
        if not isinstance(item, dict):
            continue
        uuid = _key(item.get("uuid")) or f"#{place}"
        if uuid in seen:
            continue
        seen.add(uuid)
        exits = {_key(one.get("uuid")) or f"#{number}": one for number, one in enumerate(_objects(item.get("exits")))}
        yield Node(
            uuid=uuid,
            actions=tuple(
                Action(_key(one.get("uuid")), clean(one.get("type"), _MAX_KEY), one)
                for one in _objects(item.get("actions"))
            ),
            router=_router(item["router"]) if isinstance(item.get("router"), dict) else None,
            exits={key: _key(one.get("destination_uuid")) for key, one in exits.items()},
            position=_position(_object(ui.get(uuid)).get("position")),
        )


def _parts(node: Node) -> int:
    router = node.router
    return len(node.actions) + len(node.exits) + (len(router.cases) + len(router.categories) if router else 0)


def _router(router: Json) -> Router:
    return Router(
        type=clean(router.get("type"), _MAX_KEY),
        operand=clean(router.get("operand")),
        result=clean(router.get("result_name"), _MAX_NAME),
        wait=_wait(router["wait"]) if isinstance(router.get("wait"), dict) else None,
        cases=tuple(
            Case(
                uuid=_key(one.get("uuid")),
                type=clean(one.get("type"), _MAX_KEY),
                arguments=tuple(texts_of(one.get("arguments"))),
                category=_key(one.get("category_uuid")),
            )
            for one in _objects(router.get("cases"))
        ),
        categories=tuple(
            Category(_key(one.get("uuid")), clean(one.get("name"), _MAX_NAME), _key(one.get("exit_uuid")))
            for one in _objects(router.get("categories"))
        ),
    )


def _wait(wait: Json) -> Wait:
    timeout = _object(wait.get("timeout"))
    return Wait(
        type=clean(wait.get("type"), _MAX_KEY),
        hint=clean(_object(wait.get("hint")).get("type"), _MAX_KEY),
        timeout_s=_number(timeout.get("seconds")),
        timeout_category=_key(timeout.get("category_uuid")),
    )


def _position(position: object) -> tuple[float, float] | None:
    left, top = (_number(_object(position).get(side)) for side in ("left", "top"))
    return None if left is None or top is None else (left, top)


def _number(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    # Compared before it becomes a float: an int may have more digits than one holds.
    if not -_MAX_PX <= value <= _MAX_PX or math.isnan(value):
        return None
    return float(value)


def texts_of(value: object, most: int = 50) -> list[str]:
    """Return the texts of a JSON list, or of one text."""
    items = value if isinstance(value, list) else [value]
    return [text for item in items[:most] if (text := clean(item))]
