"""What docs/operations.md tells people to do works."""

import base64
import re
import secrets
import stat
import subprocess
import sys
import types
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings as django_settings
from pytest_django import Settings

from accounts.models import User
from rapidpro_integration import canaries, services, vault
from rapidpro_integration.models import KeyCanary, RapidProToken
from rapidpro_integration.vault import KeyRingError, Secret
from tests.conftest import SERVER
from tests.rapidpro_integration.test_services import WORKING

TEXT = (Path(django_settings.BASE_DIR) / "docs" / "operations.md").read_text("utf-8")


def block(start: str, language: str = "") -> str:
    """Return the code block that holds `start`."""
    (found,) = [code for code in re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL) if start in code]
    return str(found)


def test_key_made_as_told_can_be_read_by_its_owner_only_and_is_taken(tmp_path: Path, settings: Settings) -> None:
    subprocess.run(block("umask 077"), shell=True, check=True, cwd=tmp_path, timeout=60)
    file = tmp_path / "keys"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    settings.TOKEN_KEYS, settings.TOKEN_KEYS_FILE = "", str(file)
    assert vault.ring().key_ids == ("k1",)


class FakeKms:
    """A key service that keeps its master key to itself, as a cloud's does; the context is authenticated."""

    def __init__(self) -> None:
        self._master = AESGCM(secrets.token_bytes(32))

    def wrapped(self, key: bytes, key_id: str) -> str:
        nonce = secrets.token_bytes(12)
        return base64.b64encode(nonce + self._master.encrypt(nonce, key, key_id.encode())).decode()

    def decrypt(self, *, CiphertextBlob: bytes, EncryptionContext: dict[str, str]) -> dict[str, bytes]:  # noqa: N803
        context = EncryptionContext["key-id"].encode()
        return {"Plaintext": self._master.decrypt(CiphertextBlob[:12], CiphertextBlob[12:], context)}


def test_documented_provider_unwraps_its_keys_and_refuses_exchanged_ids(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    kms, boto3, provider = FakeKms(), types.ModuleType("boto3"), types.ModuleType("keyservice")
    boto3.client = lambda name: {"kms": kms}[name]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "boto3", boto3)
    monkeypatch.setitem(sys.modules, "keyservice", provider)
    exec(block("class WrappedKeys", "python"), provider.__dict__)
    new, old = (kms.wrapped(secrets.token_bytes(32), key_id) for key_id in ("k2", "k1"))
    file = tmp_path / "wrapped"
    monkeypatch.setenv("WRAPPED_KEYS_FILE", str(file))
    settings.TOKEN_KEYS_PROVIDER = "keyservice.WrappedKeys"
    file.write_text(f"k2:{old}\nk1:{new}\n")
    with pytest.raises(KeyRingError, match="gave no keys"):
        vault.ring()
    file.write_text(f"k2:{new}\nk1:{old}\n")
    assert vault.ring().key_ids == ("k2", "k1")
    assert vault.open_factor(vault.seal_factor(Secret("seed"))) == Secret("seed")


def test_changed_canary_is_made_anew_by_the_next_save_after_the_documented_command(
    token: RapidProToken, owner: User
) -> None:
    KeyCanary.objects.update(check_value="0" * 64)
    assert [problem.key_id for problem in canaries.problems()] == ["k1"]
    command = re.search(r'-c "(.*)"', block("KeyCanary"))
    assert command is not None
    exec(command[1], {})
    services.add_token(owner.pk, "Next", SERVER, Secret("a1b2c3d4" * 5), WORKING)
    assert KeyCanary.objects.get().check_value == vault.ring().check_value("k1")
    assert canaries.problems() == []


def test_every_subcommand_and_problem_is_documented() -> None:
    for word in (
        "tokens rotate",
        "tokens rotate --dry-run",
        "tokens doctor",
        "tokens retire k1",
        "E001",
        "E002",
        "W003",
    ):
        assert word in TEXT
    for unfit in canaries.Unfit:
        assert f"{unfit:03}" in TEXT
    for reason in vault.LockReason:
        assert f"`{reason}`" in TEXT
