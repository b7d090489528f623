"""Serving the sandbox by uvicorn, on loopback only."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from rapidpro_integration.sandbox.app import App, is_loopback

_START_S = 10
_STOP_S = 2


class CannotServe(Exception):
    """The address is not loopback or is taken; the message is one sentence for the person who started it."""


def bind(host: str, port: int) -> socket.socket:
    """Return a socket bound to a loopback address; port 0 takes a free one.

    Raises: CannotServe if the host is not loopback or the port is in use.
    """
    if not is_loopback(host):
        raise CannotServe(f"The sandbox runs on loopback only, such as 127.0.0.1, not on {host}.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise CannotServe(f"The sandbox cannot use port {port} of {host}: {error.strerror}.") from error
    return bound


@contextmanager
def serving(app: App, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve the app in a thread while the context lasts, and give its origin, like "http://127.0.0.1:8001".

    Raises: CannotServe if the address cannot be used.
    """
    bound = bind(host, port)
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_STOP_S,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, name="sandbox", daemon=True)
    thread.start()
    deadline = time.monotonic() + _START_S
    while not server.started and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    try:
        if not server.started:
            raise CannotServe("The sandbox did not start.")
        yield f"http://{f'[{host}]' if ':' in host else host}:{bound.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(_STOP_S + _START_S)
        bound.close()
