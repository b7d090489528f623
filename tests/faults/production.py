"""The site as production has it, in as many processes as one likes: each can be killed, and is started again."""

import base64
import itertools
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.faults import tls
from tests.served import HOST, manage_command, serve_command, wait_for

ROOT = Path(__file__).parents[2]
_LIMIT_S = 120
# Below those that the system gives to outgoing connections: one that is killed must find its own free again.
_PORTS = itertools.count(os.getpid() * 31)
_FIRST_PORT, _PORT_COUNT = 10_000, 4_000


def _port() -> int:
    while True:
        port = _FIRST_PORT + next(_PORTS) % _PORT_COUNT
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) != 0:
                return port


@dataclass(frozen=True)
class Person:
    """Somebody with a session that any process must know, and the tokens that they began with."""

    name: str
    session: str
    tokens: list[str]


@dataclass
class Process:
    """A process of the site: how to start it, the one that runs now, and everything that it and those before logged."""

    name: str
    command: list[str]
    log: Path
    environment: dict[str, str]
    #: 0 for one that does not listen.
    port: int = 0
    running: subprocess.Popen[bytes] | None = None
    #: The ids of those that were killed or stopped.
    past: list[int] = field(default_factory=list)

    def start(self) -> None:
        """Start it, and return when it takes requests."""
        with self.log.open("ab") as output:
            self.running = subprocess.Popen(
                self.command, cwd=ROOT, env=self.environment, stdout=output, stderr=output, stdin=subprocess.DEVNULL
            )
        if self.port:
            try:
                wait_for(self.port, self.running, _LIMIT_S)
            except RuntimeError as error:
                raise RuntimeError(f"{self.name} did not start: {self.told()[-2000:]}") from error

    def kill(self) -> None:
        """End it without a chance to say goodbye."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Ask it to end, and return what it ended with."""
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        if self.running is None:
            return 0
        process, self.running = self.running, None
        process.send_signal(number)
        self.past.append(process.pid)
        return process.wait(30)

    @property
    def origin(self) -> str:
        """Where it is asked."""
        return f"http://{HOST}:{self.port}"

    def told(self) -> str:
        """Return what it has logged so far."""
        return self.log.read_text("utf-8", "replace") if self.log.exists() else ""


class Production:
    """Settings that all processes share: databases, keys, servers. `folder` takes static files and logs."""

    def __init__(self, folder: Path, database_url: str, cache_url: str, **settings: str) -> None:
        self._folder = folder
        self.processes: dict[str, Process] = {}
        self.environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "ENV_FILE": "",
            "DEBUG": "false",
            # The proxy in front would speak TLS; here is none.
            "HTTPS": "false",
            "ALLOWED_HOSTS": HOST,
            "SECRET_KEY": secrets.token_urlsafe(64),
            "AUDIT_KEY": secrets.token_urlsafe(48),
            "TOKEN_KEYS": "k1:" + base64.b64encode(secrets.token_bytes(32)).decode(),
            "TOKEN_KEYS_FILE": "",
            "TOKEN_KEYS_PROVIDER": "",
            "DATABASE_URL": database_url,
            "CACHE_URL": cache_url,
            "STATIC_ROOT": str(folder / "static"),
            "EMAIL_URL": "dummymail://",
            "LOG_FILE": "",
            # One address asks for everybody here.
            "RATE_LIMIT_SIGN_IN": "10000/m/ip",
            "RATE_LIMIT_TOKEN_ADD": "10000/m/ip",
            "RATE_LIMIT_TOKEN_CHECK": "10000/m/ip",
            "RATE_LIMIT_FLOWS_REFRESH": "10000/m/ip",
            **settings,
        }

    def stage(self, *, people: int, tokens: int, server: str, idle: int = 0) -> list[Person]:
        """Migrate, collect the static files, and make people with tokens for `server`.

        The first one is staff; the last one has `idle` tokens that nobody but the workers touches.
        """
        told = self.run("-m", "tests.faults.stage", json.dumps([people, tokens, idle, server]))
        return [Person(**facts) for facts in json.loads(told)]

    def run(self, *arguments: str, given: str = "") -> str:
        """Return what Python prints for these arguments. Raises RuntimeError with what it said, if it fails."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=_LIMIT_S, input=given,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{arguments} ended with {done.returncode}: {done.stdout} {done.stderr}")
        return done.stdout

    def ask(self, *arguments: str, given: Any = None) -> Any:
        """Return what `tests.faults.proofs` finds in the database."""
        return json.loads(self.run("-m", "tests.faults.proofs", *arguments, given=json.dumps(given)))

    def web(self, name: str, **settings: str) -> Process:
        """Start a process that serves the site."""
        port = _port()
        return self._start(name, serve_command(port, tls.authority().pem), port, settings)

    def worker(self, name: str, *options: str) -> Process:
        """Start a worker; each start has an id of its own."""
        return self._start(name, manage_command(tls.authority().pem, "db_worker", "--no-reload", *options), 0, {})

    def _start(self, name: str, command: list[str], port: int, settings: dict[str, str]) -> Process:
        log = self._folder / f"{name}.log"
        process = Process(name, command, log, self.environment | settings, port)
        self.processes[name] = process
        process.start()
        return process

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes.values():
            process.kill()
