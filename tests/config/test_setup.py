"""The scripts behind `make run` and `make test`."""

import base64
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
GOOD = f'#!/bin/sh\nexec {sys.executable} "$@"\n'
FAILING = "#!/bin/sh\necho 'pyenv: command not found' >&2\nexit 127\n"
OLD = "#!/bin/sh\nexit 1\n"


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def find_python(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    names = {"PATH": f"{folder / 'bin'}:/usr/bin:/bin", "HOME": str(folder), "PYENV_ROOT": str(folder / "pyenv")}
    # Debian's own python3 is hidden, so that the test says the same on a machine that has a new one.
    executable(folder / "bin" / "python3", FAILING)
    return subprocess.run(
        [ROOT / "bin" / "find-python"], env=names | environment, capture_output=True, text=True, timeout=60
    )


def marked(folder: Path, name: str) -> Path:
    """Return an interpreter that leaves a mark when it is tried."""
    text = GOOD.replace("exec", f"echo {name} >> '{folder}/tried'\nexec")
    return executable(folder / name, text)


def test_first_working_candidate_wins_and_failing_shims_are_passed(tmp_path: Path) -> None:
    executable(tmp_path / "bin" / "python3.14", FAILING)
    executable(tmp_path / "bin" / "python3.13", OLD)
    marked(tmp_path / "bin", "python3.12")
    done = find_python(tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, sys.executable)
    assert (tmp_path / "bin" / "tried").read_text().split()[0] == "python3.12"


def test_named_interpreter_comes_first(tmp_path: Path) -> None:
    marked(tmp_path / "bin", "python3.14")
    mine = marked(tmp_path / "a folder with blanks", "mine")
    assert find_python(tmp_path, PYTHON=str(mine)).returncode == 0
    assert not (tmp_path / "bin" / "tried").exists()


def test_bad_named_interpreter_is_said_and_passed(tmp_path: Path) -> None:
    marked(tmp_path / "bin", "python3.13")
    done = find_python(tmp_path, PYTHON="/no/such/python")
    assert done.returncode == 0
    assert "/no/such/python" in done.stderr


def test_pyenv_versions_are_tried_newest_first(tmp_path: Path) -> None:
    for version in ("3.9.18", "3.12.1", "3.13.0", "2.7.18"):
        marked(tmp_path / "pyenv" / "versions" / version / "bin", "python3")
    assert find_python(tmp_path).returncode == 0
    tried = [path.parent.parent.name for path in tmp_path.glob("pyenv/versions/*/bin/tried")]
    assert tried == ["3.13.0"]


def test_no_interpreter_is_one_clear_sentence(tmp_path: Path) -> None:
    for name in ("python3.14", "python3.13", "python3.12"):
        executable(tmp_path / "bin" / name, FAILING)
    done = find_python(tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Python 3.12" in done.stderr


def write_env(path: Path) -> dict[str, str]:
    subprocess.run([sys.executable, ROOT / "bin" / "write-env", path], check=True, capture_output=True, timeout=30)
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_fresh_env_has_fresh_keys_for_its_owner_only(tmp_path: Path) -> None:
    first, second = write_env(tmp_path / "a"), write_env(tmp_path / "b")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600
    assert len(first["SECRET_KEY"]) >= 50
    assert (first["DEBUG"], first["STAFF_MFA_REQUIRED"]) == ("true", "false")
    assert len(base64.b64decode(first["TOKEN_KEYS"].removeprefix("k1:"))) == 32
    assert first["SECRET_KEY"] != second["SECRET_KEY"]
    assert first["TOKEN_KEYS"] != second["TOKEN_KEYS"]
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}


def test_existing_env_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("SECRET_KEY=mine\n")
    assert write_env(path) == {"SECRET_KEY": "mine"}


def test_settings_of_a_site_have_their_keys_apart_and_nothing_is_overwritten(tmp_path: Path) -> None:
    command = [sys.executable, ROOT / "bin" / "write-env", tmp_path / "env", "--site", "console.example"]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert set(made) == {"env", "token_keys"}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in tmp_path.iterdir())
    assert "ALLOWED_HOSTS=console.example\n" in made["env"]
    assert f"TOKEN_KEYS_FILE={tmp_path / 'token_keys'}\n" in made["env"]
    assert made["token_keys"].strip() not in made["env"]
    documented = (ROOT / ".env.example").read_text()
    for name in re.findall("^([A-Z_]+)=", made["env"], re.MULTILINE):
        assert f"\n{name}=" in documented, name
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == made


