"""Senseless questions are refused before anything is sent."""

import inspect
from typing import Any

import pytest
import respx

from rapidpro_integration.interface import RapidProInterface
from tests.conftest import SECRET, SERVER
from tests.rapidpro_integration.reads_table import MANY, TABLE

UUID = "6e99f824-2ea1-4731-9b59-9afdcda1399b"
UUID_PARAMETERS = [
    (resource, name) for resource in TABLE for name in ("uuid", "contact", "flow") if name in TABLE[resource]
]
# A None by mistake must not ask for everything.
TEXT_PARAMETERS = [
    (resource, name)
    for resource in TABLE
    for name, parameter in inspect.signature(getattr(RapidProInterface, f"get_{resource}")).parameters.items()
    if parameter.default == "" and name not in {"before_date", "after_date", "since", "until"}
]
REFUSED: list[tuple[str, dict[str, Any]]] = [
    *((resource, {name: "abc"}) for resource, name in UUID_PARAMETERS),
    *((resource, {"before_date": "2026-01-01", "after_date": "2026-01-02"}) for resource in (*MANY, "archives")),
    *((resource, {"after_date": "01/06/2025"}) for resource in (*MANY, "archives")),
    *((resource, {"concurrency": wrong}) for resource in MANY for wrong in (0, -1, 51)),
    *((resource, {"id": -1}) for resource in TABLE if "id" in TABLE[resource]),
    *((resource, {name: None}) for resource, name in TEXT_PARAMETERS),
    ("users", {"uuids": ["abc"]}),
    ("users", {"uuids": [""]}),
    ("definitions", {}),
    ("definitions", {"uuids": [""]}),
    ("definitions", {"uuids": [UUID], "dependencies": "some"}),
    ("flow", {"uuid": ""}),
    ("runs", {"contact": UUID, "flow": UUID}),
    ("groups", {"uuid": UUID, "name": "A"}),
    ("labels", {"uuid": UUID, "name": "A"}),
    ("contacts", {"uuid": UUID, "deleted": True}),
    ("contacts", {"urn": "tel:1", "group": "A"}),
    *(("messages", {"contact": UUID, **more}) for more in ({"folder": "inbox"}, {"label": "A"}, {"broadcast": 5})),
    ("messages", {"folder": "inbox", "label": "A"}),
    ("statistics", {"since": "2026-02-02", "until": "2026-02-01"}),
    ("statistics", {"since": "2025-01-01", "until": "2026-01-03"}),
    ("statistics", {"since": "yesterday"}),
]  # fmt: skip


@pytest.mark.parametrize(("resource", "asked"), REFUSED, ids=str)
async def test_senseless_question_is_refused_before_any_request(
    respx_mock: respx.MockRouter, resource: str, asked: dict[str, Any]
) -> None:
    interface = RapidProInterface(SECRET, SERVER)
    with pytest.raises(ValueError):
        await getattr(interface, f"aget_{resource}")(**asked)
    if hasattr(interface, f"aiter_{resource}"):
        with pytest.raises(ValueError):
            getattr(interface, f"aiter_{resource}")(**asked)
    assert not respx_mock.calls


def test_pages_do_not_come_many_at_once() -> None:
    with pytest.raises(ValueError):
        RapidProInterface(SECRET, SERVER).aiter_runs(concurrency=2)


@pytest.mark.parametrize(
    ("resource", "asked"),
    [("definitions", {"uuids": UUID}), ("users", {"emails": "a@example.org"}), ("users", {"roles": "agent"})],
)
def test_one_text_is_no_list_of_them(resource: str, asked: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        getattr(RapidProInterface(SECRET, SERVER), f"get_{resource}")(**asked)
