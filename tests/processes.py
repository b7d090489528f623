"""Real processes of the site, with settings of their own: nothing of the tests' settings reaches them."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIMIT_S = 600


class Site:
    """One database, and the processes that work on it with the keys that each is given."""

    def __init__(self, database_url: str, **settings: str) -> None:
        self._environment = (
            os.environ
            | {
                "DJANGO_SETTINGS_MODULE": "config.settings",
                "ENV_FILE": "",
                "DEBUG": "false",
                "ALLOWED_HOSTS": "127.0.0.1,localhost",
                "HTTPS": "false",
                "SECRET_KEY": "processes-" + "x" * 60,
                "TOKEN_KEYS_FILE": "",
                "TOKEN_KEYS_PROVIDER": "",
                "DATABASE_URL": database_url,
                "CACHE_URL": "locmemcache://processes",
                "RAPIDPRO_SERVERS": "https://rapidpro.example",
                "LOG_FILE": "",
                "EMAIL_URL": "dummymail://",
            }
            | settings
        )

    def environment(self, keys: str) -> dict[str, str]:
        """Return the environment of a process with these keys in its settings."""
        return self._environment | {"TOKEN_KEYS": keys}

    def start(self, keys: str, *command: str) -> subprocess.Popen[str]:
        """Start a Python process with these keys in its settings."""
        return subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env=self.environment(keys),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, keys: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Return what a Python process with these keys did, however it ended."""
        process = self.start(keys, *command)
        out, err = process.communicate(timeout=LIMIT_S)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def output_of(process: subprocess.Popen[str]) -> str:
    """Wait for the process and return what it printed; an exit code other than 0 is an AssertionError."""
    out, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, f"{process.args} exited with {process.returncode}: {err}"
    return out
