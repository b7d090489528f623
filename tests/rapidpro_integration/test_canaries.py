"""A key that is not what it was is noticed: at the start, by the check, and by whoever would seal with it."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import respx
from django.core.checks import Tags, run_checks
from django.db import connection, transaction
from django.test import Client

from accounts.models import User
from rapidpro_integration import canaries, services, vault
from rapidpro_integration.canaries import KeyInUseError, KeyUnfitError, Unfit
from rapidpro_integration.models import KeyCanary, RapidProToken
from rapidpro_integration.vault import Secret
from tests.conftest import SECRET, SERVER, TokenMaker
from tests.rapidpro_integration.conftest import BOTH, K1, K3, ONLY_NEW, WRONG, UseKeys
from tests.rapidpro_integration.test_services import WORKING

NEW_SECRET = "a1b2c3d4" * 5


def everything() -> list[object]:
    return [*RapidProToken.objects.order_by("pk").values(), *KeyCanary.objects.order_by("pk").values()]


def found() -> list[tuple[Unfit, str, int]]:
    return [(problem.kind, problem.key_id, problem.rows) for problem in canaries.problems()]


def test_first_use_of_a_key_makes_its_canary_and_the_second_keeps_it(owner: User) -> None:
    assert not KeyCanary.objects.exists()
    services.add_token(owner.pk, "One", SERVER, Secret(SECRET), WORKING)
    canary = KeyCanary.objects.get()
    assert (canary.pk, canary.retired_on, str(canary)) == ("k1", None, "k1")
    services.add_token(owner.pk, "Two", SERVER, Secret(NEW_SECRET), WORKING)
    assert KeyCanary.objects.get().created_on == canary.created_on


def test_canary_tells_nothing_of_the_key_and_differs_by_key() -> None:
    one, other = (vault.KeyRing.parse(f"k1:{key}") for key in (K1, K3))
    assert one.check_value("k1") != other.check_value("k1")
    assert len(one.check_value("k1")) == 64
    assert one.check_value("k1") != one.fingerprint(Secret(""), owner_id=0, origin="")


def test_empty_database_and_one_without_tables_are_fine(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found() == []
    monkeypatch.setattr(connection.introspection, "table_names", lambda *args, **kwargs: ["django_migrations"])
    assert found() == []


def test_wrong_key_under_the_right_id_is_named_with_its_rows_and_changes_nothing(
    token: RapidProToken, owner: User, use_keys: UseKeys
) -> None:
    before = everything()
    use_keys(WRONG)
    assert found() == [(Unfit.WRONG, "k1", 1)]
    with pytest.raises(KeyUnfitError, match="'k1'"):
        services.add_token(owner.pk, "New", SERVER, Secret(NEW_SECRET), WORKING)
    with pytest.raises(KeyUnfitError, match="'k1'"):
        services.replace_token(token, SERVER, Secret(NEW_SECRET), WORKING)
    assert everything() == before


def test_person_who_saves_under_a_wrong_key_reads_a_page_and_nothing_is_saved(
    owner_client: Client, token: RapidProToken, use_keys: UseKeys, rapidpro: Callable[..., respx.Route]
) -> None:
    rapidpro("workspace.json", "workspace_good")
    before = everything()
    use_keys(WRONG)
    for path in ("/tokens/add/", f"/tokens/{token.pk}/replace/"):
        page = owner_client.post(path, {"label": "x", "server": SERVER, "token": NEW_SECRET})
        assert (page.status_code, page.headers["Retry-After"]) == (503, "300")
        assert "Nothing can be saved at the moment" in page.content.decode()
    assert everything() == before


def test_rows_of_a_time_before_canaries_tell_a_wrong_key_too(token: RapidProToken, use_keys: UseKeys) -> None:
    KeyCanary.objects.all().delete()
    assert found() == []
    use_keys(WRONG)
    assert found() == [(Unfit.WRONG, "k1", 1)]
    with pytest.raises(KeyUnfitError), canaries.sealing():
        pytest.fail("a wrong key may not seal")
    assert not KeyCanary.objects.exists()


def test_one_broken_row_does_not_make_a_key_wrong(token: RapidProToken, owner: User, make_token: TokenMaker) -> None:
    make_token(owner, secret=NEW_SECRET)
    KeyCanary.objects.all().delete()
    RapidProToken.objects.filter(pk=token.pk).update(sealed="v1.k1.broken")
    assert found() == []


def test_key_that_rows_need_and_nobody_has_is_a_warning(token: RapidProToken, use_keys: UseKeys) -> None:
    use_keys(ONLY_NEW)
    assert found() == [(Unfit.MISSING, "k1", 1)]
    assert not canaries.problems()[0].is_fatal


def check(*, databases: list[str] | None) -> list[str]:
    messages = run_checks(tags=[Tags.database], include_deployment_checks=True, databases=databases)
    return [f"{message.id} {message.msg}" for message in messages]


def test_system_check_says_the_same(token: RapidProToken, use_keys: UseKeys) -> None:
    assert check(databases=["default"]) == []
    use_keys(WRONG)
    (said,) = check(databases=["default"])
    assert said.startswith("rapidpro_integration.E001 The key 'k1' is not the one")
    assert "1 rows" in said
    assert check(databases=[]) == []
    use_keys(ONLY_NEW)
    assert check(databases=["default"])[0].startswith("rapidpro_integration.W003")


def test_check_does_not_stand_in_the_way_of_migrate(token: RapidProToken, use_keys: UseKeys) -> None:
    use_keys(WRONG)
    assert run_checks(databases=["default"]) == run_checks()


# --- Retiring -----------------------------------------------------------------------------------


def test_key_is_not_retired_while_it_seals_or_a_row_needs_it(token: RapidProToken, use_keys: UseKeys) -> None:
    with pytest.raises(KeyInUseError, match="comes first"):
        canaries.retire("k1")
    use_keys(BOTH)
    with pytest.raises(KeyInUseError, match="1 rows need the key 'k1'"):
        canaries.retire("k1")
    RapidProToken.objects.update(key_id="k2")
    with pytest.raises(KeyInUseError, match="1 rows need the key 'k1'"):
        canaries.retire("k1")
    assert KeyCanary.objects.get(pk="k1").retired_on is None


def test_unknown_key_and_a_second_time_are_refused(token: RapidProToken, use_keys: UseKeys) -> None:
    use_keys(BOTH)
    with pytest.raises(KeyInUseError, match="unknown"):
        canaries.retire("k7")
    token.delete()
    canaries.retire("k1")
    with pytest.raises(KeyInUseError, match="already retired"):
        canaries.retire("k1")


def test_key_that_never_sealed_can_be_retired(db: None, use_keys: UseKeys) -> None:
    use_keys(BOTH)
    canaries.retire("k1")
    assert KeyCanary.objects.get().retired_on is not None


def test_process_that_still_has_the_retired_key_in_front_saves_nothing(
    token: RapidProToken, owner: User, use_keys: UseKeys
) -> None:
    token.delete()
    use_keys(BOTH)
    canaries.retire("k1")
    use_keys(f"k1:{K1}")
    with pytest.raises(KeyUnfitError, match="retired"):
        services.add_token(owner.pk, "Late", SERVER, Secret(SECRET), WORKING)
    assert not RapidProToken.objects.exists()
    assert found() == [(Unfit.RETIRED, "k1", 0)]


def test_retiring_while_something_is_being_saved_undoes_the_save(owner: User) -> None:
    with pytest.raises(KeyUnfitError, match="retired"), canaries.sealing():
        KeyCanary.objects.update(retired_on="2026-11-24T00:00Z")


@pytest.mark.django_db(transaction=True)
def test_retiring_waits_for_a_save_that_is_under_way_and_is_then_refused(
    owner: User, make_token: TokenMaker, use_keys: UseKeys
) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite lets in one writer at a time")

    def retire() -> str:
        try:
            canaries.retire("k1")
        except KeyInUseError as error:
            return str(error)
        finally:
            connection.close()
        return "retired"

    with ThreadPoolExecutor(1) as thread:
        with transaction.atomic():
            make_token(owner)
            use_keys(BOTH)
            answer = thread.submit(retire)
            wait_for_a_lock()
            assert not answer.done()
        assert answer.result(timeout=30).startswith("1 rows need the key 'k1'")
    assert KeyCanary.objects.get().retired_on is None


def wait_for_a_lock() -> None:
    """Return when somebody waits for a table; fail after 20 seconds."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'relation'")
            if cursor.fetchone() != (0,):
                return
        time.sleep(0.02)
    pytest.fail("nobody waits")
