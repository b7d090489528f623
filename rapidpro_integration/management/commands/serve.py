"""`manage.py serve`: the site, the sandbox and a worker beside each other on this computer, ended together."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.checks import Tags
from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS

from rapidpro_integration.health import work

HOST = "127.0.0.1"
_START_S = 30.0
_STOP_S = 10.0
# How long requests under way may still take, less than a server that hangs would.
_GRACE_S = 5
_PR_SET_PDEATHSIG = 1


def refuse_port_in_use(port: int, option: str) -> None:
    """Raise CommandError with one sentence if somebody else listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError):
            taken = True
        else:
            taken = False
    if taken:
        raise CommandError(f"Port {port} of {HOST} is in use: choose another, as in `make run {option}={port + 10}`.")


def _end_with_parent() -> None:
    """Ask Linux to end this child when its parent dies, so that a killed supervisor leaves no orphan."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Stop(Exception):
    """Somebody asked the supervisor to end."""


class Command(BaseCommand):
    """Serve the site by the ASGI server of production, with the sandbox and a worker beside it; Ctrl-C ends them."""

    help = "Serve the site, the sandbox and a worker on this computer; Ctrl-C ends them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the two ports."""
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--sandbox-port", type=int, default=8001)
        parser.add_argument("--check-ports", action="store_true", help="only say whether both ports are free")

    def handle(self, *args: Any, port: int, sandbox_port: int, check_ports: bool, **options: Any) -> None:
        """Start all, wait until both servers answer, and watch them until one ends or somebody asks to stop."""
        refuse_port_in_use(port, "PORT")
        refuse_port_in_use(sandbox_port, "SANDBOX_PORT")
        if port == sandbox_port:
            raise CommandError("The site and the sandbox need a port each.")
        if check_ports:
            return
        self.check(tags=[Tags.database], include_deployment_checks=True, databases=[DEFAULT_DB_ALIAS])
        manage = [sys.executable, str(Path(settings.BASE_DIR) / "manage.py")]
        commands = {
            "sandbox": [*manage, "rapidpro_sandbox", "--port", str(sandbox_port), "--quiet"],
            "site": [*manage, "web", "--bind", f"{HOST}:{port}", "--grace", str(_GRACE_S), "--verbosity", "0"],
        }
        if work.is_kept_here():
            commands["worker"] = [*manage, "db_worker", "--schedule", "--no-reload", "--verbosity", "0"]
        else:
            # The workers of another queue are not ours to start.
            commands["scheduler"] = [*manage, "tokens", "watch"]
        environment = os.environ | {"SANDBOX_ORIGIN": f"http://{HOST}:{sandbox_port}"}
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        children: dict[str, subprocess.Popen[bytes]] = {}
        ended = ""
        try:
            for name, command in commands.items():
                children[name] = self._start(command, environment)
            for name, its_port in (("sandbox", sandbox_port), ("site", port)):
                self._wait_until_answering(name, children[name], its_port)
            self.stdout.write(f"RapidPro Console is at http://{HOST}:{port} (Ctrl-C ends it)")
            self.stdout.write("Sign in as owner@example.org, other@example.org or staff@example.org: sandbox-only")
            self.stdout.flush()
            ended = self._watch(children)
        except Stop:
            self.stdout.write("Ending.")
        finally:
            self._end(children.values())
        if ended:
            raise CommandError(f"The {ended} ended by itself; the log says why.")

    def _stop(self, number: int, frame: FrameType | None) -> None:
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, signal.SIG_IGN)
        raise Stop

    def _start(self, command: Sequence[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
        # A group of its own: Ctrl-C reaches the supervisor alone, which ends the children in order.
        return subprocess.Popen(  # noqa: S603  # the command is our own
            command, env=environment, cwd=settings.BASE_DIR, process_group=0, preexec_fn=_end_with_parent
        )

    def _wait_until_answering(self, name: str, child: subprocess.Popen[bytes], port: int) -> None:
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            if child.poll() is not None:
                raise CommandError(f"The {name} did not start; the lines above say why.")
            with socket.socket() as probe:
                if probe.connect_ex((HOST, port)) == 0:
                    return
            time.sleep(0.05)
        raise CommandError(f"The {name} did not answer within {_START_S:.0f} seconds.")

    def _watch(self, children: dict[str, subprocess.Popen[bytes]]) -> str:
        """Return the name of the first child that ends."""
        while True:
            for name, child in children.items():
                if child.poll() is not None:
                    return name
            time.sleep(0.2)

    def _end(self, children: Any) -> None:
        running = [child for child in children if child.poll() is None]
        for child in running:
            child.terminate()
        deadline = time.monotonic() + _STOP_S
        for child in running:
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
