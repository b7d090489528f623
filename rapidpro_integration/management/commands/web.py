"""`manage.py web`: the site as production serves it, by as many processes as WEB_CONCURRENCY says.

Behind a proxy that speaks TLS. Source: docs/adr/0014-web-server.md.
"""

import os
import signal
import threading
from argparse import ArgumentParser
from contextlib import suppress
from types import FrameType
from typing import Any

import uvicorn
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from config import start

# How long a thread that hangs may hold up a process that is done with everything else.
_LAST_S = 3.0
# Longer than a proxy keeps a connection that nobody uses (60 s in nginx, 30 s in deploy/Caddyfile), so that it is the
# proxy which closes it: else a form could be sent into a connection that is just being closed.
_KEEP_ALIVE_S = 75


def address(bind: str) -> tuple[str, int]:
    """Return host and port of `127.0.0.1:8000` or `[::1]:8000`. Raises CommandError."""
    host, _, port = bind.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise CommandError(f"--bind is an address and a port, as 127.0.0.1:8000, and not {bind!r}.")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _end(number: int, frame: FrameType | None) -> None:
    """Let the process end with 0: uvicorn sends itself the signal once more when everything is finished and closed."""
    last = threading.Timer(_LAST_S, os._exit, [0])
    last.daemon = True
    last.start()


class Command(BaseCommand):
    """Serve the site. SIGTERM: /readyz says 503, what is under way is finished, all is closed, and the code is 0."""

    help = "Serve the site by WEB_CONCURRENCY processes; SIGTERM ends them in order."
    # Those that count are run below, with those of a deployment.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the address, and how long requests under way may take at the end."""
        parser.add_argument("--bind", default="127.0.0.1:8000", help="address and port (default: 127.0.0.1:8000)")
        parser.add_argument("--grace", type=int, default=20, help="seconds for what is under way at the end")
        parser.add_argument("--no-access-log", action="store_true", help="leave the line for each request to the proxy")

    def handle(
        self, *args: Any, bind: str, grace: int, no_access_log: bool, verbosity: int = 1, **options: Any
    ) -> None:
        """Refuse a half-made production with a sentence for each fault; else serve until told to stop."""
        host, port = address(bind)
        if errors := start.faults().errors:
            raise CommandError("\n".join(errors))
        config = uvicorn.Config(
            "config.asgi:application",
            host=host,
            port=port,
            workers=settings.WEB_CONCURRENCY,
            loop="uvloop",
            http="httptools",
            ws="none",
            lifespan="on",
            # LOGGING has it all.
            log_config=None,
            log_level="info" if verbosity else "warning",
            access_log=bool(verbosity) and not no_access_log,
            # Django reads what TRUSTED_PROXY_COUNT and TRUST_X_FORWARDED_PROTO allow; the server believes nobody.
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=grace,
        )
        if not (_serve if settings.WEB_CONCURRENCY == 1 else _supervise)(config):
            raise CommandError("The site did not start; the lines above say why.")


def _serve(config: uvicorn.Config) -> bool:
    """Serve in this process until told to stop; return whether it could begin."""
    signal.signal(signal.SIGTERM, _end)
    server = uvicorn.Server(config)
    # Ctrl-C ends it as SIGTERM does, and is then raised again.
    with suppress(KeyboardInterrupt):
        server.run()
    return server.started


class _Supervisor(Multiprocess):
    """uvicorn's, which closes its own door too: behind it whoever comes late would wait for nobody."""

    def terminate_all(self) -> None:
        """Tell the processes to stop; each closes its door when it thinks fit."""
        super().terminate_all()
        for door in self.sockets:
            door.close()


def _supervise(config: uvicorn.Config) -> bool:
    """Have other processes serve, each replaced when it dies, until told to stop; return whether they could begin."""
    supervisor = _Supervisor(config, [config.bind_socket()])
    supervisor.run()
    return all(process.exitcode != STARTUP_FAILURE for process in supervisor.processes)
