"""Flow definitions drawn by hand, node by node, where a script says too little: for the gallery."""

from collections.abc import Mapping, Sequence
from typing import Any

from rapidpro_integration.sandbox.definitions import SPEC_VERSION
from rapidpro_integration.sandbox.model import Json
from rapidpro_integration.sandbox.script import result_key, stable_uuid

#: A category: its name, where it leads (a node's key or None), and the test that leads to it with its arguments.
type Category = tuple[str, str | None, str, Sequence[str]]


class Canvas:
    """One definition in the making. Nodes are named by short keys; the first one is the start."""

    def __init__(self, key: str, name: str, type_: str = "messaging", language: str = "eng") -> None:
        self.uuid = stable_uuid("gallery", "flow", key)
        self.name, self.type, self.language = name, type_, language
        self.nodes: list[Json] = []
        self.places: dict[str, Json] = {}
        self.localization: dict[str, dict[str, Json]] = {}

    def id(self, *parts: object) -> str:
        """Return the UUID of a node by its key, or of something in it."""
        return stable_uuid(self.uuid, *parts)

    def action(self, node: str, place: int, type_: str, body: Mapping[str, Any]) -> Json:
        """Return an action."""
        return {"uuid": self.id(node, "action", place), "type": type_, **body}

    def node(
        self, key: str, at: tuple[int, int] | None, actions: Sequence[tuple[str, Mapping[str, Any]]], to: str | None
    ) -> None:
        """Add a node that does something and goes on."""
        exits = [{"uuid": self.id(key, "exit", 0), "destination_uuid": self.id(to) if to else None}]
        self._add(key, at, actions, exits, None, "execute_actions")

    def split(
        self,
        key: str,
        at: tuple[int, int] | None,
        categories: Sequence[Category],
        *,
        actions: Sequence[tuple[str, Mapping[str, Any]]] = (),
        operand: str = "@input.text",
        wait: Json | None = None,
        timeout: tuple[int, str] | None = None,
        result: str = "",
        kind: str = "switch",
        ui: str = "wait_for_response",
    ) -> None:
        """Add a node that chooses: `timeout` is seconds and the name of the category that they lead to."""
        ids = {name: self.id(key, "category", place) for place, (name, *_) in enumerate(categories)}
        exits = [
            {"uuid": self.id(key, "exit", place), "destination_uuid": self.id(to) if to else None}
            for place, (_, to, *_) in enumerate(categories)
        ]
        router: Json = {
            "type": kind,
            "categories": [
                {"uuid": ids[name], "name": name, "exit_uuid": exit_["uuid"]}
                for (name, *_), exit_ in zip(categories, exits, strict=True)
            ],
        }
        if result:
            router["result_name"] = result
        if kind == "switch":
            router |= {
                "operand": operand,
                "cases": [
                    {
                        "uuid": self.id(key, "case", place),
                        "type": test,
                        "arguments": list(arguments),
                        "category_uuid": ids[name],
                    }
                    for place, (name, _, test, arguments) in enumerate(categories)
                    if test
                ],
                "default_category_uuid": list(ids.values())[-1],
            }
        if wait is not None:
            router["wait"] = wait
            if timeout:
                router["wait"] = wait | {"timeout": {"seconds": timeout[0], "category_uuid": ids[timeout[1]]}}
        self._add(key, at, actions, exits, router, ui)

    def _add(
        self,
        key: str,
        at: tuple[int, int] | None,
        actions: Sequence[tuple[str, Mapping[str, Any]]],
        exits: list[Json],
        router: Json | None,
        ui: str,
    ) -> None:
        made = [self.action(key, place, type_, body) for place, (type_, body) in enumerate(actions)]
        self.nodes.append(
            {"uuid": self.id(key), "actions": made, "exits": exits} | ({"router": router} if router else {})
        )
        if at:
            self.places[self.id(key)] = {"type": ui, "position": {"left": at[0], "top": at[1]}}

    def translate(self, language: str, key: str, part: str, place: int, **texts: Sequence[str]) -> None:
        """Translate an action ("action", place) or a category ("category", place) of a node."""
        items = self.localization.setdefault(language, {})
        items[self.id(key, part, place)] = {name: list(values) for name, values in texts.items()}

    def definition(self) -> Json:
        """Return the definition."""
        return {
            "uuid": self.uuid,
            "name": self.name,
            "spec_version": SPEC_VERSION,
            "language": self.language,
            "type": self.type,
            "revision": 7,
            "expire_after_minutes": 0 if self.type == "messaging_background" else 720,
            "localization": self.localization,
            "nodes": self.nodes,
            "_ui": {"nodes": self.places, "stickies": {}},
        }


def results(definition: Json) -> list[Json]:
    """Return the results that a definition saves, as flows.json lists them."""
    return [
        {
            "key": result_key(router["result_name"]),
            "name": router["result_name"],
            "categories": [category["name"] for category in router["categories"]],
            "node_uuids": [node["uuid"]],
        }
        for node in definition.get("nodes", [])
        if (router := node.get("router")) and router.get("result_name")
    ]


def say(text: str, **more: object) -> tuple[str, Json]:
    """Return the action of a message."""
    return "send_msg", {"text": text, "attachments": [], "quick_replies": [], **more}
