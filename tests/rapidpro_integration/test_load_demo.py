"""The demo: made once, from real checks, and nowhere but in a local demo."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import Settings

from accounts.models import User
from rapidpro_integration import vault
from rapidpro_integration.models import RapidProToken, TokenState
from rapidpro_integration.sandbox.app import create_app
from rapidpro_integration.sandbox.serve import serving
from rapidpro_integration.sandbox.tokens import TOKENS
from tests.rapidpro_integration.conftest import WRONG

pytestmark = pytest.mark.django_db


@pytest.fixture
def demo(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """Make this a local demo, with its sandbox, and return the sandbox's origin."""
    if connection.vendor != "sqlite":
        pytest.skip("the demo is for the local SQLite file")
    file = tmp_path / "db.sqlite3"
    file.touch()
    monkeypatch.setitem(connection.settings_dict, "NAME", str(file))
    with serving(create_app()) as origin:
        settings.DEBUG, settings.SANDBOX_ORIGIN = True, origin
        yield origin


def load() -> str:
    out = io.StringIO()
    call_command("load_demo", stdout=out)
    return out.getvalue()


def test_people_and_tokens_are_made_as_the_sandbox_says(demo: str) -> None:
    assert "owner@example.org" in load()
    states = {token.label: token.state for token in RapidProToken.objects.filter(owner__email="owner@example.org")}
    assert states == {
        "National programme": TokenState.WORKING,
        "Clinics": TokenState.WORKING,
        "Bee school": TokenState.WORKING,
        "Left-over of last year": TokenState.REJECTED,
    }
    assert RapidProToken.objects.get(owner__email="other@example.org").state == TokenState.WORKING
    staff = User.objects.get(email="staff@example.org")
    assert staff.is_staff
    assert staff.is_superuser
    assert staff.check_password("sandbox-only")
    token = RapidProToken.objects.get(label="Clinics")
    assert vault.open_token(token).reveal() == TOKENS["clinics"].secret


def test_second_run_changes_nothing(demo: str) -> None:
    load()
    User.objects.filter(username="owner").update(name="Changed by hand")
    before = list(RapidProToken.objects.values_list("pk", "sealed"))
    load()
    assert list(RapidProToken.objects.values_list("pk", "sealed")) == before
    assert User.objects.get(username="owner").name == "Changed by hand"


def test_tokens_move_along_to_another_port(demo: str, settings: Settings) -> None:
    load()
    with serving(create_app()) as other:
        settings.SANDBOX_ORIGIN = other
        load()
    assert set(RapidProToken.objects.values_list("server", flat=True)) == {other}
    assert RapidProToken.objects.count() == 5


def test_sandbox_is_served_for_the_moment_if_it_does_not_run(demo: str, settings: Settings) -> None:
    with serving(create_app()) as origin:
        settings.SANDBOX_ORIGIN = origin
    load()
    assert RapidProToken.objects.filter(state=TokenState.WORKING).count() == 4


def test_token_saved_by_hand_under_another_label_is_left(demo: str) -> None:
    load()
    RapidProToken.objects.filter(label="Clinics").update(label="Mine")
    load()
    assert RapidProToken.objects.filter(owner__username="owner").count() == 4


@pytest.mark.parametrize("change", [{"DEBUG": False}, {"SANDBOX_ORIGIN": ""}], ids=str)
def test_real_site_is_refused(demo: str, settings: Settings, change: dict[str, object]) -> None:
    for name, value in change.items():
        setattr(settings, name, value)
    with pytest.raises(CommandError):
        load()
    assert not User.objects.exists()


def test_database_that_is_no_local_file_is_refused(demo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "NAME", "/no/such/file")
    with pytest.raises(CommandError, match="SQLite"):
        load()
    assert not User.objects.exists()


def test_another_key_under_the_same_id_is_told_and_changes_nothing(demo: str, settings: Settings) -> None:
    load()
    RapidProToken.objects.filter(label="Clinics").delete()
    settings.TOKEN_KEYS = WRONG
    with pytest.raises(CommandError, match="The key 'k1' is not the one"):
        load()
    assert not RapidProToken.objects.filter(label="Clinics").exists()
