"""What the server is told when it starts and stops, and what is closed then."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIHandler

from config import lifespan
from rapidpro_integration.client import pools


@pytest.fixture
def closers(monkeypatch: pytest.MonkeyPatch) -> list[lifespan.Closer]:
    """Return the registry, empty for one test."""
    empty: list[lifespan.Closer] = []
    monkeypatch.setattr(lifespan, "_closers", empty)
    monkeypatch.setattr(lifespan, "_jobs", [])
    monkeypatch.setattr(lifespan, "_stopping", False)
    return empty


async def live() -> list[str]:
    """Start and stop the application, and return what it says."""
    heard = asyncio.Queue[Mapping[str, Any]]()
    said = list[str]()
    for name in ("startup", "shutdown"):
        heard.put_nowait({"type": f"lifespan.{name}"})

    async def send(message: Mapping[str, Any]) -> None:
        said.append(message["type"])

    application = lifespan.Lifespan(ASGIHandler())
    await application({"type": "lifespan", "asgi": {"version": "3.0"}}, heard.get, send)
    return said


async def test_start_and_stop_are_answered(closers: list[lifespan.Closer]) -> None:
    assert await live() == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_closers_run_once_each_the_latest_first_and_one_that_fails_stops_no_other(
    closers: list[lifespan.Closer], caplog: pytest.LogCaptureFixture
) -> None:
    ran = list[str]()

    async def first() -> None:
        ran.append("first")

    async def failing() -> None:
        ran.append("failing")
        raise OSError("gone")

    for closer in (first, failing, first):
        lifespan.at_shutdown(closer)
    assert await live() == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert ran == ["failing", "first"]
    levels = [record.levelno for record in caplog.records if record.name == "config.lifespan"]
    assert levels == [logging.ERROR, logging.INFO]


def test_connections_to_rapidpro_are_among_what_is_closed() -> None:
    assert pools.aclose in lifespan._closers


async def test_jobs_are_done_again_and_again_until_the_end_whatever_one_of_them_meets(
    closers: list[lifespan.Closer], caplog: pytest.LogCaptureFixture
) -> None:
    done, enough = list[int](), asyncio.Event()

    async def job() -> None:
        done.append(1)
        if len(done) == 3:
            enough.set()
        raise OSError("gone")

    lifespan.every(0.0, job)
    heard, started = asyncio.Queue[Mapping[str, Any]](), list[str]()

    async def send(message: Mapping[str, Any]) -> None:
        started.append(message["type"])

    heard.put_nowait({"type": "lifespan.startup"})
    living = asyncio.create_task(lifespan.Lifespan(ASGIHandler())({"type": "lifespan"}, heard.get, send))
    async with asyncio.timeout(5):
        await enough.wait()
    heard.put_nowait({"type": "lifespan.shutdown"})
    await living
    assert started[-1] == "lifespan.shutdown.complete"
    count = len(done)
    await asyncio.sleep(0.01)
    assert len(done) == count
    failures = {record.message for record in caplog.records if record.levelno == logging.ERROR}
    assert failures == {"Something that is done now and then failed."}
