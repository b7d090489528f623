"""`make release` and the audit of the pins, as processes on a tree of their own."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
VERSION = "0.1.0"
_GIT = {"GIT_AUTHOR_DATE": "2026-01-02T03:04:05Z", "GIT_COMMITTER_DATE": "2026-01-02T03:04:05Z"}


def git(tree: Path, *arguments: str) -> None:
    who = ["-c", "user.name=Release", "-c", "user.email=release@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *arguments], cwd=tree, check=True, capture_output=True, env=os.environ | _GIT)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a committed tree with what a release is made of, and a section of the changelog."""
    tree = tmp_path / "tree"
    for name in ("pyproject.toml", "requirements.txt", ".gitignore", "bin/release", "config/static/vendor"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tree / name)  # type: ignore[operator]
    project = (tree / "pyproject.toml").read_text()
    (tree / "pyproject.toml").write_text(
        "".join(
            f'version = "{VERSION}"\n' if line.startswith("version = ") else line for line in project.splitlines(True)
        )
    )
    (tree / "CHANGELOG.md").write_text(
        f"# Changelog\n\n## Unreleased\n\n## {VERSION}\n\n- A line.\n\n## 0.0.1\n\n- Old.\n"
    )
    git(tree, "init", "-q")
    git(tree, "add", "-A")
    git(tree, "commit", "-q", "-m", "All")
    return tree


def release(tree: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "bin/release"], cwd=tree, capture_output=True, text=True, timeout=120, check=False
    )


def built(tree: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (tree / "dist").iterdir()}


def test_release_is_an_archive_a_section_a_bill_and_checksums_twice_the_same(tree: Path) -> None:
    done = release(tree)
    assert done.returncode == 0, done.stderr
    first, base = built(tree), f"rapidpro-console-{VERSION}"
    assert set(first) == {f"{base}.tar.gz", f"{base}.changelog.md", f"{base}.cdx.json", f"{base}.sha256"}
    assert first[f"{base}.changelog.md"].decode() == f"## {VERSION}\n\n- A line.\n"
    for line in first[f"{base}.sha256"].decode().splitlines():
        digest, name = line.split()
        assert hashlib.sha256(first[name]).hexdigest() == digest
    with tarfile.open(tree / "dist" / f"{base}.tar.gz") as archive:
        assert f"{base}/pyproject.toml" in archive.getnames()
    shutil.rmtree(tree / "dist")
    assert release(tree).returncode == 0
    assert built(tree) == first


def test_bill_names_every_pin_and_every_vendored_file(tree: Path) -> None:
    assert release(tree).returncode == 0
    bill = json.loads((tree / "dist" / f"rapidpro-console-{VERSION}.cdx.json").read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    urls = {component["purl"] for component in bill["components"]}
    pins = [line.split(" ")[0] for line in (ROOT / "requirements.txt").read_text().splitlines() if line[:1].isalnum()]
    assert {f"pkg:pypi/{pin.replace('==', '@')}" for pin in pins} <= urls
    assert len(urls) == len(pins) + 2
    pico = next(component for component in bill["components"] if component["name"] == "Pico CSS")
    assert pico["licenses"] == [{"license": {"id": "MIT"}}]
    assert pico["purl"].startswith("pkg:npm/%40picocss/pico@")
    assert pico["hashes"][0]["alg"] == "SHA-256"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda tree: (tree / "new").write_text(""), "changes that are not committed"),
        (lambda tree: (tree / "CHANGELOG.md").write_text("## Unreleased\n\n- A line.\n"), "has no section"),
        (lambda tree: (tree / "CHANGELOG.md").write_text(f"## {VERSION}\n\n## 0.0.1\n\n- Old.\n"), "is empty"),
    ],
    ids=["dirty", "no section", "empty section"],
)
def test_half_made_release_is_refused_with_a_sentence(tree: Path, spoil: object, words: str) -> None:
    spoil(tree)  # type: ignore[operator]
    if words != "changes that are not committed":
        git(tree, "commit", "-q", "-a", "-m", "Spoilt")
    done = release(tree)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    assert words in done.stderr
    assert not (tree / "dist").exists()


# --- The pins -----------------------------------------------------------------------------------

WELL = {"name": "django", "version": "6.1.3", "vulns": []}
ILL = {"name": "aiohttp", "version": "3.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3.1"]}]}
UNKNOWN = {"name": "httpx", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("service", "code", "words"),
    [
        (f"print('''{json.dumps({'dependencies': [WELL]})}''')", 0, "1 of 1 pins were audited: 0 known"),
        (
            f"print('''{json.dumps({'dependencies': [WELL, ILL, UNKNOWN]})}'''); raise SystemExit(1)",
            1,
            "aiohttp 3.0: PYSEC-1, mended in 3.1.",
        ),
        (f"print('''{json.dumps({'dependencies': [UNKNOWN]})}''')", 0, "could NOT be audited"),
        ("raise SystemExit('the network is down')", 0, "did not help: the network is down."),
    ],
    ids=["none", "one", "unknown", "no network"],
)
def test_audit_of_the_pins_fails_for_a_finding_and_says_when_it_could_not_look(
    tmp_path: Path, service: str, code: int, words: str
) -> None:
    # What stands in for pip-audit answers as its service would; the real one needs the internet.
    (tmp_path / "pip_audit.py").write_text(service)
    done = subprocess.run(
        [sys.executable, ROOT / "bin" / "audit-pins"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert words in done.stdout
    if code == 1:
        assert "2 of 3 pins were audited: 1 known vulnerabilities. Not audited: httpx." in done.stdout
