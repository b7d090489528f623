"""The client has no way to write to a workspace: not in its code, and not on the wire."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from rapidpro_integration.client.api import Connection, RapidProAPI
from rapidpro_integration.client.transport import Transport
from rapidpro_integration.interface import RapidProInterface
from tests.rapidpro_integration.served import Served, served

ROOT = Path(settings.BASE_DIR, "rapidpro_integration")
SOURCES = [*sorted((ROOT / "client").rglob("*.py")), *sorted((ROOT / "reads").rglob("*.py")), ROOT / "interface.py"]
WRITING = {"POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"}
# What sends a request in httpx and aiohttp, whatever its method is called.
SENDING = {"request", "_request", "send", "stream", "build_request", "ws_connect", "handle_async_request", "Request"}
SENDING |= {"_Request", "ClientRequest"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_method_but_get_stands_anywhere(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)):
            text = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
            assert text.strip().upper() not in WRITING, f"line {node.lineno}"
        if isinstance(node, ast.Attribute):
            assert node.attr.upper() not in WRITING, f"line {node.lineno}"
        if isinstance(node, ast.keyword):
            assert node.arg not in {"method", "data", "json", "files"}, f"line {node.value.lineno}"


def test_requests_are_made_in_one_place_only_and_are_gets() -> None:
    """One goes out through aiohttp, one to what answers in a server's place; the last is only told of to a caller."""
    found = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute | ast.Name):
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            if called in SENDING:
                found.append((path.name, called, ast.unparse(node.args[0]) if node.args else ""))
    assert sorted(found) == [
        ("api.py", "Request", "'GET'"),
        ("wire.py", "Request", "'GET'"),
        ("wire.py", "_Request", "'GET'"),
        ("wire.py", "handle_async_request", "request"),
        ("wire.py", "send", "connection"),
    ]


@pytest.mark.parametrize("cls", [Transport, Connection, RapidProAPI, RapidProInterface])
def test_every_public_method_reads(cls: type) -> None:
    reading = ("get", "aget", "aiter", "validate", "avalidate")
    others = {"connect", "read", "workspace", "bytes_left", "tenant", "private", "set_api_token", "for_token"}
    names = {name for name, _ in inspect.getmembers(cls) if not name.startswith("_") and name[0].islower()}
    assert {name for name in names if not name.startswith(reading)} <= others


@pytest.fixture
def sandbox() -> Iterator[Served]:
    with served() as running:
        yield running


def test_every_method_sends_gets_only(sandbox: Served) -> None:
    interface = sandbox.interface("clinics")
    flow = interface.get_flows()[0]
    asked = {"get_flow": (flow.uuid,), "get_definitions": ([flow.uuid],), "get_status_code_interpretation": (200,)}
    names = [name for name in dir(interface) if name.startswith(("get_", "validate_"))]
    for name in names:
        assert getattr(interface, name)(*asked.get(name, ())) is not None
    assert len(sandbox.requests) >= len(names) - 1
    assert {method for method, _, _ in sandbox.requests} == {"GET"}
