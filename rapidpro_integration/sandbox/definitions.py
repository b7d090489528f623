"""Flow definitions of spec 14 made from scripts."""

from collections.abc import Sequence

from rapidpro_integration.sandbox.model import Json
from rapidpro_integration.sandbox.script import (
    Ask,
    Call,
    Fetch,
    Join,
    Keep,
    Say,
    Script,
    Step,
    Text,
    result_key,
    stable_uuid,
)

SPEC_VERSION = "14.4.1"
_TYPES = {"message": "messaging", "voice": "voice", "background": "messaging_background", "survey": "messaging_offline"}
_STEP_PX = 180
_COLUMN_PX = 260


class _Draft:
    """One definition being written: collects nodes, their places on the canvas, and translations."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.voice = script.type == "voice"
        self.nodes: list[Json] = []
        self.places: dict[str, Json] = {}
        self.translations: dict[str, Json] = {language: {} for language in script.languages[1:]}

    def first_node(self, index: int) -> str | None:
        return self.script.node_uuid(index) if index < len(self.script.steps) else None

    def translate(self, item_uuid: str, what: str, text: Text) -> None:
        for language, wording in zip(self.script.languages[1:], text[1:], strict=False):
            self.translations[language][item_uuid] = {what: [wording]}

    def node(self, uuid: str, index: int, kind: str, actions: list[Json], then: str | None, column: int = 0) -> None:
        exits = [{"uuid": stable_uuid(uuid, "exit"), "destination_uuid": then}]
        self._place(uuid, index, kind, column)
        self.nodes.append({"uuid": uuid, "actions": actions, "exits": exits})

    def split(
        self, uuid: str, index: int, kind: str, actions: list[Json], router: Json, to: Sequence[str | None]
    ) -> None:
        exits = [
            {"uuid": stable_uuid(uuid, "exit", place), "destination_uuid": next_} for place, next_ in enumerate(to)
        ]
        for category, exit_ in zip(router["categories"], exits, strict=True):
            category["exit_uuid"] = exit_["uuid"]
        self._place(uuid, index, kind, 0)
        self.nodes.append({"uuid": uuid, "actions": actions, "router": router, "exits": exits})

    def _place(self, uuid: str, index: int, kind: str, column: int) -> None:
        top = (len(self.nodes) - column) * _STEP_PX
        self.places[uuid] = {"type": kind, "position": {"left": 100 + column * _COLUMN_PX, "top": top}}

    def speech(self, uuid: str, text: Text) -> Json:
        action_uuid = stable_uuid(uuid, "speech")
        self.translate(action_uuid, "text", text)
        if self.voice:
            return {"uuid": action_uuid, "type": "say_msg", "text": text[0], "audio_url": ""}
        return {"uuid": action_uuid, "type": "send_msg", "text": text[0], "attachments": [], "quick_replies": []}

    def categories(self, uuid: str, texts: Sequence[Text]) -> list[Json]:
        categories = []
        for place, text in enumerate(texts):
            category_uuid = stable_uuid(uuid, "category", place)
            self.translate(category_uuid, "name", text)
            categories.append({"uuid": category_uuid, "name": text[0]})
        return categories


def definition(script: Script) -> Json:
    """Return the flow's definition."""
    draft = _Draft(script)
    for index, step in enumerate(script.steps):
        _write(draft, index, step)
    return {
        "uuid": script.flow_uuid,
        "name": script.name,
        "spec_version": SPEC_VERSION,
        "language": script.languages[0],
        "type": _TYPES[script.type or "message"],
        "revision": script.revision,
        "expire_after_minutes": script.expires,
        "localization": {language: items for language, items in draft.translations.items() if items},
        "nodes": draft.nodes,
        "_ui": {"nodes": draft.places, "stickies": {}},
    }


def _write(draft: _Draft, index: int, step: Step) -> None:
    uuid, then = draft.script.node_uuid(index), draft.first_node(index + 1)
    match step:
        case Say():
            draft.node(uuid, index, "execute_actions", [draft.speech(uuid, step.text)], then)
        case Ask():
            _write_question(draft, index, step, then)
        case Fetch():
            action: Json = {
                "uuid": stable_uuid(uuid, "call"),
                "type": "call_webhook",
                "method": step.method,
                "url": step.url,
                "headers": {"Accept": "application/json"},
                "body": "",
                "result_name": step.result,
            }
            operand = f"@results.{result_key(step.result)}.category"
            router = _only_test(draft, uuid, step.categories, operand, "Success")
            draft.split(uuid, index, "split_by_webhook", [action], router, [then, then])
        case Call():
            flow = {"uuid": step.flow_uuid, "name": step.flow_name}
            action = {"uuid": stable_uuid(uuid, "enter"), "type": "enter_flow", "flow": flow, "terminal": False}
            router = _only_test(draft, uuid, [("Complete",), ("Expired",)], "@child.status", "completed")
            draft.split(uuid, index, "split_by_subflow", [action], router, [then, None])
        case Join():
            group = {"uuid": stable_uuid(draft.script.workspace, "group", step.group), "name": step.group}
            action = {"uuid": stable_uuid(uuid, "join"), "type": "add_contact_groups", "groups": [group]}
            draft.node(uuid, index, "execute_actions", [action], then)
        case Keep():
            field = {"key": step.field, "name": step.field.replace("_", " ").capitalize()}
            action = {"uuid": stable_uuid(uuid, "keep"), "type": "set_contact_field"}
            draft.node(uuid, index, "execute_actions", [action | {"field": field, "value": step.value}], then)


def _write_question(draft: _Draft, index: int, step: Ask, then: str | None) -> None:
    asked, wait = draft.script.node_uuid(index), draft.script.node_uuid(index, "wait")
    draft.node(asked, index, "execute_actions", [draft.speech(asked, step.question)], wait)
    categories = draft.categories(wait, step.categories)
    targets: list[str | None] = []
    replies: list[tuple[str, Text]] = []
    for place, choice in enumerate(step.choices):
        reply_uuid = draft.script.node_uuid(index, place)
        targets.append(reply_uuid if choice.reply else then)
        if choice.reply:
            replies.append((reply_uuid, choice.reply))
    router = {
        "type": "switch",
        "operand": "@input.text",
        "result_name": step.result,
        "wait": {"type": "msg"} | ({"hint": {"type": "digits", "count": 1}} if draft.voice else {}),
        "cases": [
            {
                "uuid": stable_uuid(wait, "case", place),
                "type": choice.test,
                "arguments": list(choice.arguments),
                "category_uuid": category["uuid"],
            }
            for place, (choice, category) in enumerate(zip(step.choices, categories[:-1], strict=True))
        ],
        "categories": categories,
        "default_category_uuid": categories[-1]["uuid"],
    }
    draft.split(wait, index, "wait_for_menu" if draft.voice else "wait_for_response", [], router, [*targets, then])
    for column, (reply_uuid, text) in enumerate(replies, start=1):
        draft.node(reply_uuid, index, "execute_actions", [draft.speech(reply_uuid, text)], then, column)


def _only_test(draft: _Draft, uuid: str, texts: Sequence[Text], operand: str, expected: str) -> Json:
    categories = draft.categories(uuid, texts)
    case = {
        "uuid": stable_uuid(uuid, "case"),
        "type": "has_only_text",
        "arguments": [expected],
        "category_uuid": categories[0]["uuid"],
    }
    return {
        "type": "switch",
        "operand": operand,
        "cases": [case],
        "categories": categories,
        "default_category_uuid": categories[-1]["uuid"],
    }
