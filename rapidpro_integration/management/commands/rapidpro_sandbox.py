"""`manage.py rapidpro_sandbox`: serve the small RapidPro of our own on this machine."""

import logging
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import BaseCommand, CommandError, OutputWrapper

from rapidpro_integration.sandbox.app import access_log, create_app
from rapidpro_integration.sandbox.data import load
from rapidpro_integration.sandbox.faults import KINDS, Faults
from rapidpro_integration.sandbox.serve import CannotServe, serving
from rapidpro_integration.sandbox.throttle import SCOPES
from rapidpro_integration.sandbox.tokens import TOKENS
from rapidpro_integration.stoppable import told_to_stop


class Command(BaseCommand):
    """Serves the sandbox until Ctrl-C or SIGTERM."""

    help = "Serve a small RapidPro with invented data on this machine, for the demo, tests and benchmarks."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--host", default="127.0.0.1", help="a loopback address; any other is refused")
        parser.add_argument("--port", type=int, default=8001, help="0 takes a free one")
        parser.add_argument("--delay", type=float, default=0, metavar="MS", help="wait so long before each answer")
        parser.add_argument("--fail", choices=KINDS, help="fail like this")
        parser.add_argument("--fail-every", type=int, default=1, metavar="N", help="fail on every Nth request only")
        parser.add_argument("--fail-path", default="/api/", metavar="TEXT", help="fail where the path contains this")
        parser.add_argument("--rate", default="3600/hour", help="requests per workspace, like 5/minute, or none")
        parser.add_argument("--quiet", action="store_true", help="print neither address, tokens nor requests")
        parser.add_argument("--tokens", action="store_true", help="print the tokens and stop")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the tokens, or serve until a signal."""
        if options["tokens"]:
            self.stdout.write(token_table())
            return
        try:
            faults = Faults(options["fail"], options["fail_every"], options["fail_path"]) if options["fail"] else None
            app = create_app(options["delay"] / 1000, faults, dict.fromkeys(SCOPES, options["rate"]))
        except ValueError as error:
            raise CommandError(str(error)) from error
        try:
            with (
                told_to_stop() as stop,
                _requests_logged(self.stdout, quiet=options["quiet"]),
                serving(app, options["host"], options["port"]) as origin,
            ):
                if not options["quiet"]:
                    self.stdout.write(f"The sandbox RapidPro is at {origin}\n\n{token_table()}")
                    self.stdout.flush()
                stop.wait()
        except CannotServe as error:
            raise CommandError(str(error)) from error


@contextmanager
def _requests_logged(out: OutputWrapper, *, quiet: bool) -> Iterator[None]:
    """Write one line a request, and to this command's output only; none if quiet."""
    handler = logging.NullHandler() if quiet else logging.StreamHandler(out)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    level, propagate = access_log.level, access_log.propagate
    access_log.addHandler(handler)
    access_log.setLevel(logging.WARNING if quiet else logging.INFO)
    access_log.propagate = False
    try:
        yield
    finally:
        access_log.removeHandler(handler)
        access_log.setLevel(level)
        access_log.propagate = propagate


def token_table() -> str:
    """Return the tokens as text, one a line, with their workspace and what they are good for."""
    workspaces = load()
    lines = [
        f"{token.name:<10} {token.secret}  {token.note}\n{'':<10} workspace: {workspaces[token.workspace].name}"
        for token in TOKENS.values()
    ]
    return "\n".join(lines)
