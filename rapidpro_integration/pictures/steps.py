"""A flow told step by step in one language: the words that the picture, the list beside it and the script share."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from rapidpro_integration.pictures import words
from rapidpro_integration.pictures.model import Action, Case, Flow, Json, Node, Router
from rapidpro_integration.pictures.reading import texts_of
from rapidpro_integration.pictures.texts import clean, isolate
from rapidpro_integration.pictures.words import Gettext

#: Sent to people and so translated: the property of each that holds the words.
_SPOKEN = {
    "send_msg": "text",
    "say_msg": "text",
    "send_broadcast": "text",
    "send_email": "body",
    "play_audio": "audio_url",
}
_EXTRA_TEXTS = 30


class To(StrEnum):
    """Where a way leads."""

    STEP = "step"
    END = "end"
    NOWHERE = "nowhere"


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that a step does: icon, our words, the flow's own text, and `extras` such as quick replies.

    `is_spoken` tells what people are sent; `is_missing` that it is not translated, so the base language stands here.
    """

    icon: str
    words: str
    text: str = ""
    extras: tuple[str, ...] = ()
    is_spoken: bool = False
    is_missing: bool = False


@dataclass(frozen=True, slots=True)
class Way:
    """A way on from a step: its category, what leads there, and the number of the next step if there is one."""

    name: str
    tests: str
    to: To
    number: int | None = None
    is_timeout: bool = False
    is_missing: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """A node in words. Numbers count from 1 in the order of the definition; step 1 is the start."""

    number: int
    lines: tuple[Line, ...]
    ways: tuple[Way, ...]
    is_router: bool
    position: tuple[float, float] | None

    @property
    def spoken(self) -> tuple[Line, ...]:
        """What this step says to people."""
        return tuple(line for line in self.lines if line.is_spoken)


@dataclass(frozen=True, slots=True)
class _Translation:
    """The texts of one language by item and property; the base language has none of its own."""

    items: Json
    is_base: bool

    def texts(self, uuid: str, name: str, base: object) -> tuple[list[str], bool]:
        """Return the texts, and whether they had to be taken from the base language."""
        original = texts_of(base)
        if self.is_base or not original:
            return original, False
        item = self.items.get(uuid)
        translated = texts_of(item.get(name)) if isinstance(item, dict) else []
        return (translated, False) if translated else (original, True)


def describe(flow: Flow, gettext: Gettext, language: str = "") -> tuple[Step, ...]:
    """Return the steps in one of the flow's languages, or in its base language if it has no such one."""
    items = flow.localization.get(language)
    translation = _Translation(items or {}, items is None or language == flow.language)
    numbers = {node.uuid: number for number, node in enumerate(flow.nodes, start=1)}
    return tuple(_step(node, numbers, translation, gettext) for node in flow.nodes)


def _step(node: Node, numbers: dict[str, int], translation: _Translation, gettext: Gettext) -> Step:
    lines = [_action(action, translation, gettext) for action in node.actions]
    router = node.router
    if router is None:
        several = len(node.exits) > 1
        ways = [
            _towards(destination, numbers, gettext("Exit %(n)d") % {"n": place} if several else "")
            for place, destination in enumerate(node.exits.values(), start=1)
        ]
    else:
        lines += _choice(router, gettext)
        ways = list(_ways(node, router, numbers, translation, gettext))
    return Step(
        number=numbers[node.uuid],
        lines=tuple(lines),
        ways=tuple(ways or [Way("", "", To.END)]),
        is_router=router is not None,
        position=node.position,
    )


def _choice(router: Router, gettext: Gettext) -> Iterator[Line]:
    if router.wait is not None:
        timeout = router.wait.timeout_s
        after = gettext("at most %(time)s") % {"time": words.duration(timeout, gettext)} if timeout else ""
        yield Line("wait", words.wait(router.wait, gettext), after)
    yield Line("random" if router.type == "random" else "split", words.split(router, gettext))
    if router.result:
        yield Line("result", gettext("Save the answer as"), router.result)


def _ways(
    node: Node, router: Router, numbers: dict[str, int], translation: _Translation, gettext: Gettext
) -> Iterator[Way]:
    named: set[str] = set()
    for category in router.categories:
        named.add(category.exit)
        texts, is_missing = translation.texts(category.uuid, "name", category.name)
        tests = [
            words.case(case, _arguments(case, translation), gettext)
            for case in router.cases
            if case.category == category.uuid
        ]
        way = _towards(node.exits.get(category.exit, ""), numbers, "".join(texts[:1]))
        is_timeout = bool(
            router.wait and router.wait.timeout_s and category.uuid and router.wait.timeout_category == category.uuid
        )
        if is_timeout:
            tests.insert(0, gettext("no reply in time"))
        yield replace(way, tests=" · ".join(tests), is_timeout=is_timeout, is_missing=is_missing)
    for exit_, destination in node.exits.items():
        if exit_ not in named:
            yield _towards(destination, numbers, gettext("(without a category)"))


def _arguments(case: Case, translation: _Translation) -> tuple[str, ...]:
    return tuple(translation.texts(case.uuid, "arguments", list(case.arguments))[0])


def _towards(destination: str, numbers: dict[str, int], name: str) -> Way:
    if not destination:
        return Way(name, "", To.END)
    number = numbers.get(destination)
    return Way(name, "", To.NOWHERE if number is None else To.STEP, number)


