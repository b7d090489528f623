"""A PostgreSQL and a Redis of this run alone, so that their CPU is measured and nobody else is in the way."""

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Self

from tests.served import HOST, free_port, wait_for

# Stock Django opens a connection for each request under way; the usual 100 would make errors of 500 of them.
MAX_CONNECTIONS = 1_300
# PostgreSQL refuses to run as root: then it runs as the user that Debian's package has made.
_USER = "postgres"


class ServicesError(Exception):
    """PostgreSQL or Redis cannot be started here. The message says what is missing."""


def postgresql(name: str) -> str:
    """Return the path of one of PostgreSQL's programs, of the newest version that is installed."""
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: float(path.parts[4]))
    found = str(versions[-1]) if versions else shutil.which(name)
    if found is None:
        raise ServicesError(f"There is no {name}: install PostgreSQL (apt-get install postgresql).")
    return found


def _as_its_user(*command: str) -> list[str]:
    return ["runuser", "-u", _USER, "--", *command] if os.geteuid() == 0 else list(command)


class Services:
    """`with Services(folder) as services: services.database_url("site"), services.cache_url(0)`.

    PostgreSQL keeps its usual settings but for the number of connections: what is committed is on the disk.
    """

    def __init__(self, folder: Path) -> None:
        self._data, self._log = folder / "postgresql", folder / "postgresql.log"
        self._postgres_port, self._redis_port = free_port(), free_port()
        self.postgres_pid = self.redis_pid = 0

    def __enter__(self) -> Self:
        redis = shutil.which("redis-server")
        if redis is None:
            raise ServicesError("There is no redis-server: install Redis (apt-get install redis-server).")
        self._data.mkdir()
        self._log.touch()
        if os.geteuid() == 0:
            self._data.parent.chmod(0o711)
            for path in (self._data, self._log):
                shutil.chown(path, _USER, _USER)
        where, quiet = ["-D", str(self._data)], {"check": True, "stdout": subprocess.DEVNULL, "cwd": "/"}
        subprocess.run(
            _as_its_user(postgresql("initdb"), *where, "-U", _USER, "--auth=trust", "--encoding=UTF8", "--locale=C"),
            **quiet,  # type: ignore[call-overload]  # a mapping of keywords
        )
        options = (
            f"-c listen_addresses={HOST} -c port={self._postgres_port} -c max_connections={MAX_CONNECTIONS} "
            f"-c unix_socket_directories={self._data}"
        )
        subprocess.run(
            _as_its_user(postgresql("pg_ctl"), *where, "-w", "-l", str(self._log), "-o", options, "start"),
            **quiet,  # type: ignore[call-overload]
        )
        self.postgres_pid = int((self._data / "postmaster.pid").read_text("ascii").split()[0])
        self._redis = subprocess.Popen(
            [redis, "--bind", HOST, "--port", str(self._redis_port), "--save", "", "--appendonly", "no"],
            stdout=subprocess.DEVNULL,
            cwd="/",
        )
        self.redis_pid = self._redis.pid
        wait_for(self._redis_port, self._redis)
        return self

    def __exit__(self, *_: object) -> None:
        self._redis.terminate()
        self._redis.wait(20)
        subprocess.run(
            _as_its_user(postgresql("pg_ctl"), "-D", str(self._data), "-m", "fast", "-w", "stop"),
            check=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
        )

    def create_database(self, name: str) -> str:
        """Make an empty database and return its URL."""
        import psycopg

        deadline = time.monotonic() + 10
        while True:
            try:
                with psycopg.connect(self.database_url("postgres"), autocommit=True) as connection:
                    connection.execute(f'CREATE DATABASE "{name}"')
                return self.database_url(name)
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def database_url(self, name: str) -> str:
        """Return the URL of a database."""
        return f"postgres://{_USER}@{HOST}:{self._postgres_port}/{name}"

    def cache_url(self, number: int) -> str:
        """Return the URL of one of Redis's databases."""
        return f"rediscache://{HOST}:{self._redis_port}/{number}"

    def forget(self, number: int) -> None:
        """Empty one of Redis's databases."""
        import redis

        with redis.Redis(host=HOST, port=self._redis_port, db=number) as client:
            client.flushdb()
