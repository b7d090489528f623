"""Starts upstreams and measurements as child processes, and ends no process but these."""

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

from benchmarks.certs import Certificates

ROOT = Path(__file__).parent.parent
CHILD_LIMIT_S = 60.0
LIBRARIES = (
    "httpx",
    "httpcore",
    "httpx-aiohttp",
    "aiohttp",
    "rapidpro-python",
    "requests",
    "urllib3",
    "msgspec",
    "orjson",
    "cryptography",
    "uvloop",
)

type Figures = dict[str, Any]


class Upstream:
    """An upstream as a child process: `with Upstream(250) as upstream: upstream.origin`."""

    def __init__(self, flows: int, certificates: Certificates | None = None, spread: str = "even") -> None:
        self._arguments = ["--flows", str(flows), "--spread", spread]
        self.ca = ""
        if certificates is not None:
            self._arguments += ["--tls", str(certificates.cert), str(certificates.key)]
            self.ca = str(certificates.ca)
        self._certificates = certificates
        self.origin = ""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.upstream", *self._arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        ready, _, port = self._process.stdout.readline().partition(" ")
        if ready != "READY":
            raise RuntimeError("The upstream did not start.")
        self.origin = f"{'https' if self.ca else 'http'}://127.0.0.1:{int(port)}"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def measure(self, kind: str, name: str, *numbers: float) -> Figures:
        """Return what a fresh child measures; {"failed": why} if it does not come to an end."""
        command = [sys.executable, "-m", "benchmarks.child", kind, name, self.origin, self.ca]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        if self._certificates is not None:
            bundle = str(self._certificates.bundle)
            environment |= {"SSL_CERT_FILE": bundle, "REQUESTS_CA_BUNDLE": bundle}
        try:
            child = subprocess.run(
                command + [str(number) for number in numbers],
                cwd=ROOT,
                env=environment,
                capture_output=True,
                text=True,
                timeout=CHILD_LIMIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return {"failed": f"not done after {CHILD_LIMIT_S:.0f} s"}
        if child.returncode:
            return {"failed": (child.stderr.strip().splitlines() or ["no word"])[-1][:200]}
        figures: Figures = json.loads(child.stdout.splitlines()[-1])
        return figures


def capacity(upstream: Upstream, *, in_flight: int = 16, seconds: float = 2.0) -> Figures:
    """Return what the upstream itself can serve: a raw protocol in one process, without a latency."""
    return upstream.measure("capacity", "-", in_flight, seconds)


def machine() -> dict[str, str]:
    """Return the facts that a figure depends on."""
    cpu = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor(),
    )
    memory_kb = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    facts = {
        "Date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "CPU": f"{cpu}, {os.cpu_count()} cores",
        "Memory": f"{memory_kb / 1024 / 1024:.0f} GB",
        "System": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
    }
    return facts | {"Libraries": ", ".join(f"{name} {_version(name)}" for name in LIBRARIES)}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text("utf-8").splitlines()
    except OSError:
        return []