def test_make_help_lists_every_target() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, timeout=30)
    targets = {
        line.split(":")[0]
        for line in (ROOT / "Makefile").read_text().splitlines()
        if line[:1].islower() and ": " in line
    }
    for target in targets:
        assert f"make {target} " in done.stdout, target


def test_no_registry_address_is_committed() -> None:
    for name in ("requirements.txt", "requirements-dev.txt", "pyproject.toml", "Makefile", "bin/setup"):
        text = (ROOT / name).read_text()
        assert "pypi." not in text
        assert "pythonhosted" not in text
    assert "--hash=sha256:" in (ROOT / "requirements.txt").read_text()


# --- serve --------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def serve(tmp_path: Path, *options: str) -> subprocess.Popen[str]:
    environment = os.environ | {
        "ENV_FILE": "",
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DEBUG": "true",
        "ALLOWED_HOSTS": "127.0.0.1,localhost",
        "SECRET_KEY": "x" * 60,
        "TOKEN_KEYS": "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}",
        "CACHE_URL": "locmemcache://serve",
        "LOG_FILE": "",
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, ROOT / "manage.py", "serve", *options]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("option", ["--port", "--sandbox-port"])
def test_port_in_use_is_one_sentence_before_anything_starts(tmp_path: Path, option: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ports = {"--port": free_port(), "--sandbox-port": free_port()} | {option: port}
        site = serve(tmp_path, *(str(part) for pair in ports.items() for part in pair))
        out, err = site.communicate(timeout=30)
    assert site.returncode == 1
    assert len(err.strip().splitlines()) == 1
    assert f"Port {port}" in err
    assert "Traceback" not in out + err


def test_same_port_twice_is_refused(tmp_path: Path) -> None:
    port = str(free_port())
    site = serve(tmp_path, "--port", port, "--sandbox-port", port)
    _out, err = site.communicate(timeout=30)
    assert (site.returncode, len(err.strip().splitlines())) == (1, 1)


def wait_until(condition: object, seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.05)
    return False


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an SQLite file with the tables, which the worker beside the site needs."""
    folder = tmp_path_factory.mktemp("migrated")
    made = subprocess.run(
        [sys.executable, ROOT / "manage.py", "migrate", "--verbosity", "0"],
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings", "DATABASE_URL": f"sqlite:///{folder / 'db'}"},
        check=False,
    )
    assert made.returncode == 0
    return folder / "db"


@pytest.fixture
def site(tmp_path: Path, migrated: Path):  # type: ignore[no-untyped-def]
    """Yield a running site with its two ports."""
    shutil.copy(migrated, tmp_path / "db.sqlite3")
    port, sandbox_port = free_port(), free_port()
    process = serve(tmp_path, "--port", str(port), "--sandbox-port", str(sandbox_port))
    assert process.stdout is not None
    assert f"http://127.0.0.1:{port}" in process.stdout.readline()
    yield process, port, sandbox_port
    if process.poll() is None:
        process.terminate()
    process.communicate(timeout=20)


def test_site_sandbox_and_worker_start_and_end_together(site: tuple[subprocess.Popen[str], int, int]) -> None:
    process, port, sandbox_port = site
    assert wait_until(lambda: len(children(process.pid)) == 3)
    process.terminate()
    assert process.wait(20) == 0
    assert not answers(port)
    assert not answers(sandbox_port)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends orphans on Linux only")
def test_killed_supervisor_leaves_no_orphan(site: tuple[subprocess.Popen[str], int, int]) -> None:
    process, port, sandbox_port = site
    process.kill()
    assert wait_until(lambda: not answers(port) and not answers(sandbox_port))


def test_dead_child_ends_the_others_and_is_told(site: tuple[subprocess.Popen[str], int, int]) -> None:
    process, port, sandbox_port = site
    assert wait_until(lambda: len(children(process.pid)) == 3)
    os.kill(children(process.pid)[0], 9)
    _out, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "ended by itself" in err
    assert not answers(port)
    assert not answers(sandbox_port)
