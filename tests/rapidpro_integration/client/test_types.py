"""Flows and workspaces out of whatever JSON: recorded, incomplete, hostile."""

import json
import pickle
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapidpro_integration.client.decoding import read_page
from rapidpro_integration.client.lenient import struct_of
from rapidpro_integration.client.types import Broadcast, Flow, Message, Ref, Rows, RunCounts, Workspace
from tests.rapidpro_integration.client.test_decoding import ANY_JSON, NOBODY, answer

UUID_TEXT = "6e99f824-2ea1-4731-9b59-9afdcda1399b"
FIELDS = [
    "name", "type", "archived", "labels", "expires", "runs", "results", "parent_refs", "created_on", "modified_on",
]  # fmt: skip


def flow(**fields: Any) -> Flow:
    read = struct_of(Flow, {"uuid": UUID_TEXT} | fields)
    assert read is not None
    return read


def test_recorded_flow_is_read(recording: Callable[[str], dict[str, Any]]) -> None:
    (row,) = recording("flows_q_uuid_good")["response"]["body"]["results"]
    read = struct_of(Flow, row)
    assert read is not None
    assert str(read.uuid) == row["uuid"] == UUID_TEXT
    assert (read.name, read.type, read.archived) == ("Sample Flow - Satisfaction Survey", "message", False)
    assert read.expires_minutes == 720
    assert read.runs == RunCounts(active=35, waiting=37, completed=161, expired=38, interrupted=27, failed=36)
    assert read.runs.total == 334
    assert read.runs.completion_rate == pytest.approx(161 / 334)
    assert [result.key for result in read.results] == [result["key"] for result in row["results"]]
    assert read.results[1].name == "Extra Comments"
    assert read.results[0].categories == ("Yes", "Other")
    assert list(read.results[1].node_uuids) == row["results"][1]["node_uuids"]
    assert read.created_on == read.modified_on == datetime(2023, 11, 21, 12, tzinfo=UTC)
    assert read.raw is None


def test_labels_and_parent_refs_are_read() -> None:
    read = flow(labels=[{"uuid": UUID_TEXT, "name": "A"}, {"name": "B"}, "C", None], parent_refs=["district", 5])
    assert read.labels == (Ref(UUID(UUID_TEXT), "A"), Ref(None, "B"))
    assert read.parent_refs == ("district",)


@pytest.mark.parametrize(
    "row", [None, 5, "x", [], {}, {"uuid": None}, {"uuid": "abc"}, {"uuid": ["x"]}, {"name": "no uuid"}]
)
def test_row_without_a_usable_uuid_is_none(row: object) -> None:
    assert struct_of(Flow, row) is None
    assert struct_of(Workspace, row) is None


@pytest.mark.parametrize("kind", [Message, Broadcast])
def test_row_with_neither_uuid_nor_id_is_none(kind: type[Message] | type[Broadcast]) -> None:
    for row in ({}, {"uuid": None, "id": None}, {"uuid": "", "id": -1}, {"text": "Hello"}):
        assert struct_of(kind, row) is None
        assert read_page(answer(json.dumps({"results": [row]}).encode()), NOBODY, kind, ()).unreadable_count == 1
    assert struct_of(kind, {"id": 5}) == kind(id=5)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", [None, 5, -1.5, True, "x", "", [], [None, 5, "x", [], {}], {}, {"active": "many"}])
def test_field_of_a_wrong_type_leaves_the_others(field: str, value: object) -> None:
    read = flow(**{"name": "kept", "type": "message", "expires": 5, field: value})
    for kept, expected in {"name": "kept", "type": "message", "expires": 5}.items():
        if kept != field:
            assert getattr(read, "expires_minutes" if kept == "expires" else kept) == expected


def test_flow_of_nothing_but_a_uuid_has_defaults() -> None:
    assert flow() == Flow(UUID(UUID_TEXT))
    assert flow().runs.completion_rate is None
    assert flow().expires_minutes is None


