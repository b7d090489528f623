"""What is said of us beside others (issue 4), each with the opposite outcome here.

the others                          here: the tests below, and those that go deeper
n8n: a ciphertext fits any row      test_leaks: test_raw_sql_that_copies_a_sealed_token_locks_it_…;
test_vault: test_copied_to_another_row_owner_server_or_purpose_…
n8n: one broken credential          all broken at once, below; each alone in
breaks the list                   test_sealed_tokens: test_no_broken_row_breaks_a_page_…
Nango: the key stays for ever       keys changed between two visits, below; under kill -9 in test_rotation
Nango: no key means plain text      real processes without one, below
Sentry: falls back to plain text    clear text in the row, plain and in disguise, below; test_models:
test_rows_that_break_a_rule_are_refused
Grafana: a getter that falls back   each opener raises, below
every dashboard for RapidPro:       the bytes of a real database and its journal, below; pages, logs, mail,
tokens in clear                   caches and sessions in test_leaks: test_marker_token_is_nowhere
"""

import base64
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import respx
from django.db import IntegrityError, transaction
from django.test import Client

from accounts.models import User
from rapidpro_integration import rotation, vault
from rapidpro_integration.keys import KeyRingError
from rapidpro_integration.mfa import MFAAdapter
from rapidpro_integration.models import RapidProToken
from rapidpro_integration.vault import LockedError, Secret
from tests.conftest import SECRET, TokenMaker
from tests.processes import Site
from tests.rapidpro_integration.conftest import BOTH, ONLY_NEW, ONLY_OLD, UseKeys
from tests.security.saves import exercise, wanted

IN_BASE64 = base64.b64encode(SECRET.encode()).decode()
# What the database's own rule (`v1.…`) lets through, as somebody might write it who means well.
DISGUISES = (
    *(f"v1.{SECRET}", f"v1.k1.{SECRET}", f"v1.K1.{SECRET}"),
    *(f"v1.k1.{IN_BASE64}", f"v1.plain.{SECRET}", f"v1..{SECRET}"),
)


def test_list_with_nothing_but_broken_credentials_and_one_good_one_is_a_list(
    owner_client: Client, owner: User, make_token: TokenMaker
) -> None:
    for number, text in enumerate(DISGUISES):
        broken = make_token(owner, secret=f"{number:040x}", label=f"Broken {number}")
        RapidProToken.objects.filter(pk=broken.pk).update(sealed=text)
    make_token(owner, label="Fine")
    response = owner_client.get("/tokens/")
    page = response.content.decode()
    assert response.status_code == 200
    assert all(f"Broken {number}" in page for number in range(len(DISGUISES)))
    assert ("Fine" in page, page.count("Locked"), SECRET in page) == (True, len(DISGUISES), False)


def test_keys_are_changed_between_two_visits_and_the_old_one_is_needed_no_more(
    owner_client: Client, token: RapidProToken, use_keys: UseKeys, rapidpro: Callable[..., respx.Route]
) -> None:
    route = rapidpro("flows.json", json={"next": None, "results": []})
    statuses = []
    for keys in (ONLY_OLD, BOTH, ONLY_NEW):
        use_keys(keys)
        if keys == BOTH:
            assert rotation.rotate(batch=10, on_progress=lambda count: None).is_done
        statuses.append(owner_client.get(f"/tokens/{token.pk}/flows/").status_code)
    use_keys(ONLY_OLD)
    # The old key is worth nothing now, to us or to a thief.
    statuses.append(owner_client.get(f"/tokens/{token.pk}/flows/").status_code)
    assert statuses == [200, 200, 200, 423]
    assert [call.request.headers["Authorization"] for call in route.calls] == [f"Token {SECRET}"] * 3


@pytest.mark.parametrize("debug", ["true", "false"])
@pytest.mark.parametrize("command", [("manage.py", "check"), ("manage.py", "migrate"), ("-c", "import config.asgi")])
def test_process_without_a_key_refuses_to_run(tmp_path: Path, command: tuple[str, ...], debug: str) -> None:
    database = tmp_path / "db.sqlite3"
    done = Site(f"sqlite:///{database}", DEBUG=debug).run("", *command)
    assert done.returncode != 0
    assert "TOKEN_KEYS is missing: no token can be sealed without a key." in done.stderr
    assert not database.exists()


def test_without_a_key_nothing_is_sealed_in_another_way(use_keys: UseKeys) -> None:
    use_keys("")
    with pytest.raises(KeyRingError):
        vault.seal_factor(Secret(SECRET))


@pytest.mark.parametrize("text", [SECRET, IN_BASE64, f"plain:{SECRET}", "", f" v1.k1.{SECRET}"])
def test_database_refuses_a_token_in_clear(token: RapidProToken, text: str) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        RapidProToken.objects.filter(pk=token.pk).update(sealed=text)


@pytest.mark.parametrize("text", DISGUISES)
def test_token_in_clear_is_locked_and_never_sent(
    owner_client: Client, token: RapidProToken, respx_mock: respx.MockRouter, text: str
) -> None:
    RapidProToken.objects.filter(pk=token.pk).update(sealed=text)
    statuses = [owner_client.get(f"/tokens/{token.pk}/flows/").status_code]
    statuses.append(owner_client.post(f"/tokens/{token.pk}/check/").status_code)
    page = owner_client.get(f"/tokens/{token.pk}/").content.decode()
    assert statuses[0] == 423
    assert not respx_mock.calls
    assert SECRET not in page
    token.refresh_from_db()
    # Not sealed in silence either: nobody would learn that it stood there in clear.
    assert (token.sealed, token.state) == (text, "locked")


def _openers(token: RapidProToken) -> Iterator[tuple[Callable[[str], object], type[Exception]]]:
    def open_token(text: str) -> Secret:
        token.sealed = text
        return vault.open_token(token)

    yield open_token, LockedError
    yield vault.open_factor, LockedError
    yield MFAAdapter().decrypt, Exception


@pytest.mark.parametrize("text", [*DISGUISES, SECRET, "", "v1.k1.", "v2.k1.AAAA"])
def test_no_opener_gives_a_fallback_in_silence(token: RapidProToken, text: str) -> None:
    for opener, kind in _openers(token):
        with pytest.raises(kind) as caught:
            opener(text)
        assert SECRET not in str(caught.value)


def test_no_opener_takes_a_fallback() -> None:
    for opener in (vault.open_token, vault.open_factor, vault.KeyRing.open, Secret.reveal):
        parameters = inspect.signature(opener).parameters.values()
        assert all(parameter.default is inspect.Parameter.empty for parameter in parameters), opener


def test_bytes_of_the_database_and_its_journal_hold_no_token(tmp_path: Path) -> None:
    outcome = exercise(f"sqlite:///{tmp_path / 'real.sqlite3'}", saves=10, processes=2)
    assert outcome.rows == 9
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file()).lower()
    # Those who look find something: the labels of the very rows.
    assert content.count(b"rapidpro.example") > 9
    for _, secret in map(wanted, range(10)):
        for form in (secret.encode(), bytes.fromhex(secret), base64.b64encode(secret.encode())):
            assert form.lower() not in content
        assert secret[:12].encode() not in content
