"""What we ship of others is what they published."""

import hashlib
import tomllib
from pathlib import Path

from django.conf import settings

VENDOR = Path(settings.BASE_DIR) / "config" / "static" / "vendor"
ENTRIES = tomllib.loads((VENDOR / "MANIFEST.toml").read_text("utf-8"))["file"]


def test_vendored_files_are_unchanged_and_licensed() -> None:
    for entry in ENTRIES:
        assert hashlib.sha256((VENDOR / entry["file"]).read_bytes()).hexdigest() == entry["sha256"], entry["file"]
        assert entry["version"].encode() in (VENDOR / entry["file"]).read_bytes()
        assert (VENDOR / entry["licence_file"]).read_text("utf-8").strip()
        assert entry["licence"]


def test_no_vendored_file_is_undocumented() -> None:
    documented = {"MANIFEST.toml"} | {entry[key] for entry in ENTRIES for key in ("file", "licence_file")}
    assert {path.name for path in VENDOR.iterdir()} == documented
