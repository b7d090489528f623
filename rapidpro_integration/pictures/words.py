"""Words for what RapidPro says in codes: actions, routers, tests and waits. English here, `gettext` on the way out."""

import re
from collections.abc import Callable, Mapping

from rapidpro_integration.pictures.model import Case, Router, Wait
from rapidpro_integration.pictures.texts import clean, isolate

type Gettext = Callable[[str], str]


def _(message: str) -> str:
    """Mark a text of a table for translation."""
    return message


#: Type of an action: its icon, and what it does.
ACTIONS: Mapping[str, tuple[str, str]] = {
    "send_msg": ("message", _("Send a message")),
    "say_msg": ("voice", _("Say")),
    "play_audio": ("voice", _("Play a recording")),
    "send_email": ("mail", _("Send an e-mail")),
    "send_broadcast": ("message", _("Send a message to others")),
    "start_session": ("flow", _("Start somebody else in a flow")),
    "enter_flow": ("flow", _("Go through another flow")),
    "add_contact_groups": ("group", _("Add to groups")),
    "remove_contact_groups": ("group", _("Remove from groups")),
    "add_contact_urn": ("contact", _("Add an address to the contact")),
    "set_contact_name": ("contact", _("Set the contact's name")),
    "set_contact_language": ("contact", _("Set the contact's language")),
    "set_contact_timezone": ("contact", _("Set the contact's time zone")),
    "set_contact_status": ("contact", _("Set the contact's status")),
    "set_contact_channel": ("contact", _("Set the contact's channel")),
    "set_contact_field": ("contact", _("Set a field of the contact")),
    "set_run_result": ("result", _("Save a result")),
    "add_input_labels": ("label", _("Label the message")),
    "call_webhook": ("call", _("Call a web address")),
    "call_resthook": ("call", _("Call the subscribers of an event")),
    "call_classifier": ("call", _("Ask a classifier what is meant")),
    "call_llm": ("call", _("Ask a language model")),
    "open_ticket": ("ticket", _("Open a ticket")),
    "transfer_airtime": ("airtime", _("Send airtime")),
    "request_optin": ("contact", _("Ask for consent to be written to")),
}
OTHER_ACTION = ("other", _("Something that we have no words for"))

_TESTS: Mapping[str, str] = {
    "has_text": _("any text"),
    "has_value": _("any value"),
    "has_any_word": _("one of the words"),
    "has_all_words": _("all of the words"),
    "has_phrase": _("the phrase"),
    "has_only_phrase": _("only the phrase"),
    "has_only_text": _("exactly"),
    "has_beginning": _("begins with"),
    "has_pattern": _("matches the pattern"),
    "has_number": _("a number"),
    "has_number_between": _("a number from–to"),
    "has_number_eq": _("a number ="),
    "has_number_lt": _("a number <"),
    "has_number_lte": _("a number ≤"),
    "has_number_gt": _("a number >"),
    "has_number_gte": _("a number ≥"),
    "has_date": _("a date"),
    "has_date_lt": _("a date before"),
    "has_date_eq": _("the date"),
    "has_date_gt": _("a date after"),
    "has_time": _("a time"),
    "has_phone": _("a telephone number"),
    "has_email": _("an e-mail address"),
    "has_group": _("in the group"),
    "has_category": _("in the category"),
    "has_error": _("an error"),
    "has_state": _("a province"),
    "has_district": _("a district"),
    "has_ward": _("a ward"),
    "has_intent": _("means"),
    "has_top_intent": _("means most likely"),
}

_WAITS: Mapping[str, str] = {
    "image": _("Wait for a picture"),
    "audio": _("Wait for a recording"),
    "video": _("Wait for a video"),
    "location": _("Wait for a place"),
    "digits": _("Wait for keys to be pressed"),
    "dial": _("Call a number and wait for the end"),
}

_OPERANDS: Mapping[str, str] = {
    "input": _("by the reply"),
    "input.text": _("by the reply"),
    "contact.groups": _("by the groups of the contact"),
    "contact.language": _("by the contact's language"),
    "contact.name": _("by the contact's name"),
    "contact.status": _("by the contact's status"),
    "contact.channel": _("by the contact's channel"),
    "contact.channel.name": _("by the contact's channel"),
    "contact.tickets": _("by the contact's tickets"),
    "child.run.status": _("by how the other flow ended"),
    "child.status": _("by how the other flow ended"),
    "dial.status": _("by how the call ended"),
    "webhook.status": _("by what the web address answered"),
    "contact.urn.scheme": _("by the kind of address"),
    "urns.scheme": _("by the kind of address"),
}
_SCHEME = re.compile(r"urn_parts\(.*scheme", re.DOTALL)
_NAMED = re.compile(
    r"@\(?\s*(?:default\()?\s*(results|fields|contact\.fields|globals|parent\.results|urns)\.(\w{1,80})"
)


def action(type_: str) -> tuple[str, str]:
    """Return icon and English words for a type of action."""
    return ACTIONS.get(type_, OTHER_ACTION)


def wait(wait: Wait, gettext: Gettext) -> str:
    """Return what is waited for."""
    words = _WAITS.get(wait.hint if wait.type == "msg" else wait.type)
    return gettext(words) if words else gettext("Wait for a reply")


def duration(seconds: float, gettext: Gettext) -> str:
    """Return a span of time in its largest whole unit."""
    for size, text in ((86_400, gettext("%(n)d d")), (3_600, gettext("%(n)d h")), (60, gettext("%(n)d min"))):
        if seconds >= size and seconds % size == 0:
            return text % {"n": seconds // size}
    return gettext("%(n)d s") % {"n": seconds}


def split(router: Router, gettext: Gettext) -> str:
    """Return how a router chooses."""
    if router.type == "random":
        return gettext("Choose at random")
    if router.type != "switch":
        return gettext("Choose in a way that we have no words for")
    return gettext("Choose %(by)s") % {"by": _operand(router.operand, gettext)}


def _operand(operand: str, gettext: Gettext) -> str:
    plain = operand.strip().removeprefix("@").removeprefix("(").removesuffix(")").strip()
    if plain in _OPERANDS:
        return gettext(_OPERANDS[plain])
    if _SCHEME.search(operand[:200]):
        return gettext(_OPERANDS["urns.scheme"])
    if found := _NAMED.match(operand):
        kind, name = found[1], isolate(found[2])
        if kind == "urns":
            return gettext("by the contact's address of the kind %(name)s") % {"name": name}
        if kind == "globals":
            return gettext("by the global value %(name)s") % {"name": name}
        if kind in {"results", "parent.results"}:
            return gettext("by the result %(name)s") % {"name": name}
        return gettext("by the contact's field %(name)s") % {"name": name}
    if not operand.strip():
        return gettext("by nothing")
    return gettext("by %(expression)s") % {"expression": isolate(clean(operand, 200))}


def case(case: Case, arguments: tuple[str, ...], gettext: Gettext) -> str:
    """Return a test with what it compares with. A group's first argument is its UUID, which tells people nothing."""
    if case.type == "has_group":
        arguments = arguments[1:] or arguments
    words = gettext(_TESTS[case.type]) if case.type in _TESTS else isolate(case.type or "?")
    compared = "–".join if case.type == "has_number_between" else ", ".join
    return f"{words} {isolate(compared(arguments))}" if arguments else words
