"""The interface as a script's author meets it: in help(), and under a type checker."""

import inspect
import pydoc
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from rapidpro_integration.client.types import Page, Rows, Run
from rapidpro_integration.interface import RapidProInterface

METHODS = [name for name in dir(RapidProInterface) if name.startswith(("get_", "aget_", "aiter_"))]


@pytest.mark.parametrize("name", METHODS)
def test_method_goes_by_its_own_name(name: str) -> None:
    assert getattr(RapidProInterface, name).__name__ == name


def test_help_shows_methods_and_nothing_behind_them() -> None:
    text = pydoc.render_doc(RapidProInterface, renderer=pydoc.plaintext)
    assert not re.findall(r"^ \|  (?:async )?_[a-z]\w*\(", text, re.MULTILINE)
    assert "Query[" not in text
    for name in METHODS:
        assert re.search(rf"^ \|  (async )?{name}\(", text, re.MULTILINE), name


def test_help_says_what_comes_back() -> None:
    returns = {name: inspect.signature(getattr(RapidProInterface, name)).return_annotation for name in METHODS}
    assert returns["get_runs"] == returns["aget_runs"] == Rows[Run]
    assert repr(returns["aiter_runs"]).endswith("AsyncGenerator[" + repr(Page[Run]) + "]")
    assert inspect.Signature.empty not in returns.values()


SCRIPT = """
import asyncio
from uuid import UUID
from rapidpro_integration.interface import RapidProInterface

rapidpro = RapidProInterface("abc", "https://textit.com")
reveal_type(rapidpro.get_runs(flow=UUID(int=1), paths=False))
reveal_type(rapidpro.get_contacts(group=UUID(int=1), concurrency=8)[0].fields)
reveal_type(rapidpro.get_flow("abc"))

async def main() -> None:
    reveal_type(await rapidpro.aget_campaign_events(campaign=UUID(int=1)))
    async for page in rapidpro.aiter_messages(folder="sent", label=UUID(int=1)):
        reveal_type(page.rows)

asyncio.run(main())
rapidpro.get_runs(flows="a misspelt filter")
rapidpro.get_definitions(["abc"], dependencies="some")
"""


def test_strict_type_checker_knows_every_row(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={tmp_path}", str(script)],
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=120,
    )
    short = re.sub(r"rapidpro_integration\.client\.types\.\w+\.", "", done.stdout)
    assert re.findall(r'Revealed type is "(.*)"', short) == [
        "Rows[Run]",
        "dict[str, Any]",
        "Flow | None",
        "Rows[CampaignEvent]",
        "tuple[Message, ...]",
    ]
    assert re.findall(r"error: .*\[([a-z-]+)\]", short) == ["call-arg", "arg-type"]
