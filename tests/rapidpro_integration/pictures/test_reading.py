"""Whatever a server sends is a flow or one reason why it cannot be drawn."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapidpro_integration.pictures.model import MAX_NODES, CannotDraw, Reason
from rapidpro_integration.pictures.reading import read
from rapidpro_integration.pictures.steps import describe
from rapidpro_integration.pictures.svg import draw


def node(uuid: str, to: str | None = None, **more: Any) -> dict[str, Any]:
    return {"uuid": uuid, "actions": [], "exits": [{"uuid": f"{uuid}-exit", "destination_uuid": to}]} | more


def flow(*nodes: Any, **more: Any) -> dict[str, Any]:
    return {"uuid": "f", "name": "Flow", "spec_version": "14.4.1", "language": "eng", "nodes": list(nodes)} | more


@pytest.mark.parametrize(
    ("definition", "reason"),
    [
        (None, Reason.UNREADABLE),
        ([], Reason.UNREADABLE),
        ("text", Reason.UNREADABLE),
        (flow(nodes={"a": 1}), Reason.UNREADABLE),
        (flow(nodes=[1, None, "x"]), Reason.UNREADABLE),
        (flow(), Reason.EMPTY),
        ({}, Reason.EMPTY),
        ({"version": "10", "action_sets": [], "rule_sets": []}, Reason.LEGACY),
        ({"action_sets": []}, Reason.LEGACY),
        (flow(node("a"), spec_version="12.0"), Reason.LEGACY),
        (flow(*(node(f"n{n}") for n in range(MAX_NODES + 1))), Reason.TOO_LARGE),
        (flow(*(node(f"n{n}") for n in range(5_000))), Reason.TOO_LARGE),
        (flow(node("a", actions=[{"type": "send_msg"}] * 20_001)), Reason.TOO_LARGE),
        (flow(node("a", actions=[{"type": "send_msg", "text": "x" * 5_000_000}])), Reason.TOO_LARGE),
    ],
    ids=lambda value: str(value)[:30],
)
def test_each_reason_not_to_draw(definition: object, reason: Reason) -> None:
    with pytest.raises(CannotDraw) as caught:
        read(definition)
    assert caught.value.reason is reason


@pytest.mark.parametrize("version", ["13.0.0", "14.4.1", "15", "", None, 14, "9" * 5_000 + ".1", "²"])
def test_newer_and_strange_versions_are_tried(version: object) -> None:
    assert len(read(flow(node("a"), spec_version=version)).nodes) == 1


def test_nodes_without_or_with_the_same_uuid_are_told_apart() -> None:
    read_flow = read(flow(node("a"), node("a"), {"actions": 5, "exits": "x", "router": []}, {}))
    assert [one.uuid for one in read_flow.nodes] == ["a", "#2", "#3"]


@pytest.mark.parametrize(
    "position",
    [
        {},
        None,
        [],
        {"left": "1", "top": 2},
        {"left": 10**400, "top": 0},
        {"left": float("nan"), "top": 0},
        {"left": True},
    ],
)
def test_odd_position_is_none(position: object) -> None:
    ui = {"nodes": {"a": {"position": position}}}
    assert read(flow(node("a"), _ui=ui)).nodes[0].position is None


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
_KEYS = ("uuid", "type", "text", "name", "groups", "flow", "field", "value", "attachments", "quick_replies", "amounts")
_TYPES = ("send_msg", "send_email", "set_contact_field", "enter_flow", "transfer_airtime", "open_ticket", "odd")
_ACTION = st.fixed_dictionaries({"type": st.sampled_from(_TYPES) | _JSON}, optional=dict.fromkeys(_KEYS[2:], _JSON))
_ID = st.sampled_from(["a", "b", "c", "gone", ""]) | _JSON
_ROUTER = st.fixed_dictionaries(
    {"type": st.sampled_from(["switch", "random"]) | _JSON},
    optional={
        "operand": _JSON,
        "wait": _JSON | st.fixed_dictionaries({"type": _JSON, "timeout": st.fixed_dictionaries({"seconds": _JSON})}),
        "cases": st.lists(st.fixed_dictionaries({"type": _JSON, "arguments": _JSON, "category_uuid": _ID}), max_size=3),
        "categories": st.lists(st.fixed_dictionaries({"uuid": _ID, "name": _JSON, "exit_uuid": _ID}), max_size=3),
        "result_name": _JSON,
    },
)
_NODE = st.fixed_dictionaries(
    {"uuid": _ID},
    optional={
        "actions": _JSON | st.lists(_ACTION, max_size=3),
        "exits": _JSON | st.lists(st.fixed_dictionaries({"uuid": _ID, "destination_uuid": _ID}), max_size=3),
        "router": _JSON | _ROUTER,
    },
)
_PLACE = st.fixed_dictionaries({"position": st.fixed_dictionaries({"left": _JSON, "top": _JSON}) | _JSON})
_FLOW = st.fixed_dictionaries(
    {"nodes": st.lists(_NODE | _JSON, max_size=5)},
    optional={
        "spec_version": _JSON,
        "localization": _JSON | st.dictionaries(st.sampled_from(["fra", "x"]), _JSON, max_size=2),
        "_ui": _JSON | st.fixed_dictionaries({"nodes": st.dictionaries(st.sampled_from(["a", "b", "c"]), _PLACE)}),
    },
)


@given(_FLOW | _JSON)
def test_anything_is_drawn_or_has_a_reason(definition: object) -> None:
    try:
        read_flow = read(definition)
    except CannotDraw:
        return
    for language in (*read_flow.languages, "unknown"):
        picture = draw(describe(read_flow, str, language), read_flow.name, str)
        assert picture.svg.startswith("<svg ")
        picture.file.encode()
