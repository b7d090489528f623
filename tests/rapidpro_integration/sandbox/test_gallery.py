"""The gallery holds every kind of thing that a picture must know, and each of its definitions can be asked for."""

from collections.abc import Iterator

import pytest

from rapidpro_integration.pictures import words
from rapidpro_integration.sandbox.data import load
from rapidpro_integration.sandbox.errors import ServerFailure
from rapidpro_integration.sandbox.exports import export
from rapidpro_integration.sandbox.model import Json

GALLERY = load()["gallery"]


def nodes() -> Iterator[Json]:
    for definition in GALLERY.definitions.values():
        yield from definition.get("nodes", [])


def test_every_kind_of_action_occurs_and_one_that_nobody_knows() -> None:
    kinds = {action["type"] for node in nodes() for action in node["actions"]}
    assert kinds == {*words.ACTIONS, "blow_horn"}


def test_every_kind_of_router_wait_and_loose_end_occurs() -> None:
    routers = [node["router"] for node in nodes() if "router" in node]
    waits = [router["wait"] for router in routers if "wait" in router]
    destinations = {exit_["destination_uuid"] for node in nodes() for exit_ in node["exits"]}
    assert {router["type"] for router in routers} == {"switch", "random", "by_the_moon"}
    assert {wait["type"] for wait in waits} == {"msg", "dial"}
    hints = {wait["hint"]["type"] for wait in waits if "hint" in wait}
    assert hints == {"image", "audio", "video", "location", "digits"}
    assert sum("timeout" in wait for wait in waits) == 5
    assert None in destinations
    assert destinations - {None} - {node["uuid"] for node in nodes()} != set()


def test_a_definition_drawn_by_hand_is_exported() -> None:
    drawn = [uuid for uuid, definition in GALLERY.definitions.items() if definition.get("nodes")]
    assert len(drawn) == 14
    for uuid in GALLERY.definitions:
        assert export(GALLERY, [uuid], [], "all")["flows"] == [GALLERY.definitions[uuid]]


def test_a_flow_without_a_revision_breaks_the_server() -> None:
    lost = {row.body["uuid"] for row in GALLERY.tables["flows"]} - set(GALLERY.definitions)
    assert len(lost) == 1
    with pytest.raises(ServerFailure):
        export(GALLERY, [*lost], [], "none")


def test_results_are_those_of_the_definition() -> None:
    named = {row.body["name"]: row.body["results"] for row in GALLERY.tables["flows"]}
    assert [result["key"] for result in named["Weekly hive report"]] == ["active_hives", "weather"]
    assert named["Weekly hive report"][0]["categories"] == ["None", "A few", "Many", "Other", "No Response"]
