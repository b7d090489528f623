"""A PostgreSQL and a Redis of one's own, to be stopped, paused and filled: nobody else's are touched."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import redis

from tests.served import HOST, free_port, wait_for

_START_S = 30
# Without these an own server takes seconds to make and to start, and nothing here is for after a power cut.
_QUICK = "fsync = off\nfull_page_writes = off\nsynchronous_commit = off\nshared_buffers = 32MB\nmax_connections = 60\n"


class CannotRun(Exception):
    """What it takes is not on this computer; the message says what."""


def _postgresql_programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    if found:
        return found[-1].parent
    if on_path := shutil.which("pg_ctl"):
        return Path(on_path).resolve().parent
    raise CannotRun("PostgreSQL's server programs (initdb, pg_ctl) are not installed.")


class PostgreSQL:
    """A cluster in a folder of its own, on a free port of loopback."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self._data, self._programs, self.port = folder / "data", programs, free_port()
        self.url = f"postgres://postgres@{HOST}:{self.port}/site"
        # PostgreSQL refuses to run as root.
        self._as = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as, str(self._programs / program), "-D", str(self._data), *arguments]
        # A file: a server that is started here would hold a pipe open for as long as it runs.
        with tempfile.TemporaryFile() as told:
            done = subprocess.run(command, stdout=told, stderr=told, timeout=60, cwd="/")
            if done.returncode:
                told.seek(0)
                raise CannotRun(f"{program} failed: {told.read().decode(errors='replace').strip()}")

    def make(self) -> None:
        """Make the cluster, start it and make a database. Raises CannotRun."""
        self._run("initdb", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync")
        # Written by its owner: the folder is nobody else's.
        settings = f"{_QUICK}port = {self.port}\nlisten_addresses = '{HOST}'\nunix_socket_directories = ''\n"
        append = ["sh", "-c", 'cat >> "$0"', str(self._data / "postgresql.conf")]
        subprocess.run([*self._as, *append], input=settings, text=True, check=True, timeout=10)
        self.start()
        with self.connect("postgres") as server:
            server.execute("CREATE DATABASE site")

    def start(self) -> None:
        """Start it, and return when it takes connections."""
        self._run("pg_ctl", "start", "-w", "-t", str(_START_S), "-l", str(self._data.parent / "log"))

    def stop(self) -> None:
        """Stop it as a crash would: connections are cut, nothing is written."""
        self._run("pg_ctl", "stop", "-m", "immediate")

    def connect(self, name: str = "site") -> psycopg.Connection:
        """Return a connection as its administrator, each statement a transaction."""
        return psycopg.connect(f"postgres://postgres@{HOST}:{self.port}/{name}", autocommit=True)

    def set_read_only(self, on: bool) -> None:
        """Let the database take changes, or none, from all connections that there are and will be."""
        with self.connect() as server:
            server.execute(f"ALTER SYSTEM SET default_transaction_read_only = {'on' if on else 'off'}")
            server.execute("SELECT pg_reload_conf()")
        # Each process of the server reads the settings anew when its next statement comes in.
        time.sleep(0.2)


@contextmanager
def postgresql() -> Iterator[PostgreSQL]:
    """Run a PostgreSQL of one's own. Raises CannotRun."""
    programs = _postgresql_programs()
    with tempfile.TemporaryDirectory(prefix="own-postgresql-") as name:
        folder = Path(name)
        if os.geteuid() == 0:
            if shutil.which("runuser") is None:
                raise CannotRun("PostgreSQL refuses to run as root, and there is no runuser to be somebody else.")
            shutil.chown(folder, "postgres", "postgres")
        own = PostgreSQL(folder, programs)
        own.make()
        try:
            yield own
        finally:
            if (folder / "data" / "postmaster.pid").exists():
                own.stop()


class Redis:
    """A Redis in the memory of a process, on a free port of loopback."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"rediscache://{HOST}:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        """Start it, empty."""
        server = shutil.which("redis-server")
        if server is None:
            raise CannotRun("redis-server is not installed.")
        quiet = ["--save", "", "--appendonly", "no", "--loglevel", "warning", "--dir", tempfile.gettempdir()]
        command = [server, "--port", str(self.port), "--bind", HOST, *quiet, *options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_for(self.port, self._process)

    def kill(self) -> None:
        """End it at once, with all that it held."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def pause(self) -> None:
        """Let it take connections, and say nothing."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it answer again."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, "it runs"
        self._process.send_signal(number)

    def client(self) -> redis.Redis:
        """Return a client of its administrator."""
        return redis.Redis(HOST, self.port)


@contextmanager
def redis_server() -> Iterator[Redis]:
    """Run a Redis of one's own. Raises CannotRun."""
    own = Redis()
    own.start()
    try:
        yield own
    finally:
        own.kill()
