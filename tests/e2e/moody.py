"""A demo site whose RapidPro is as slow, and as broken, as a test wants."""

import asyncio
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from rapidpro_integration.sandbox.app import create_app
from rapidpro_integration.sandbox.serve import serving
from tests.served import HOST, environment, free_port, wait_for

ROOT = Path(__file__).parent.parent.parent


class Moody:
    """The sandbox, which a test may hold, break and shut; `asked` are the addresses that the site asked for."""

    def __init__(self) -> None:
        self.url = ""
        self.port = free_port()
        self.asked: list[str] = []
        self._sandbox = create_app()
        self._let, self._is_open = 0, True
        self._mood: Callable[..., Any] | None = None
        self._at_once = True
        self._serving: AbstractContextManager[str] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request of the site's."""
        is_list, is_later = scope["path"].endswith("/flows.json"), b"cursor=" in scope["query_string"]
        self.asked.append(f"{scope['path']}?{scope['query_string'].decode()}")
        if is_list and is_later:
            while not self._may_come():  # noqa: ASYNC110  # the test is in another thread
                await asyncio.sleep(0.02)
        if self._mood is not None and (is_later or self._at_once):
            await self._mood(send)
            return
        await self._sandbox(scope, receive, send)

    def _may_come(self) -> bool:
        self._let -= 1
        if not (self._is_open or self._let >= 0):
            self._let = 0
            return False
        return True

    # --- Slow: pages of flows after the first one wait until they may come ------------------------

    def hold(self) -> None:
        """Let none come from now on."""
        self._is_open, self._let = False, 0

    def let(self, count: int) -> None:
        """Let so many come."""
        self._let = count

    def open(self) -> None:
        """Let all come, and be well again."""
        self._is_open, self._mood = True, None
        if self._serving is None:
            self._serving = serving(self, port=self.port)
            self._serving.__enter__()

    # --- Broken -----------------------------------------------------------------------------------

    def say(self, status: int, body: bytes = b"", kind: str = "application/json", **headers: str) -> None:
        """Give this answer to everything."""
        fields = [(b"content-type", kind.encode()), *((key.encode(), value.encode()) for key, value in headers.items())]

        async def mood(send: Any) -> None:
            await send({"type": "http.response.start", "status": status, "headers": fields})
            await send({"type": "http.response.body", "body": body})

        self._mood, self._at_once = mood, True

    def reset(self, *, from_the_second_page: bool = False) -> None:
        """Break each connection off in the middle of the answer, with RST."""

        async def mood(send: Any) -> None:
            fields = [(b"content-type", b"application/json"), (b"content-length", b"9000")]
            await send({"type": "http.response.start", "status": 200, "headers": fields})
            await send({"type": "http.response.body", "body": b'{"next": null, "results": [', "more_body": True})
            transport = send.__self__.transport  # uvicorn's
            linger = struct.pack("ii", 1, 0)
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            transport.abort()

        self._mood, self._at_once = mood, not from_the_second_page

    def shut(self) -> None:
        """Refuse connections."""
        if self._serving is not None:
            self._serving.__exit__(None, None, None)
            self._serving = None


@pytest.fixture(scope="session")
def moody_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moody]:
    """Serve a demo site beside such a RapidPro."""
    folder: Path = tmp_path_factory.mktemp("moody-site")
    port, rapidpro = free_port(), Moody()
    variables = environment(folder, SANDBOX_ORIGIN=f"http://{HOST}:{rapidpro.port}", RATE_LIMIT_SIGN_IN="1000/m/ip")
    manage = [sys.executable, str(ROOT / "manage.py")]
    for command in (["migrate", "--verbosity", "0"], ["load_demo"]):
        subprocess.run([*manage, *command], env=variables, cwd=ROOT, check=True, capture_output=True, timeout=60)
    web = [sys.executable, "-m", "uvicorn", "config.asgi:application", "--host", HOST, "--port", str(port)]
    rapidpro.open()
    with subprocess.Popen([*web, "--lifespan", "on", "--log-level", "warning"], env=variables, cwd=ROOT) as site:
        try:
            wait_for(port, site)
            rapidpro.url = f"http://{HOST}:{port}"
            yield rapidpro
        finally:
            rapidpro.open()
            site.terminate()
            site.wait(20)
            rapidpro.shut()


@pytest.fixture
def moody(moody_site: Moody) -> Iterator[Moody]:
    """Return the moody RapidPro, which is well again when the test is over."""
    moody_site.open()
    yield moody_site
    moody_site.open()
