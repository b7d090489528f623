"""docs/client.md says everything that is public, and nothing that is not so; the examples of the README run."""

import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from rapidpro_integration.client import errors, resources, retries
from rapidpro_integration.client.permits import Limits
from rapidpro_integration.client.resources import Resource
from rapidpro_integration.client.transport import scope_of
from rapidpro_integration.interface import RapidProInterface
from rapidpro_integration.sandbox.tokens import TOKENS
from tests.rapidpro_integration.client.test_errors import LEAVES
from tests.rapidpro_integration.served import Served, served

ROOT = Path(settings.BASE_DIR)
PACKAGE = ROOT / "rapidpro_integration"
DOC = (ROOT / "docs" / "client.md").read_text("utf-8")
README = (PACKAGE / "client" / "README.md").read_text("utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def table(heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading."""
    lines = DOC.split(f"# {heading}\n", 1)[1].splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows


def code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


LISTS = {code(row[0])[0].removeprefix("get_"): row for row in table("Lists")}
KINDS = {one.name: one for one in vars(resources).values() if isinstance(one, Resource)}


def test_every_method_is_documented() -> None:
    public = {name for name in dir(RapidProInterface) if name[0].islower()}
    named = {name for row in table("Everything else") for name in re.findall(r"`(\w+)\(", row[0])}
    for resource in LISTS:
        named |= {name for way in ("get_", "aget_", "aiter_") if hasattr(RapidProInterface, name := way + resource)}
    assert public == named | {"for_token", "set_api_token"}
    assert all(f".{name}(" in DOC or f"`{name}(" in DOC for name in ("for_token", "set_api_token"))


@pytest.mark.parametrize("resource", KINDS)
def test_list_is_documented_as_it_is(resource: str) -> None:
    _, rows, parameters, order, paging, scope = LISTS[resource]
    method, kind = getattr(RapidProInterface, f"get_{resource}"), KINDS[resource]
    assert code(rows) == [kind.kind.__name__]
    assert code(parameters) == [name for name in inspect.signature(method).parameters if name != "self"]
    assert scope == scope_of(kind.path)
    if kind.window and kind.name != "flows":
        assert code(order)[0] == kind.window
    if kind.order in {"modified_on", "start_date"}:
        assert code(order)[0] == kind.order
    assert paging == ("none" if not hasattr(RapidProInterface, f"aiter_{resource}") else paging)
    assert ("offset" in paging) is ("offset" in kind.position)


def test_every_exception_is_documented_as_it_is() -> None:
    rows = {code(row[0])[0]: row for row in table("Errors")}
    assert {name: code(row[1]) for name, row in rows.items()} == {
        leaf.__name__: [leaf.kind.value] for leaf in LEAVES if leaf is not errors.TokenValidationException
    }
    again = {name for name, row in rows.items() if row[4] != "no"}
    assert again == {leaf.__name__ for leaf in LEAVES if getattr(leaf, "kind", None) in retries._WORTH_IT}
    for cls in vars(errors).values():
        if isinstance(cls, type) and issubclass(cls, Exception):
            assert f"`{cls.__name__}`" in DOC


def test_every_parameter_of_the_interface_is_documented_with_its_default() -> None:
    rows = {code(row[0])[0]: code(row[2])[0].strip('"') for row in table("Making one")}
    parameters = inspect.signature(RapidProInterface).parameters.values()
    assert rows == {parameter.name: str(parameter.default) for parameter in parameters}


def test_every_limit_is_documented_with_its_value() -> None:
    rows = {code(row[0])[0]: row[1] for row in table("Limits and defaults")}
    expected = {f"client.permits.Limits.{name}": str(getattr(Limits(), name)) for name in Limits.__slots__}
    for path in [*(PACKAGE / "client").glob("*.py"), *(PACKAGE / "reads").glob("*.py")]:
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        module = importlib.import_module(f"rapidpro_integration.{name}")
        defined = re.findall(r"^([A-Z][A-Z_]+) = ", path.read_text("utf-8"), re.MULTILINE)
        for constant in defined:
            if isinstance(value := getattr(module, constant), (int, float)):
                expected[f"{name}.{constant}"] = str(value)
    assert rows == expected


@pytest.mark.parametrize("row", table("Compared with rapidpro-python 2.22.2"), ids=lambda row: row[0])
def test_every_line_of_the_comparison_has_its_test(row: list[str]) -> None:
    path, _, name = code(row[2])[0].partition("::")
    source = (ROOT / "tests" / "rapidpro_integration" / path).read_text("utf-8")
    assert re.search(rf"^(async )?def {name}\(", source, re.MULTILINE)


# --- The README of the package ------------------------------------------------------------------


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Served]:
    with served() as running:
        yield running


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_example_is_short_and_runs(sandbox: Served, example: str) -> None:
    assert len([line for line in example.splitlines() if line]) <= 10
    source = example.replace("https://textit.com", sandbox.origin).replace("YOUR TOKEN", TOKENS["clinics"].secret)
    assert source != example
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", source], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    assert done.stdout.strip()


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 5


def test_every_linked_file_exists() -> None:
    for text, folder in ((DOC, ROOT / "docs"), (README, PACKAGE / "client")):
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (folder / target).exists(), target
