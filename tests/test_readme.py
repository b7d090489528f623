"""What the README tells people to do works."""

import os
import re
import subprocess
import sys
from pathlib import Path

from django.conf import settings

from rapidpro_integration.sandbox.app import create_app
from rapidpro_integration.sandbox.serve import serving

ROOT = Path(settings.BASE_DIR)
README = (ROOT / "README.md").read_text("utf-8")


def script() -> str:
    match = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert match is not None
    return match[1]


def test_script_has_at_most_ten_lines() -> None:
    assert len(script().strip().splitlines()) <= 10


def test_script_lists_the_flows_of_the_sandbox_without_django() -> None:
    with serving(create_app()) as origin:
        source = script().replace("http://127.0.0.1:8001", origin)
        environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", source],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
        )
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0] == "True عيادات الشمال — Northern Clinics"
    assert lines[-1] == "12 flows, asked by a coroutine"
    assert len(lines) > 5


def test_every_linked_file_exists() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
