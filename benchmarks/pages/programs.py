"""The programs that are compared: each two processes that serve the page of 250 flows to signed-in people."""

import base64
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from benchmarks.harness import ROOT
from benchmarks.pages import trees
from tests.served import HOST, free_port, wait_for

PROCESSES = 2
# Each of the slow ones is given what it needs to get to its end without an error.
_THREADS = 50


class ProgramError(Exception):
    """A program did not start, or its log tells of a fault: the run is worth nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """What a program is. `command` has {port} where the port goes; one that serves on one port has its own processes.

    `asks` is how often a page asks the upstream: 1 or 0. A slow one is measured once where many are in flight.
    """

    name: str
    label: str
    command: tuple[str, ...]
    asks: int = 1
    is_one_port: bool = False
    is_slow: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


def _uvicorn(application: str, lifespan: str = "on") -> tuple[str, ...]:
    return (
        *("-m", "uvicorn", application, "--host", HOST, "--port", "{port}", "--lifespan", lifespan),
        *("--log-level", "warning", "--no-access-log", "--backlog", "2048"),
    )


_OURS = _uvicorn("benchmarks.pages.production:application")
_GUNICORN = (
    *("-m", "gunicorn", "benchmarks.baselines.tutorial:application", "--bind", f"{HOST}:{{port}}"),
    *("--workers", str(PROCESSES), "--worker-class", "gthread", "--threads", str(_THREADS), "--backlog", "2048"),
    *("--timeout", "300", "--keep-alive", "75", "--log-level", "warning"),
)
_STOCK = _uvicorn("benchmarks.baselines.stock:application", lifespan="off")
TUTORIAL = Kind("tutorial", "sync Django, requests, gunicorn with threads", _GUNICORN, is_one_port=True, is_slow=True)
STOCK = Kind("stock", "stock async Django, a new httpx client a request", _STOCK, is_slow=True)
SHARED = Kind("stock-shared", "stock async Django, one httpx client", _STOCK, environment={"SHARED_CLIENT": "1"})
BARE = Kind("bare", "bare ASGI, aiohttp, no Django", _uvicorn("benchmarks.baselines.bare:application"))
OURS = Kind("ours", "ours, each page of a person whose list nobody has read yet", _OURS)
KEPT = Kind("ours-kept", "ours, from the kept list", _OURS, asks=0, environment={"FLOWS_FRESH_S": "86400"})
KINDS = {kind.name: kind for kind in (TUTORIAL, STOCK, SHARED, BARE, OURS, KEPT)}


class Program:
    """`with Program(kind, folder, environment) as program: program.addresses, program.pids`."""

    def __init__(self, kind: Kind, folder: Path, environment: Mapping[str, str], processes: int = PROCESSES) -> None:
        self.kind = kind
        self._log = folder / f"{kind.name}.log"
        self._environment = {**environment, **kind.environment}
        self._count = 1 if kind.is_one_port else processes
        self._processes: list[subprocess.Popen[bytes]] = []
        self.addresses: list[tuple[str, int]] = []

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            for _ in range(self._count):
                port = free_port()
                command = [part.replace("{port}", str(port)) for part in self.kind.command]
                self._processes.append(
                    subprocess.Popen(
                        [sys.executable, *command],
                        cwd=ROOT,
                        env=self._environment,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                    )
                )
                self.addresses.append((HOST, port))
        for process, (_, port) in zip(self._processes, self.addresses, strict=True):
            try:
                wait_for(port, process)
            except RuntimeError:
                self.__exit__()
                raise ProgramError(f"{self.kind.name} did not start:\n{self._tail()}") from None
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    @property
    def pids(self) -> list[int]:
        """All processes of the program."""
        return [pid for process in self._processes for pid in trees.tree(process.pid)]

    def check_log(self) -> None:
        """Raise ProgramError if the log tells of a fault."""
        if any(word in self._log.read_text("utf-8", "replace") for word in ("ERROR", "Traceback", "CRITICAL")):
            raise ProgramError(f"The log of {self.kind.name} tells of a fault:\n{self._tail()}")

    def _tail(self) -> str:
        return self._log.read_text("utf-8", "replace")[-3000:]


def of_baselines(database_url: str, bundle: str) -> dict[str, str]:
    """Return the environment of the baselines; `bundle` is the file of the authorities that they trust."""
    return os.environ | {
        "PYTHONPATH": str(ROOT),
        "SECRET_KEY": secrets.token_urlsafe(64),
        "BASELINE_DATABASE_URL": database_url.replace("postgres://", "postgresql://"),
        "BASELINE_KEY": secrets.token_hex(32),
        "SSL_CERT_FILE": bundle,
        "REQUESTS_CA_BUNDLE": bundle,
    }


def of_the_site(folder: Path, database_url: str, cache_url: str, origins: Sequence[str], ca: str) -> dict[str, str]:
    """Return the environment of a production site behind a proxy that ends TLS, with these servers of its own."""
    return os.environ | {
        "PYTHONPATH": str(ROOT),
        "ENV_FILE": "",
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DEBUG": "false",
        "ALLOWED_HOSTS": HOST,
        "HTTPS": "true",
        "TRUST_X_FORWARDED_PROTO": "true",
        "TRUSTED_PROXY_COUNT": "1",
        "SECRET_KEY": secrets.token_urlsafe(64),
        "AUDIT_KEY": secrets.token_urlsafe(48),
        "TOKEN_KEYS": "k1:" + base64.b64encode(secrets.token_bytes(32)).decode(),
        "TOKEN_KEYS_FILE": "",
        "TOKEN_KEYS_PROVIDER": "",
        "DATABASE_URL": database_url,
        "CACHE_URL": cache_url,
        "RAPIDPRO_SERVERS": ",".join(origins),
        "RAPIDPRO_PRIVATE_ORIGINS": ",".join(origins),
        "STATIC_ROOT": str(folder / "static"),
        "EMAIL_URL": "dummymail://",
        "LOG_LEVEL": "WARNING",
        "LOG_FILE": "",
        "BENCH_CA": ca,
    }


def run(environment: Mapping[str, str], *command: str) -> bytes:
    """Return what a Python command prints in that environment. Raises ProgramError."""
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=dict(environment), capture_output=True, timeout=300, check=False
    )
    if done.returncode:
        raise ProgramError(f"{' '.join(command)}: {done.stderr.decode()[-3000:]}")
    return done.stdout
