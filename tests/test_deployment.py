"""The container files, the units and the newcomer's commands keep our rules and name what is there.

Nothing here can build an image: that its commands work is shown by `make newcomer`, which runs the same ones.
"""

import http.server
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.core.management import CommandError, call_command, get_commands
from django.utils import timezone

from config import probe
from rapidpro_integration.health import heartbeat
from rapidpro_integration.models import WorkerBeat
from tests import newcomer

ROOT = Path(settings.BASE_DIR)
SETTINGS = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', (ROOT / "config" / "settings.py").read_text("utf-8")))
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions, each with its words."""
    text = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1].strip()) for line in lines]


def is_pinned(image: str) -> bool:
    name, _, tag = image.rpartition(":")
    return bool(name and re.search(r"\d", tag)) and tag != "latest"


def is_command(words: list[str]) -> bool:
    """Whether this is a command of manage.py, or a module of ours, that exists."""
    assert words[0].endswith("python")
    if words[1] == "-m":
        return (ROOT / f"{words[2].replace('.', '/')}.py").exists()
    return words[1] == "manage.py" and words[2] in get_commands()


def test_image_is_pinned_runs_as_nobody_special_and_asks_for_its_health_without_curl() -> None:
    found = instructions()
    stages = [words.split()[0] for name, words in found if name == "FROM"]
    assert len(stages) == 2
    assert all(is_pinned(stage) for stage in stages)
    last = found[max(place for place, (name, _) in enumerate(found) if name == "FROM") :]
    users = [words for name, words in last if name == "USER"]
    assert users
    assert all(re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user) for user in users)
    assert "ADD" not in {name for name, _ in found}
    assert not re.search(r"curl|wget|http://(?!127\.0\.0\.1)|https://", " ".join(words for _, words in found))
    (health,) = [words for name, words in last if name == "HEALTHCHECK"]
    (command,) = [words for name, words in last if name == "CMD"]
    assert is_command(json.loads(health.partition(" CMD ")[2]))
    assert is_command(json.loads(command))


def test_image_holds_what_the_site_imports_and_nothing_that_opens_anything() -> None:
    ignored = (ROOT / ".dockerignore").read_text("utf-8").split()
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    assert "*" in ignored
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks"}
    assert let_in == packages | {"manage.py", "requirements.txt", "templates"}


@pytest.mark.parametrize("name", SERVICES)
def test_service_is_pinned_restarted_watched_and_may_do_little(name: str) -> None:
    service = SERVICES[name]
    assert service["image"].startswith("rapidpro-console:${CONSOLE_VERSION:?") or is_pinned(service["image"])
    assert service["restart"] in ({"on-failure"} if name == "migrate" else {"unless-stopped"})
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "/tmp" in service["tmpfs"]
    if name not in {"migrate", "web"}:
        assert service["healthcheck"]["test"][0] == "CMD"
    assert not service.get("ports") or name == "proxy"
    for setting, value in service.get("environment", {}).items():
        if re.search("KEY|PASSWORD|SECRET", setting):
            assert setting.endswith("_FILE")
            assert value.removeprefix("/run/secrets/") in COMPOSE["secrets"]


@pytest.mark.parametrize("name", OURS)
def test_service_of_ours_says_only_what_the_site_reads_and_runs_what_it_has(name: str) -> None:
    service = SERVICES[name]
    assert set(service["environment"]) <= SETTINGS
    assert is_command(service.get("command", ["python", "manage.py", "web"]))
    if test := service.get("healthcheck", {}).get("test"):
        assert is_command(test[1:])
    assert service["env_file"] == "console.env"


def test_supervisors_wait_longer_than_a_stop_takes() -> None:
    delay_s, grace_s = int(SERVICES["web"]["environment"]["STOP_DELAY_S"]), 20
    assert int(SERVICES["web"]["stop_grace_period"].removesuffix("s")) >= delay_s + grace_s + 5
    unit = (ROOT / "deploy" / "console-web.service").read_text("utf-8")
    assert f"TimeoutStopSec={delay_s + grace_s + 10}\n" in unit
    assert "KillMode=mixed\n" in unit


@pytest.mark.parametrize("unit", sorted((ROOT / "deploy").glob("*.service")), ids=lambda path: path.stem)
def test_unit_runs_what_the_site_has(unit: Path) -> None:
    text = unit.read_text("utf-8")
    (command,) = re.findall("^ExecStart=(.*)$", text, re.MULTILINE)
    assert is_command(command.split())
    assert "\nUser=console\n" in text
    assert "\nRestart=always\n" in text


@pytest.mark.skipif(not shutil.which("caddy"), reason="Debian's caddy is not installed")
def test_proxy_understands_its_file() -> None:
    command = ["caddy", "validate", "--adapter", "caddyfile", "--config", str(ROOT / "deploy" / "Caddyfile")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_newcomer_has_at_most_fifteen_commands_that_name_what_is_there() -> None:
    found = newcomer.commands((ROOT / "docs" / "operations.md").read_text("utf-8"))
    assert 10 < len(found) <= newcomer.MOST
    for name in re.findall(r"manage\.py (\w+)", "\n".join(found)):
        assert name in get_commands()


@pytest.mark.parametrize("role", ["worker", "scheduler"])
def test_silence_of_a_process_of_this_host_fails_its_health_check(db: None, role: str) -> None:
    told = f"No {role} of this host gave a sign of life for a minute."
    with pytest.raises(CommandError, match=told):
        call_command("alive", role)
    roles = {"worker": WorkerBeat.Role.WORKER, "scheduler": WorkerBeat.Role.WATCH}
    heartbeat.beat("one", roles[role])
    call_command("alive", role)
    WorkerBeat.objects.update(host="another")
    with pytest.raises(CommandError, match=told):
        call_command("alive", role)
    heartbeat.beat("two", roles[role])
    WorkerBeat.objects.update(beat_on=timezone.now() - heartbeat.DEAD_AFTER)
    with pytest.raises(CommandError, match=told):
        call_command("alive", role)


class _Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(int(self.path[1:]))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class calls it so
        pass


@pytest.fixture
def origin() -> Iterator[str]:
    """Yield the address of a server that answers with the status that it is asked for."""
    with http.server.HTTPServer(("127.0.0.1", 0), _Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_probe_of_the_image_believes_a_200_alone(origin: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert probe.main(f"{origin}/200") == 0
    assert capsys.readouterr().err == ""
    assert probe.main(f"{origin}/503") == 1
    assert capsys.readouterr().err == f"{origin}/503: 503\n"
    assert probe.main("http://127.0.0.1:1/readyz") == 1
    assert capsys.readouterr().err == "http://127.0.0.1:1/readyz: ConnectionRefusedError\n"
