"""The strict and the patient decoder: both read every recording whole, and whatever both read, they read alike."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from rapidpro_integration.client import decoding, resources
from rapidpro_integration.client.decoding import read_object, read_page
from rapidpro_integration.client.errors import AbstractRequestException, Kind, MalformedException, NotRapidProException
from rapidpro_integration.client.lenient import struct_of
from rapidpro_integration.client.resources import RUNS, Resource
from rapidpro_integration.client.texts import MAX_DEPTH
from rapidpro_integration.client.types import Definitions, Flow, Run, Workspace
from tests.conftest import RECORDINGS
from tests.rapidpro_integration.client.test_decoding import ANY_JSON, NOBODY, answer

UUID_TEXT = "6e99f824-2ea1-4731-9b59-9afdcda1399b"
LISTS = {one.name: one for one in vars(resources).values() if isinstance(one, Resource)}
OBJECTS: dict[str, type[Struct]] = {"workspace": Workspace, "org": Workspace, "definitions": Definitions}


def recorded(wanted: Any) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return the recorded successes with a JSON object, by name: the resource and the body."""
    found = {}
    for path in sorted(RECORDINGS.glob("*.json")):
        exchange = json.loads(path.read_text("utf-8"))
        body = exchange["response"]["body"]
        resource = urlsplit(exchange["request"]["path"]).path.removeprefix("/api/v2/").strip("/").removesuffix(".json")
        if exchange["response"]["status"] == 200 and isinstance(body, dict) and wanted(resource, body):
            found[path.stem] = resource, body
    return found


RECORDED_LISTS = recorded(lambda resource, body: "results" in body)
# The page without ".json" answers anybody with a workspace of no uuid: that is none.
RECORDED_OBJECTS = recorded(
    lambda resource, body: "results" not in body and resource in OBJECTS and body.get("uuid", "") is not None
)


def strictly(body: bytes, kind: type[Struct]) -> list[Struct] | None:
    page = decoding._strictly(body, kind)
    return None if page is None else [alike(row) for row in page.results]


def patiently(payload: Any, kind: type[Struct]) -> list[Struct | None]:
    return [alike(struct_of(kind, row)) for row in payload["results"]]


def alike(row: Any) -> Any:
    """Return a flow with its results as JSON writes them shortest: those are kept as they came."""
    if not isinstance(row, Flow):
        return row
    return msgspec.structs.replace(row, results_json=msgspec.Raw(msgspec.json.encode(row.results)))


# --- Recordings ---------------------------------------------------------------------------------


def test_every_recorded_list_is_of_a_resource_that_we_read() -> None:
    assert len(RECORDED_LISTS) > 100
    assert {resource for resource, _ in RECORDED_LISTS.values()} == set(LISTS)
    assert {resource for resource, _ in RECORDED_OBJECTS.values()} == set(OBJECTS)


@pytest.mark.parametrize("name", RECORDED_LISTS)
def test_recorded_list_is_read_whole_and_alike_by_both(name: str) -> None:
    resource, payload = RECORDED_LISTS[name]
    kind, body = LISTS[resource].kind, json.dumps(payload, ensure_ascii=False).encode()
    rows = strictly(body, kind)
    assert rows is not None
    assert rows == patiently(payload, kind)
    decoded = read_page(answer(body), NOBODY, kind, LISTS[resource].position)
    assert (len(decoded.rows), decoded.unreadable_count) == (len(payload["results"]), 0)
    assert bool(decoded.following) is bool(payload.get("next"))


@pytest.mark.parametrize("name", RECORDED_LISTS)
def test_recorded_values_arrive(name: str) -> None:
    """Each field of a row that we name has the recorded value: none is silently its default."""
    resource, payload = RECORDED_LISTS[name]
    kind = LISTS[resource].kind
    for row, raw in zip(patiently(payload, kind), payload["results"], strict=True):
        assert row is not None
        for field in msgspec.structs.fields(kind):
            if raw.get(field.encode_name) is not None and field.encode_name != "results":
                sent, kept = raw[field.encode_name], msgspec.to_builtins(getattr(row, field.name))
                assert _holds(sent, kept), f"{field.name}: {sent!r} became {kept!r}"


def _holds(sent: Any, kept: Any) -> bool:
    if isinstance(sent, dict) and isinstance(kept, dict):
        return all(_holds(sent[name], value) for name, value in kept.items() if name in sent)
    if isinstance(sent, list) and isinstance(kept, (list, tuple)):
        return len(sent) == len(kept) and all(map(_holds, sent, kept))
    if isinstance(sent, str) and isinstance(kept, str) and sent != kept:
        return datetime.fromisoformat(sent) == datetime.fromisoformat(kept)
    return bool(sent == kept)


