"""What every test shares: coroutine tests, recorded answers, people and their tokens."""

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync

RECORDINGS = Path(__file__).parent / "recordings"


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run `async def` tests with async_to_sync, so that the plain `db` fixture isolates them."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    async_to_sync(pyfuncitem.obj)(**wanted)
    return True


@pytest.fixture
def recording() -> Callable[[str], dict[str, Any]]:
    """Return a function that loads one recorded exchange: {"request": …, "response": {status, headers, body}}."""

    def load(name: str) -> dict[str, Any]:
        exchange: dict[str, Any] = json.loads((RECORDINGS / f"{name}.json").read_text("utf-8"))
        return exchange

    return load