@pytest.mark.parametrize(
    ("value", "count"), [(0, 0), (10**15, 10**15), (10**15 + 1, 0), (-1, 0), (True, 0), (1.5, 0), ("7", 0), (None, 0)]
)
def test_count_that_is_none_counts_nothing(value: object, count: int) -> None:
    assert flow(runs={"active": value, "unknown": 5}).runs == RunCounts(active=count)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-20T01:12:00Z", datetime(2026, 11, 20, 1, 12, tzinfo=UTC)),
        ("2026-11-20T01:12:00.123456Z", datetime(2026, 11, 20, 1, 12, 0, 123456, tzinfo=UTC)),
        ("2026-11-20T04:12:00+03:00", datetime(2026, 11, 20, 1, 12, tzinfo=UTC)),
        ("2026-11-20T01:12:00", datetime(2026, 11, 20, 1, 12, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", None),
        ("9999-12-31T23:59:59Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("yesterday", None),
        ("\ud800", None),
        (1_700_000_000, None),
    ],
)
def test_time_is_in_utc_or_none(text: object, moment: datetime | None) -> None:
    assert flow(created_on=text).created_on == moment
    assert flow(modified_on=text).modified_on == moment


def test_text_is_storable() -> None:
    read = flow(name="a\x00\ud800", type="\x00", results=[{"key": "\ud800", "categories": ["\x00"]}])
    assert read.name == "a\ufffd\ufffd"
    assert read.results[0].categories == ("\ufffd",)
    repr(read).encode()


def test_flow_is_frozen() -> None:
    with pytest.raises(AttributeError):
        flow().name = "other"  # type: ignore[misc]
    assert not hasattr(flow(), "__dict__")


@given(st.fixed_dictionaries({"uuid": st.just(UUID_TEXT)}, optional=dict.fromkeys(FIELDS, ANY_JSON)))
def test_any_row_with_a_uuid_is_a_flow_that_a_database_takes(row: dict[str, Any]) -> None:
    read = struct_of(Flow, json.loads(json.dumps(row)))
    assert read is not None
    assert "\x00" not in read.name + (read.type or "")
    f"{read!r}{read.name}{read.labels}{read.results}{read.parent_refs}".encode()
    assert 0 <= read.runs.total < 2**63


@given(
    st.fixed_dictionaries({"uuid": st.just(UUID_TEXT)}, optional=dict.fromkeys(["name", "languages", "anon"], ANY_JSON))
)
def test_any_object_with_a_uuid_is_a_workspace(payload: dict[str, Any]) -> None:
    read = struct_of(Workspace, payload)
    assert read is not None
    repr(read).encode()


@pytest.mark.parametrize("name", ["workspace_good", "path_org_deprecated"])
def test_recorded_workspace_is_read(recording: Callable[[str], dict[str, Any]], name: str) -> None:
    read = struct_of(Workspace, recording(name)["response"]["body"])
    assert read == Workspace(
        uuid=UUID("882f1c30-45b7-4fe2-bff8-12c78de3807e"),
        name="Ministério da Saúde — Nutrição",
        country="BR",
        languages=("por", "eng", "spa"),
        primary_language="por",
        timezone="America/Sao_Paulo",
        date_style="day_first",
        anon=False,
    )


def test_recorded_anonymous_workspace_is_anonymous(recording: Callable[[str], dict[str, Any]]) -> None:
    read = struct_of(Workspace, recording("workspace_anon_org")["response"]["body"])
    assert read is not None
    assert read.anon is True


def test_list_is_a_list_with_facts() -> None:
    flows = Rows([flow()], unreadable_count=2, stopped_because="page_cap")
    assert isinstance(flows, list)
    assert flows == [flow()]
    assert (flows.unreadable_count, flows.stopped_because) == (2, "page_cap")
    assert flows.fetched_at.utcoffset() is not None
    assert pickle.loads(pickle.dumps(flows)).unreadable_count == 2