# --- Actions ------------------------------------------------------------------------------------


def _action(action: Action, translation: _Translation, gettext: Gettext) -> Line:
    icon, english = words.action(action.type)
    body = action.body
    line = Line(icon, gettext(english))
    if spoken := _SPOKEN.get(action.type):
        texts, is_missing = translation.texts(action.uuid, spoken, body.get(spoken))
        return replace(
            line,
            text="".join(texts[:1]),
            extras=tuple(_extras(action, translation, gettext)),
            is_spoken=True,
            is_missing=is_missing,
        )
    return replace(line, text=_facts(action, gettext), extras=tuple(_extras(action, translation, gettext)))


def _facts(action: Action, gettext: Gettext) -> str:
    """Return what an action acts upon, in the flow's own words."""
    body = action.body
    match action.type:
        case "set_contact_field":
            return _set_to(_name(body.get("field")), clean(body.get("value")), gettext)
        case "set_run_result":
            text = _set_to(clean(body.get("name"), 300), clean(body.get("value")), gettext)
            category = clean(body.get("category"), 300)
            return f"{text} ({isolate(category)})" if category else text
        case "enter_flow" | "start_session":
            return _name(body.get("flow"))
        case "add_contact_groups" | "remove_contact_groups":
            return gettext("all groups") if body.get("all_groups") is True else _names(body.get("groups"))
        case "add_input_labels":
            return _names(body.get("labels"))
        case "add_contact_urn":
            return f"{clean(body.get('scheme'), 50)}: {clean(body.get('path'))}"
        case "call_webhook":
            return f"{clean(body.get('method'), 20)} {clean(body.get('url'))}".strip()
        case "open_ticket":
            topic = _name(body.get("topic"))
            note = clean(body.get("note")) or clean(body.get("body")) or clean(body.get("subject"))
            return " – ".join(isolate(text) for text in (topic, note) if text)
        case "transfer_airtime":
            amounts = body.get("amounts")
            listed = list(amounts.items())[:_EXTRA_TEXTS] if isinstance(amounts, dict) else []
            return ", ".join(f"{clean(amount)} {clean(currency, 20)}" for currency, amount in listed)
        case known if known in words.ACTIONS:
            kinds = ("classifier", "llm", "channel", "optin")
            named = (_name(body.get(kind)) for kind in kinds)
            plain = (
                clean(body.get(kind))
                for kind in ("input", "instructions", "name", "language", "timezone", "status", "resthook")
            )
            return " – ".join(isolate(text) for text in (*named, *plain) if text)
        case unknown:
            return unknown


def _set_to(name: str, value: str, gettext: Gettext) -> str:
    if not value:
        return gettext("%(name)s is emptied") % {"name": isolate(name)}
    return f"{isolate(name)} = {isolate(value)}"


def _extras(action: Action, translation: _Translation, gettext: Gettext) -> Iterator[str]:
    """Yield what belongs to an action beside its main text."""
    body = action.body
    subject = "".join(translation.texts(action.uuid, "subject", body.get("subject"))[0][:1])
    if subject and action.type == "send_email":
        yield gettext("Subject: %(text)s") % {"text": isolate(subject)}
    if receivers := _receivers(body):
        yield gettext("To: %(names)s") % {"names": receivers}
    if replies := translation.texts(action.uuid, "quick_replies", _replies(body.get("quick_replies")))[0]:
        yield gettext("Quick replies: %(texts)s") % {"texts": _joined(replies)}
    for attachment in translation.texts(action.uuid, "attachments", body.get("attachments"))[0][:_EXTRA_TEXTS]:
        yield gettext("Attachment: %(what)s") % {"what": isolate(attachment)}
    if audio := clean(body.get("audio_url")) if action.type == "say_msg" else "":
        yield gettext("Attachment: %(what)s") % {"what": isolate(audio)}
    if template := _name(body.get("template")) or _name(_part(body.get("templating"), "template")):
        yield gettext("Template: %(name)s") % {"name": isolate(template)}
    if result := clean(body.get("result_name"), 300):
        yield gettext("Saves the result %(name)s") % {"name": isolate(result)}


def _replies(value: object) -> list[str]:
    """Return the quick replies' words: newer servers send objects with a text, older ones texts."""
    items = value if isinstance(value, list) else []
    return [text for item in items[:_EXTRA_TEXTS] if (text := clean(_part(item, "text") or item, 300))]


def _receivers(body: Json) -> str:
    parts: list[str] = []
    for kind in ("groups", "contacts"):
        if "flow" in body or "text" in body:
            parts += [_names(body.get(kind))]
    parts += texts_of(body.get("addresses")) + texts_of(body.get("urns")) + texts_of(body.get("legacy_vars"))
    return _joined([part for part in parts if part])


def _part(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, dict) else None


def _name(value: object) -> str:
    return clean(_part(value, "name") or _part(value, "name_match") or _part(value, "key") or value, 300)


def _names(value: object) -> str:
    items = value if isinstance(value, list) else []
    return _joined([name for item in items[:_EXTRA_TEXTS] if (name := _name(item))])


def _joined(texts: Sequence[str]) -> str:
    return " · ".join(isolate(text) for text in texts)