@pytest.mark.parametrize("name", RECORDED_OBJECTS)
def test_recorded_object_is_read(name: str) -> None:
    resource, payload = RECORDED_OBJECTS[name]
    read = read_object(answer(json.dumps(payload).encode()), NOBODY, OBJECTS[resource], resource)
    for field in msgspec.structs.fields(OBJECTS[resource]):
        if payload.get(field.encode_name) is not None:
            assert _holds(payload[field.encode_name], msgspec.to_builtins(getattr(read, field.name)))


# --- Rows that lack something -------------------------------------------------------------------


def kinds() -> list[Resource[Any]]:
    return list(LISTS.values())


def recorded_row(resource: str) -> dict[str, Any]:
    """Return the fullest recorded row of a resource."""
    rows = [row for name, body in RECORDED_LISTS.values() if name == resource for row in body["results"]]
    return max(rows, key=lambda row: len(json.dumps(row)))


def required(kind: type[Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(kind) if field.required}


@pytest.mark.parametrize("resource", LISTS)
@pytest.mark.parametrize("instead", ["missing", None, 5, "x", [], {}, [None], {"x": None}])
def test_field_that_is_missing_or_wrong_leaves_the_row_and_its_neighbours(resource: str, instead: Any) -> None:
    row, kind = recorded_row(resource), LISTS[resource].kind
    whole = patiently({"results": [row]}, kind)[0]
    for name in row:
        changed = {key: value for key, value in row.items() if key != name}
        if instead != "missing":
            changed[name] = instead
        payload = {"results": [row, changed]}
        decoded = read_page(answer(json.dumps(payload).encode()), NOBODY, kind, LISTS[resource].position)
        assert alike(decoded.rows[0]) == whole
        if name not in required(kind):
            assert decoded.unreadable_count == 0
            read = alike(decoded.rows[1])
            for field in msgspec.structs.fields(kind):
                if field.encode_name != name:
                    assert getattr(read, field.name) == getattr(whole, field.name)


def test_run_without_paths_is_a_run() -> None:
    row = recorded_row("runs")
    (with_path,) = read_page(answer(json.dumps({"results": [row]}).encode()), NOBODY, Run, RUNS.position).rows
    assert with_path.path
    for lacking in ({**row, "path": None}, {key: value for key, value in row.items() if key != "path"}):
        decoded = read_page(answer(json.dumps({"results": [lacking]}).encode()), NOBODY, Run, RUNS.position)
        assert decoded.unreadable_count == 0
        assert decoded.rows[0] == msgspec.structs.replace(with_path, path=None)


# --- Anything at all ----------------------------------------------------------------------------

TEXTS = st.sampled_from([
    UUID_TEXT, UUID_TEXT.upper(), UUID_TEXT.replace("-", ""), "{" + UUID_TEXT + "}", "2026-11-20T01:12:00Z",
    "2026-11-20T01:12:00.1234567Z", "2026-11-20t01:12:00.999999999z", "2026-11-20T01:12:00",
    "2026-11-20 01:12:00+03:00",
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.9999999Z", "2026-11-20", "2026-W47-5", "eng", "\x00", "\ud800", "",
])  # fmt: skip
NUMBERS = st.sampled_from([0, -1, 1, 2**63 - 1, 2**63, 2**64, 10**15 + 1, 10**299, 10**300, -(10**300), 5.0, 1e300])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | NUMBERS | st.floats(allow_nan=True) | st.text() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | TEXTS, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def pages(draw: st.DrawFn) -> tuple[Resource[Any], dict[str, Any]]:
    """Draw a page of recorded rows, in which a few fields, also of inner objects, are something else."""
    resource = draw(st.sampled_from(kinds()))
    row = json.loads(json.dumps(recorded_row(resource.name)))
    for _ in range(draw(st.integers(0, 3))):
        at: Any = row
        while isinstance(at, (dict, list)) and at:
            key = draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
            if not isinstance(at[key], (dict, list)) or not at[key] or draw(st.booleans()):
                at[key] = draw(VALUES)
                break
            at = at[key]
    return resource, {"results": [row, *draw(st.lists(VALUES, max_size=2))], "next": None}


@given(pages(), st.booleans(), st.sampled_from([None, 1]))
def test_whatever_is_read_strictly_is_read_alike_with_patience(
    drawn: tuple[Resource[Any], dict[str, Any]], ascii_only: bool, indent: int | None
) -> None:
    resource, payload = drawn
    text = json.dumps(payload, ensure_ascii=ascii_only, indent=indent)
    # Lone surrogates have no bytes: only an escape can write them.
    body = (text if _is_utf8(text) else json.dumps(payload, indent=indent)).encode()
    strict = strictly(body, resource.kind)
    decoded = read_page(answer(body), NOBODY, resource.kind, resource.position)
    if strict is not None:
        assert strict == patiently(decoding.read_json(answer(body), NOBODY), resource.kind)
    assert len(decoded.rows) + decoded.unreadable_count == len(payload["results"])
    for row in decoded.rows:
        msgspec.json.encode(alike(row)).decode("utf-8")
        assert all(moment.tzinfo is UTC for moment in _moments(row))


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _moments(value: Any) -> list[datetime]:
    if isinstance(value, datetime):
        return [value]
    if isinstance(value, Struct):
        value = [getattr(value, name) for name in value.__struct_fields__]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return [moment for item in inner for moment in _moments(item)]


@given(ANY_JSON, st.sampled_from(kinds()))
def test_any_json_is_a_page_alike_for_both_or_refused(payload: Any, resource: Resource[Any]) -> None:
    body = json.dumps(payload).encode()
    strict = strictly(body, resource.kind)
    try:
        decoded = read_page(answer(body), NOBODY, resource.kind, resource.position)
    except (MalformedException, NotRapidProException):
        assert strict is None
        return
    assert strict is None or strict == patiently(payload, resource.kind)
    assert len(decoded.rows) + decoded.unreadable_count == len(payload["results"])


# --- What breaks decoders -----------------------------------------------------------------------


def event(extra: str) -> bytes:
    """Return a page with one channel event, whose `extra` may be any JSON."""
    return f'{{"next": null, "results": [{{"id": 5, "type": "mo_call", "extra": {{"a": {extra}}}}}]}}'.encode()


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.parametrize(
    ("extra", "kept"),
    [
        ("1", 1),
        ('"\\ud800"', "\ufffd"),
        ('"\\udc00x"', "\ufffdx"),
        ('"\\u0000"', "\ufffd"),
        ('"\\ud83d\\ude00"', "😀"),
        ("NaN", None),
        ("-Infinity", None),
        ("1e999", None),
        ("9" * 300, 10**300 - 1),
        ("-" + "9" * 300, 1 - 10**300),
        ("9" * 301, None),
        ("9" * 5000, None),
        ("-" + "9" * 5000, None),
        (nested(MAX_DEPTH), json.loads(nested(MAX_DEPTH))),
    ],
)
def test_value_is_kept_clean_by_the_page(extra: str, kept: Any) -> None:
    decoded = read_page(answer(event(extra)), NOBODY, resources.CHANNEL_EVENTS.kind, ("cursor",))
    assert decoded.unreadable_count == 0
    assert decoded.rows[0].extra == {"a": kept}


def test_depth_is_cut_whichever_decoder_reads() -> None:
    (row,) = read_page(answer(event(nested(MAX_DEPTH + 1))), NOBODY, resources.CHANNEL_EVENTS.kind, ("cursor",)).rows
    assert json.dumps(row.extra).count("[") == MAX_DEPTH
    assert "null" in json.dumps(row.extra)


@pytest.mark.parametrize(
    "extra", [nested(200_000), "[" * 200_000, '"\udcff"', "01", "'x'", "1}, 2", '"\n"'], ids=lambda text: text[:5]
)
def test_what_is_no_json_is_malformed(extra: str) -> None:
    body = event("@").replace(b"@", extra.encode("utf-8", "surrogateescape"))
    with pytest.raises(AbstractRequestException) as caught:
        read_page(answer(body), NOBODY, resources.CHANNEL_EVENTS.kind, ("cursor",))
    assert caught.value.kind is Kind.MALFORMED
    assert caught.value.__context__ is None


@pytest.mark.parametrize("name", ["name", "uuid", "unknown"])
def test_of_a_key_given_twice_the_last_counts(name: str) -> None:
    row = f'{{"uuid": "{UUID_TEXT}", "name": "kept", "{name}": 5, "{name}": "{UUID_TEXT}"}}'
    (flow,) = read_page(answer(f'{{"results": [{row}]}}'.encode()), NOBODY, Flow, ("cursor",)).rows
    assert str(flow.uuid) == UUID_TEXT
    assert flow.name == (UUID_TEXT if name == "name" else "kept")


def test_byte_order_mark_is_no_hindrance() -> None:
    body = b"\xef\xbb\xbf" + event("1")
    assert len(read_page(answer(body), NOBODY, resources.CHANNEL_EVENTS.kind, ("cursor",)).rows) == 1


@pytest.mark.parametrize("time", ["2026-11-20T01:12:00", "2026-11-20T04:12:00+03:00"])
def test_times_inside_a_run_are_in_utc_too(time: str) -> None:
    run = {"uuid": UUID_TEXT, "path": [{"node": UUID_TEXT, "time": time}], "values": {"a": {"time": time}}}
    (read,) = read_page(answer(json.dumps({"results": [run]}).encode()), NOBODY, Run, ("cursor",)).rows
    assert read.path is not None
    assert read.path[0].time == read.values["a"].time == datetime(2026, 11, 20, 1, 12, tzinfo=UTC)
    assert read.path[0].time.tzinfo is UTC
