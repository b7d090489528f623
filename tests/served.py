"""The site in a process of its own: what it needs to start, and how to wait for it. Imports nothing of Django."""

import base64
import os
import secrets
import socket
import subprocess
import sys
import time
from pathlib import Path

HOST = "127.0.0.1"
# The servers of the tests prove who they are by an authority of the tests' own; http is for the sandbox alone.
_TRUST = """
import sys
from rapidpro_integration.client import wire

wire.tls_context().load_verify_locations(cadata=sys.argv.pop(1))
"""
_SERVE = _TRUST + "import uvicorn.main\nuvicorn.main.main()"
_MANAGE = _TRUST + "from django.core.management import execute_from_command_line\nexecute_from_command_line(sys.argv)"


def serve_command(port: int, authority: str) -> list[str]:
    """Return the command that serves the site on loopback and trusts servers of `authority` (PEM)."""
    where = ["config.asgi:application", "--host", HOST, "--port", str(port)]
    return [sys.executable, "-c", _SERVE, authority, *where, "--lifespan", "on", "--timeout-graceful-shutdown", "1"]


def manage_command(authority: str, *arguments: str) -> list[str]:
    """Return the command `manage.py` with these arguments, which trusts servers of `authority` (PEM)."""
    return [sys.executable, "-c", _MANAGE, authority, *arguments]


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Return the environment of a site with keys and a database of its own in `folder`."""
    return os.environ | {
        "ENV_FILE": "",
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DEBUG": "true",
        "ALLOWED_HOSTS": "127.0.0.1,localhost",
        "SECRET_KEY": secrets.token_urlsafe(64),
        "TOKEN_KEYS": "k1:" + base64.b64encode(secrets.token_bytes(32)).decode(),
        "DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}",
        "CACHE_URL": "locmemcache://site",
        "STAFF_MFA_REQUIRED": "false",
        "LOG_FILE": "",
        **more,
    }


def wait_for(port: int, process: subprocess.Popen[bytes], limit_s: float = 30) -> None:
    """Return when the process listens. Raises RuntimeError if it ends before, or does not within `limit_s`."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("The site did not start.")
