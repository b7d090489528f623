"""The words of the steps: every action and choice is named, in the language that was asked for."""

import pytest

from rapidpro_integration.pictures import words
from rapidpro_integration.pictures.model import Wait
from rapidpro_integration.pictures.reading import read
from rapidpro_integration.pictures.steps import Step, To, describe
from rapidpro_integration.sandbox.data import load
from rapidpro_integration.sandbox.script import stable_uuid
from tests.rapidpro_integration.pictures.test_reading import flow, node


def steps(key: str, language: str = "") -> tuple[Step, ...]:
    definition = load()["gallery"].definitions[stable_uuid("gallery", "flow", key)]
    return describe(read(definition), str, language)


def plain(text: str) -> str:
    return text.replace("\u2068", "").replace("\u2069", "")


def test_a_message_tells_all_that_is_sent() -> None:
    line = steps("welcome")[0].lines[0]
    assert line.text.startswith("Welcome to the bee school")
    assert [plain(extra) for extra in line.extras] == [
        "Quick replies: Hives · Honey · Health",
        "Attachment: image:https://bees.sandbox.example/hive.jpg",
    ]


def test_ways_tell_what_leads_where() -> None:
    ways = steps("welcome")[1].ways
    assert [(way.name, way.to, way.number) for way in ways] == [
        ("Hives", To.STEP, 3),
        ("Honey", To.STEP, 4),
        ("Health", To.END, None),
        ("Other", To.STEP, 1),
    ]
    assert plain(ways[0].tests) == "one of the words hives hive 1"


def test_a_time_out_is_its_own_way() -> None:
    step = steps("menu")[1]
    assert [(line.words, line.text) for line in step.lines[:1]] == [("Wait for a reply", "at most 90 min")]
    assert [way.name for way in step.ways if way.is_timeout] == ["No Response"]


def test_lost_steps_are_not_ends_and_loose_exits_are_shown() -> None:
    ways = steps("loose")[1].ways
    assert [(way.name, way.to) for way in ways] == [
        ("Yes", To.END),
        ("Gone", To.NOWHERE),
        ("", To.STEP),
        ("(without a category)", To.STEP),
    ]


def test_translation_is_whole_in_one_language_and_marked_where_missing_in_another() -> None:
    french, arabic, unknown = (steps("welcome", language) for language in ("fra", "ara", "xyz"))
    assert french[0].lines[0].text.startswith("Bienvenue")
    assert plain(french[0].lines[0].extras[0]) == "Quick replies: Ruches · Miel · Santé"
    assert [way.name for way in french[1].ways] == ["Ruches", "Miel", "Santé", "Autre"]
    assert not any(line.is_missing for step in french for line in step.lines)
    assert arabic[0].lines[0].text.startswith("أهلاً")
    assert [step.number for step in arabic if any(line.is_missing for line in step.lines)] == [3, 4]
    assert all(way.is_missing for way in arabic[1].ways)
    assert unknown == steps("welcome")


def test_every_action_of_the_gallery_says_what_it_acts_upon() -> None:
    told = {
        line.words: plain(line.text)
        for key in ("contact", "outreach", "systems")
        for step in steps(key)
        for line in step.lines
    }
    assert told["Set the contact's language"] == "fra"
    assert told["Set a field of the contact"] == "Old code is emptied"
    assert told["Remove from groups"] == "all groups"
    assert told["Add to groups"] == "Beekeepers · @fields.district"
    assert told["Send airtime"] == "100 NPR, 0.5 JOD"
    assert told["Label the message"] == "Swarm · Urgent"
    assert told["Open a ticket"] == "Bee health – @results.summary"
    assert told["Ask a classifier what is meant"] == "Bee sense – @input.text"
    assert told["Ask for consent to be written to"] == "Monthly news"
    assert told["Call the subscribers of an event"] == "new-report"
    assert told["Start somebody else in a flow"] == "Welcome to the bee school"


def test_every_choice_of_the_gallery_has_its_words() -> None:
    choices = [plain(step.lines[0].words) for step in steps("splits")[:-1]]
    assert choices == [
        "Choose by the groups of the contact",
        "Choose by the contact's field hives",
        "Choose by the contact's language",
        "Choose by the kind of address",
        "Choose by the result weather",
        'Choose by @(default(urn_parts(urns.tel).path, ""))',
        'Choose by @(if(contact.fields.hives > 3, "big", "small"))',
        "Choose by the contact's field district",
    ]


@pytest.mark.parametrize("type_", words.ACTIONS)
def test_an_action_without_anything_in_it_still_has_words(type_: str) -> None:
    (step,) = describe(read(flow(node("a", actions=[{"type": type_}]))), str)
    assert step.lines[0].words == words.ACTIONS[type_][1]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(45, "45 s"), (90, "90 s"), (300, "5 min"), (5_400, "90 min"), (7_200, "2 h"), (172_800, "2 d")],
)
def test_duration_is_in_its_largest_whole_unit(seconds: float, text: str) -> None:
    assert words.duration(seconds, str) == text


def test_unknown_wait_waits_for_a_reply() -> None:
    assert words.wait(Wait("telepathy"), str) == "Wait for a reply"
