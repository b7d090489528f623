"""`manage.py tokens`: what it prints and how it exits, and that nothing sealed is in either."""

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from django.core.management.base import OutputWrapper

from accounts.audit.actions import Action
from accounts.audit.models import AuditEntry
from accounts.models import User
from rapidpro_integration import services
from rapidpro_integration.models import KeyCanary, RapidProToken
from rapidpro_integration.progress import Progress
from rapidpro_integration.vault import Secret
from tests.conftest import SECRET, SERVER, TokenMaker
from tests.rapidpro_integration.conftest import BOTH, K1, K2, ONLY_OLD, WRONG, UseKeys
from tests.rapidpro_integration.test_services import WORKING

pytestmark = pytest.mark.django_db


class Terminal(io.StringIO):
    """An output that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def run(*arguments: str, out: io.StringIO | None = None, **options: Any) -> tuple[int, str, str]:
    """Return the exit code, what was printed, and the errors with the last sentence."""
    out, err = out or io.StringIO(), io.StringIO()
    try:
        call_command("tokens", *arguments, stdout=out, stderr=err, no_color=True, **options)
    except CommandError as error:
        return error.returncode, out.getvalue(), f"{err.getvalue()}{error}"
    return 0, out.getvalue(), err.getvalue()


@pytest.fixture
def tokens(owner: User, make_token: TokenMaker) -> list[RapidProToken]:
    """Return forty tokens that are sealed with the old key."""
    return [make_token(owner, secret=f"{number:040x}") for number in range(40)]


def break_one(tokens: list[RapidProToken]) -> RapidProToken:
    RapidProToken.objects.filter(pk=tokens[0].pk).update(sealed=tokens[1].sealed)
    return tokens[0]


# --- rotate -------------------------------------------------------------------------------------


def test_rotate_tells_how_far_it_is_in_plain_lines_and_says_when_it_is_done(
    tokens: list[RapidProToken], use_keys: UseKeys
) -> None:
    use_keys(BOTH)
    code, out, err = run("rotate", batch=10)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "10 of 40",
        "20 of 40",
        "30 of 40",
        "40 of 40",
        "40 rows were sealed with the key 'k2'.",
        "No row needs an older key any more.",
    ]
    assert run("rotate")[:2] == (0, "0 rows were sealed with the key 'k2'.\nNo row needs an older key any more.\n")


def test_rotate_writes_each_batch_into_the_log_as_it_goes(tokens: list[RapidProToken], use_keys: UseKeys) -> None:
    use_keys(BOTH)
    run("rotate", "--batch", "2")
    entries = AuditEntry.objects.filter(action=Action.KEYS_ROTATED).order_by("number")
    assert sum(entry.count for entry in entries) == len(tokens)
    assert len(entries) > 1
    assert {entry.details["key"] for entry in entries} == {"k2"}
    assert {entry.actor_name for entry in entries} == {"manage.py tokens rotate"}


def test_rotate_draws_a_bar_on_a_terminal(tokens: list[RapidProToken], use_keys: UseKeys) -> None:
    use_keys(BOTH)
    _code, out, _err = run("rotate", out=Terminal(), batch=20)
    assert out.startswith(f"\r[{'#' * 15}{'.' * 15}] 20 of 40\r[{'#' * 30}] 40 of 40\n40 rows were")


def test_dry_run_changes_nothing_and_exits_as_the_rotation_would(
    tokens: list[RapidProToken], use_keys: UseKeys
) -> None:
    before = list(RapidProToken.objects.order_by("pk").values())
    use_keys(BOTH)
    assert run("rotate", dry_run=True) == (0, "40 rows would be sealed with the key 'k2'.\n", "")
    assert list(RapidProToken.objects.order_by("pk").values()) == before
    broken = break_one(tokens)
    code, out, err = run("rotate", dry_run=True)
    assert (code, out) == (1, "39 rows would be sealed with the key 'k2'.\n")
    assert f"token {broken.pk}: tampered" in err


def test_rotate_names_what_it_could_not_move_and_never_says_done(
    tokens: list[RapidProToken], use_keys: UseKeys
) -> None:
    broken = break_one(tokens)
    use_keys(BOTH)
    code, out, err = run("rotate")
    assert code == 1
    assert "39 rows were sealed with the key 'k2'." in out
    assert "No row needs" not in out
    assert (
        err
        == f"token {broken.pk}: tampered\n1 rows cannot be moved; they are named above. Nothing of them was changed."
    )
    assert not any(token.sealed[8:30] in out + err for token in RapidProToken.objects.all())


def test_rotate_exits_3_while_an_old_process_still_seals(
    tokens: list[RapidProToken], use_keys: UseKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    def put_back(self: Progress, count: int) -> None:
        use_keys(ONLY_OLD)
        services.replace_token(RapidProToken.objects.order_by("pk")[0], SERVER, Secret(SECRET), WORKING)
        use_keys(BOTH)

    monkeypatch.setattr(Progress, "__call__", put_back)
    use_keys(BOTH)
    code, out, err = run("rotate")
    assert code == 3
    assert "a process that was started with the old order of the keys still runs" in err
    assert "No row needs" not in out
    monkeypatch.undo()
    assert run("rotate")[0] == 0


def test_rotate_stopped_by_hand_goes_on_the_next_time(
    tokens: list[RapidProToken], use_keys: UseKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(self: Progress, count: int) -> None:
        raise KeyboardInterrupt

    use_keys(BOTH)
    with monkeypatch.context() as patched:
        patched.setattr(Progress, "__call__", interrupt)
        code, _out, err = run("rotate", batch=15)
    assert (code, err) == (130, "Stopped. Run it again to go on.")
    assert RapidProToken.objects.filter(key_id="k2").count() == 15
    assert "25 rows were sealed" in run("rotate")[1]


def test_wrong_key_is_one_sentence_and_nothing_is_done(tokens: list[RapidProToken], use_keys: UseKeys) -> None:
    use_keys(f"k2:{K2},{WRONG}")
    code, out, err = run("rotate")
    assert (code, out) == (1, "")
    assert err == "The key 'k1' is not the one that sealed under this id before; 40 rows need that one."


@pytest.mark.parametrize("batch", ["0", "-1", "many", "1.5"])
def test_senseless_batches_are_refused(batch: str) -> None:
    with pytest.raises(CommandError, match="--batch"):
        call_command("tokens", "rotate", f"--batch={batch}")


def test_batch_is_read_from_the_command_line(tokens: list[RapidProToken], use_keys: UseKeys) -> None:
    use_keys(BOTH)
    assert run("rotate", "--batch=20")[1].splitlines()[0] == "20 of 40"


# --- doctor -------------------------------------------------------------------------------------


def test_doctor_counts_by_key_and_says_that_all_is_well(
    tokens: list[RapidProToken], owner: User, make_token: TokenMaker, use_keys: UseKeys
) -> None:
    use_keys(BOTH)
    make_token(owner, secret=SECRET)
    assert run("doctor") == (0, "key k1: 40 rows\nkey k2: 1 rows (seals what is new)\nEvery row opens.\n", "")


def test_doctor_names_broken_rows_and_prints_nothing_sealed(tokens: list[RapidProToken]) -> None:
    broken = break_one(tokens)
    code, out, err = run("doctor")
    assert code == 1
    assert err == f"token {broken.pk}: tampered\n1 rows do not open; they are named above. Nothing of them was changed."
    assert not any(token.sealed[8:30] in out + err for token in RapidProToken.objects.all())


def test_doctor_names_keys_that_are_wrong_or_missing(tokens: list[RapidProToken], use_keys: UseKeys) -> None:
    use_keys(WRONG)
    code, out, err = run("doctor")
    assert (code, out) == (1, "key k1: 40 rows (seals what is new)\n")
    assert "The key 'k1' is not the one" in err
    use_keys(f"k2:{K2}")
    assert "The key 'k1' is not among the keys; 40 rows need it" in run("doctor")[2]
    RapidProToken.objects.all().delete()
    KeyCanary.objects.filter(pk="k1").update(retired_on="2026-11-24T00:00Z")
    use_keys(f"k1:{K1}")
    code, _out, err = run("doctor")
    assert code == 1
    assert "it is retired" in err


# --- retire -------------------------------------------------------------------------------------


def test_retire_waits_for_the_rotation(tokens: list[RapidProToken], use_keys: UseKeys) -> None:
    use_keys(BOTH)
    code, _out, err = run("retire", "k1")
    assert (code, err) == (1, "40 rows need the key 'k1'. Run `manage.py tokens rotate` first.")
    run("rotate")
    code, out, _err = run("retire", "k1")
    assert code == 0
    assert out.startswith("The key 'k1' is retired. Take it out of the settings")
    use_keys(f"k2:{K2}")
    assert run("doctor") == (0, "key k2: 40 rows (seals what is new)\nEvery row opens.\n", "")


def test_usage_errors_exit_2() -> None:
    for arguments in ([], ["frobnicate"], ["retire"], ["rotate", "--batch", "0"]):
        done = subprocess.run(
            [sys.executable, "manage.py", "tokens", *arguments],
            cwd=Path(django_settings.BASE_DIR),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode, done.stdout) == (2, "")


# --- Progress -----------------------------------------------------------------------------------


def progress_of(out: io.StringIO, total: int, counts: list[int]) -> str:
    progress = Progress(OutputWrapper(out), total)
    for count in counts:
        progress(count)
    progress.end()
    return out.getvalue()


@pytest.mark.parametrize("make", [io.StringIO, Terminal])
def test_progress_of_nothing_prints_nothing(make: Callable[[], io.StringIO]) -> None:
    assert progress_of(make(), 0, []) == ""


def test_plain_progress_prints_a_line_a_twentieth_at_most() -> None:
    assert len(progress_of(io.StringIO(), 1000, [1] * 1000).splitlines()) == 20


def test_progress_past_the_total_grows_the_total() -> None:
    assert progress_of(io.StringIO(), 10, [10, 5]).splitlines() == ["10 of 10"]
    assert progress_of(Terminal(), 10, [10, 5]).endswith("15 of 15\n")
