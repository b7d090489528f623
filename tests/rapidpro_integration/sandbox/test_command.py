import io
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from django.core.management import CommandError, call_command

from rapidpro_integration.management.commands.rapidpro_sandbox import Command
from rapidpro_integration.sandbox.tokens import TOKENS

ROOT = Path(__file__).parents[3]


def run(*options: str) -> str:
    """Return what the command printed."""
    out = io.StringIO()
    call_command(Command(stdout=out), *options)
    return out.getvalue()


class Served:
    """The command in this process's main thread, asked and then stopped from another one."""

    def __init__(self, *options: str, stop_by: signal.Signals = signal.SIGTERM) -> None:
        self.out = io.StringIO()
        self.statuses: list[int] = []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        helper = threading.Thread(target=self._ask_and_stop, args=(stop_by,))
        helper.start()
        call_command(Command(stdout=self.out), "--port", str(self.port), *options)
        helper.join()

    def _ask_and_stop(self, stop_by: signal.Signals) -> None:
        headers = {"Authorization": f"Token {TOKENS['clinics'].secret}"}
        deadline = time.monotonic() + 10
        with httpx.Client(trust_env=False, headers=headers) as client:
            while not self.statuses and time.monotonic() < deadline:
                try:
                    self.statuses.append(client.get(f"http://127.0.0.1:{self.port}/api/v2/flows.json").status_code)
                except httpx.ConnectError:
                    time.sleep(0.01)
        os.kill(os.getpid(), stop_by)


def test_the_tokens_are_printed_with_what_they_are_good_for() -> None:
    printed = run("--tokens")

    for token in TOKENS.values():
        assert re.search(rf"^{token.name} +{token.secret}  {re.escape(token.note)}$", printed, re.MULTILINE)
    assert "Northern Clinics" in printed


@pytest.mark.parametrize("stop_by", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_a_signal_and_says_where(stop_by: signal.Signals) -> None:
    before = signal.getsignal(stop_by)

    served = Served(stop_by=stop_by)

    assert served.statuses == [200]
    assert f"The sandbox RapidPro is at http://127.0.0.1:{served.port}\n" in served.out.getvalue()
    assert re.search(r"\d\d:\d\d:\d\d GET /api/v2/flows\.json 200 \d+ ms", served.out.getvalue())
    assert signal.getsignal(stop_by) == before


def test_quiet_prints_nothing() -> None:
    served = Served("--quiet")

    assert served.statuses == [200]
    assert served.out.getvalue() == ""


def test_failures_and_rates_are_options() -> None:
    assert Served("--quiet", "--fail", "503", "--delay", "1").statuses == [503]
    assert Served("--quiet", "--fail", "503", "--fail-every", "2").statuses == [200]
    assert Served("--quiet", "--fail", "503", "--fail-path", "runs", "--rate", "none").statuses == [200]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--host", "0.0.0.0"), "runs on loopback only"),
        (("--host", "192.0.2.1"), "runs on loopback only"),
        (("--rate", "often"), "is no rate"),
        (("--fail", "503", "--fail-every", "0"), "at least 1"),
    ],
)
def test_what_it_cannot_do_is_one_sentence(options: tuple[str, ...], message: str) -> None:
    with pytest.raises(CommandError, match=message) as caught:
        run(*options)

    assert caught.value.returncode == 1
    assert "\n" not in str(caught.value)


def test_a_port_in_use_is_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with pytest.raises(CommandError, match=rf"cannot use port {port} of 127.0.0.1: Address already in use"):
            run("--port", port)


def test_the_sandbox_needs_no_django() -> None:
    code = (
        "import sys\n"
        "import rapidpro_integration.sandbox.app, rapidpro_integration.sandbox.serve\n"
        "sys.exit(any(name.partition('.')[0] == 'django' for name in sys.modules))\n"
    )

    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
