"""Do what docs/operations.md tells a newcomer, in an empty folder: `make newcomer`, at most a quarter of an hour.

The commands are read out of the page and run as they stand, but for ports, the address of the repository and where
Caddy keeps its certificates. PostgreSQL and Redis are servers of the run's own; `apt-get` looks whether what the first
command names is installed, and installs nothing.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.served import HOST, free_port

ROOT = Path(__file__).resolve().parents[1]
LIMIT_S = 900
MOST = 15
AS_POSTGRES = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
SHIMS = {
    # Asks whether all is there.
    "apt-get": 'for name in "${@:3}"; do dpkg-query --show "$name" || which "${name%-server}"; done',
    "sudo": 'if [ "$1" = -u ]; then export PGUSER="$2"; shift 2; fi; exec "$@"',
}
# What the last command must show.
EXPECTED = (
    r"HTTP/2 200",
    r"strict-transport-security: max-age=31536000",
    r"set-cookie: __Host-csrftoken=[^;]+;.*; Path=/; SameSite=Lax; Secure",
    r"content-security-policy: default-src 'none'",
    r"<form[^>]* method=\"post\" action=\"/accounts/login/\"",
)


def commands(page: str) -> list[str]:
    """Return the commands of the page's first section."""
    section = page.partition("## From nothing to a site with TLS\n")[2].partition("\n## ")[0]
    (block,) = re.findall(r"```\n(.*?)```", section, re.DOTALL)
    return [line for line in block.splitlines() if line]


@contextmanager
def services(folder: Path) -> Iterator[dict[str, str]]:
    """Serve PostgreSQL by a socket in a folder and Redis on a port; yield the environment that leads to them."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not installed or not shutil.which("redis-server"):
        raise SystemExit("This needs Debian's postgresql and redis-server.")
    binaries = installed[-1]
    data, port, redis_port = folder / "postgresql", free_port(), free_port()
    data.mkdir()
    if AS_POSTGRES:
        shutil.chown(data, "postgres", "postgres")
    control = [*AS_POSTGRES, str(binaries / "pg_ctl"), "--pgdata", str(data / "data"), "--silent", "--wait"]
    options = f"-k {data} -p {port} -c listen_addresses="
    subprocess.run([*control, "-o", "--auth=trust --username=postgres", "initdb"], check=True, cwd="/", timeout=120)
    log = ["--log", str(data / "log")]
    subprocess.run([*control, *log, "-o", options, "start"], check=True, cwd="/", timeout=60)
    redis = subprocess.Popen(
        ["redis-server", "--bind", HOST, "--port", str(redis_port), "--save", "", "--appendonly", "no"],
        stdout=subprocess.DEVNULL,
        cwd=folder,
    )
    try:
        yield {
            "PGHOST": str(data),
            "PGPORT": str(port),
            "DATABASE_URL": f"postgres:///{data}/console",
            "CACHE_URL": f"rediscache://{HOST}:{redis_port}/0",
        }
    finally:
        redis.terminate()
        redis.wait(20)
        subprocess.run([*control, "--mode", "fast", "stop"], check=True, cwd="/", timeout=60)


def script(lines: list[str]) -> str:
    """Return the commands as a script that tells each, and at the end how each process in the background ended."""
    told = [f"echo; echo '--- {number} of {len(lines)}'; {line}" for number, line in enumerate(lines, 1)]
    checks = """
echo; echo '--- afterwards'
style=$(grep -o 'href="/static/css/site[^"]*"' page | head -1 | cut -d'"' -f2)
curl --silent --show-error --cacert "$XDG_DATA_HOME/caddy/pki/authorities/local/root.crt" \\
    --head "https://$SITE_ADDRESS$style" | tr -d '\\r' | grep -i -E '^HTTP|^cache-control' | sed 's/^/STYLE /'
.venv/bin/python manage.py alive worker && echo LIVES worker
.venv/bin/python manage.py alive scheduler && echo LIVES scheduler
for job in %1 %2 %3 %4; do kill -TERM $job; code=0; wait $job || code=$?; echo "ENDED $job $code"; done
"""
    return "set -e\n" + "\n".join(told) + checks


def run(folder: Path) -> str:
    """Run them all in a folder; return what was printed. What is still there afterwards is killed."""
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    found = commands(page)
    if not 0 < len(found) <= MOST:
        raise SystemExit(f"{len(found)} commands, and not up to {MOST}.")
    web, tls, plain = free_port(), free_port(), free_port()
    substitutes = {
        "ADDRESS-OF-THIS-REPOSITORY": str(ROOT),
        "127.0.0.1:8000": f"{HOST}:{web}",
        "localhost:8443": f"localhost:{tls}",
        "SITE_HTTP_PORT=8080": f"SITE_HTTP_PORT={plain}",
        "~/.local/share": str(folder / "share"),
    }
    for name, value in substitutes.items():
        if not any(name in line for line in found):
            raise SystemExit(f"No command has {name!r} any more: mend `substitutes`.")
        found = [line.replace(name, value) for line in found]
    found[-1] += " | tee page"
    shims = folder / "shims"
    shims.mkdir()
    for name, text in SHIMS.items():
        (shims / name).write_text(f"#!/bin/bash\nset -e\n{text}\n")
        (shims / name).chmod(0o755)
    # Nothing of whoever runs this: neither their settings nor the packages of their virtual environment.
    kept = {name: value for name, value in os.environ.items() if name in {"HOME", "LANG", "PYENV_ROOT"}}
    kept |= {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_", "SSL_"))}
    with services(folder) as where:
        mine = {
            "PATH": f"{shims}:{os.environ['PATH']}",
            "XDG_DATA_HOME": str(folder / "share"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "SITE_UPSTREAM": f"{HOST}:{web}",
            "SITE_ADDRESS": f"localhost:{tls}",
        }
        process = subprocess.Popen(
            ["bash", "-c", script(found)],
            env=kept | where | mine,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            out, _ = process.communicate(timeout=LIMIT_S)
        finally:
            # The group is ours: the script is its leader, and its processes in the background are in it.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        logs = [f"{log}:\n{log.read_text()[-2000:]}" for log in (folder / "console").glob("*.log")]
        raise SystemExit(f"{out}\n{'\n'.join(logs)}\nThe commands ended with {process.returncode}.")
    return out


def main() -> int:
    """Run, look at what came, and say so."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="newcomer-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        out = run(folder)
    sys.stdout.write(out)
    wanted = [*EXPECTED, r"STYLE HTTP/2 200", r"STYLE cache-control: max-age=315360000, public, immutable"]
    wanted += ["LIVES worker", "LIVES scheduler", *(f"ENDED %{job} 0" for job in (1, 2, 3, 4))]
    if missing := [pattern for pattern in wanted if not re.search(pattern, out)]:
        sys.stdout.write("\n  ".join(["Not shown:", *missing]) + "\n")
        return 1
    sys.stdout.write(f"All {len(wanted)} signs are there, after {time.monotonic() - started:.0f} s.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
