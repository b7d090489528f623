"""Rotation moves everything to the first key, loses nothing, and never says that it is done before it is."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret

from accounts.models import User
from rapidpro_integration import canaries, rotation, services, stores, vault
from rapidpro_integration.canaries import KeyUnfitError
from rapidpro_integration.models import KeyCanary, RapidProToken
from rapidpro_integration.rotation import Rotation, WrittenWrongError
from rapidpro_integration.vault import Secret
from tests.conftest import SECRET, SERVER, TokenMaker
from tests.rapidpro_integration.conftest import BOTH, K2, ONLY_NEW, ONLY_OLD, WRONG, UseKeys
from tests.rapidpro_integration.test_services import WORKING

pytestmark = pytest.mark.django_db


def secret_of(number: int) -> str:
    return f"{number:040x}"


def rotate(on_progress: Callable[[int], None] = lambda count: None, batch: int = 4) -> Rotation:
    return rotation.rotate(batch=batch, on_progress=on_progress)


@pytest.fixture
def tokens(owner: User, make_token: TokenMaker) -> list[RapidProToken]:
    """Return ten tokens that are sealed with the old key."""
    return [make_token(owner, secret=secret_of(number), label=f"Token {number}") for number in range(10)]


def test_every_row_is_moved_and_opens_with_the_new_key_alone(
    tokens: list[RapidProToken], owner: User, use_keys: UseKeys
) -> None:
    before = {row["id"]: row for row in RapidProToken.objects.values()}
    use_keys(BOTH)
    seen: list[int] = []
    done = rotate(seen.append)
    assert (done.key_id, done.moved, done.stuck, done.appeared, done.left) == ("k2", 10, [], 0, 0)
    assert done.is_done
    assert seen == [4, 4, 2]
    use_keys(ONLY_NEW)
    for number, token in enumerate(tokens):
        token.refresh_from_db()
        assert vault.open_token(token).reveal() == secret_of(number)
        assert services.find_token(owner.pk, SERVER, Secret(secret_of(number))) == token
    resealed = {"sealed", "key_id", "fingerprint"}
    for row in RapidProToken.objects.values():
        assert {name for name in row if row[name] != before[row["id"]][name]} == resealed


def test_second_factors_are_moved_with_all_that_stands_beside_the_secret(
    owner: User, other: User, use_keys: UseKeys
) -> None:
    secret = generate_totp_secret()
    TOTP.activate(owner, secret)
    codes = RecoveryCodes.activate(owner)
    wanted = codes.generate_codes()
    codes.validate_code(wanted[0])
    sealed = [vault.seal_factor(Secret(f"code-{number}")).strip() for number in range(3)]
    Authenticator.objects.create(user=other, type="recovery_codes", data={"migrated_codes": sealed})
    key = Authenticator.objects.create(user=other, type="webauthn", data={"name": "Key", "credential": {}})
    use_keys(BOTH)
    done = rotate()
    assert (done.moved, done.is_done) == (3, True)
    use_keys(ONLY_NEW)
    assert stores.count_by_key() == {"k2": 3}
    assert Authenticator.objects.get(pk=key.pk).data == key.data
    assert vault.open_factor(Authenticator.objects.get(type="totp").data["secret"]).reveal() == secret
    moved = Authenticator.objects.get(user=owner, type="recovery_codes").wrap()
    assert moved.get_unused_codes() == wanted[1:]
    assert Authenticator.objects.get(user=other, type="recovery_codes").wrap().validate_code("code-2")


def test_nothing_to_do_is_done(tokens: list[RapidProToken]) -> None:
    before = list(RapidProToken.objects.values_list("sealed", flat=True))
    done = rotate()
    assert (done.moved, done.is_done) == (0, True)
    assert list(RapidProToken.objects.values_list("sealed", flat=True)) == before


def test_row_that_does_not_open_is_named_and_left_and_the_others_move(
    tokens: list[RapidProToken], use_keys: UseKeys
) -> None:
    broken = RapidProToken.objects.order_by("pk")[1]
    RapidProToken.objects.filter(pk=broken.pk).update(sealed=tokens[0].sealed[:-1] + "~")
    before = RapidProToken.objects.filter(pk=broken.pk).values().get()
    use_keys(BOTH)
    assert [str(row) for row in rotation.preview()] == [f"token {broken.pk}: tampered"]
    done = rotate()
    assert (done.moved, [str(row) for row in done.stuck]) == (9, [f"token {broken.pk}: tampered"])
    assert not done.is_done
    assert RapidProToken.objects.filter(pk=broken.pk).values().get() == before


def test_second_factor_that_does_not_open_is_named_and_left_and_the_others_move(
    owner: User, other: User, use_keys: UseKeys
) -> None:
    for person in (owner, other):
        TOTP.activate(person, generate_totp_secret())
    clear = {"secret": "JBSWY3DPEHPK3PXP"}
    Authenticator.objects.filter(user=owner).update(data=clear)
    use_keys(BOTH)
    done = rotate()
    assert done.moved == 1
    assert [str(row) for row in done.stuck] == [
        f"second factor {Authenticator.objects.get(user=owner).pk}: unknown_format"
    ]
    assert not done.is_done
    assert Authenticator.objects.get(user=owner).data == clear
    assert stores.count_by_key() == {"k2": 1}


def test_row_whose_column_hides_its_key_is_named(tokens: list[RapidProToken], use_keys: UseKeys) -> None:
    RapidProToken.objects.filter(pk=tokens[3].pk).update(key_id="k2")
    use_keys(BOTH)
    assert [row.row_id for row in rotate().stuck] == [tokens[3].pk]
    assert stores.count_by_key() == {"k2": 10, "k1": 1}


def test_token_that_its_owner_has_twice_under_two_keys_is_named_and_neither_is_lost(
    tokens: list[RapidProToken], owner: User, make_token: TokenMaker, use_keys: UseKeys
) -> None:
    use_keys(BOTH)
    twin = make_token(owner, secret=secret_of(0), label="Twin")
    done = rotate()
    assert done.moved == 9
    assert [row.row_id for row in done.stuck] == [tokens[0].pk]
    assert "twice" in str(done.stuck[0])
    assert not done.is_done
    assert all(vault.lock_reason(token) is None for token in RapidProToken.objects.all())
    twin.delete()
    assert rotate().is_done


def once(action: Callable[[], Any]) -> Callable[[int], None]:
    """Return an `on_progress` that does something in the middle of the first pass, as another process would."""
    waiting = [action]

    def on_progress(count: int) -> None:
        if waiting:
            waiting.pop()()

    return on_progress


def test_token_replaced_after_it_was_read_keeps_what_its_owner_typed(
    tokens: list[RapidProToken], use_keys: UseKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replace every row of the first batch between its reading and its writing: the rotation must not win."""
    use_keys(BOTH)
    read, replaced = rotation._write_tokens, []

    def replace_first(rows: list[RapidProToken]) -> int:
        if not replaced:
            for row in rows:
                services.replace_token(
                    RapidProToken.objects.get(pk=row.pk), SERVER, Secret(f"{row.pk.hex:>040}"), WORKING
                )
            replaced.extend(rows)
        return read(rows)

    monkeypatch.setattr(rotation, "_write_tokens", replace_first)
    done = rotate()
    assert (len(replaced), done.moved, done.is_done) == (4, 6, True)
    for row in replaced:
        assert vault.open_token(RapidProToken.objects.get(pk=row.pk)).reveal() == f"{row.pk.hex:>040}"


def test_person_who_replaces_or_checks_a_token_during_the_rotation_notices_nothing(
    tokens: list[RapidProToken], use_keys: UseKeys
) -> None:
    read = {token.pk: token for token in tokens}
    use_keys(BOTH)
    assert rotate().is_done
    services.record_check(read[tokens[0].pk], WORKING)
    services.replace_token(read[tokens[1].pk], SERVER, Secret(SECRET), WORKING)
    assert vault.open_token(RapidProToken.objects.get(pk=tokens[1].pk)).reveal() == SECRET
    for changed in (tokens[1], tokens[2]):
        RapidProToken.objects.filter(pk=tokens[2].pk).update(sealed="v1.k2.broken")
        with pytest.raises(services.TokenChangedMeanwhile):
            services.record_check(read[changed.pk], WORKING)


def test_second_rotation_at_once_does_no_harm(tokens: list[RapidProToken], use_keys: UseKeys) -> None:
    use_keys(BOTH)
    others: list[Rotation] = []
    done = rotate(once(lambda: others.append(rotate())))
    assert (done.moved, others[0].moved) == (4, 6)
    assert done.is_done
    assert others[0].is_done


def test_row_sealed_meanwhile_by_an_old_process_is_moved_but_nothing_is_called_done(
    tokens: list[RapidProToken], owner: User, make_token: TokenMaker, use_keys: UseKeys
) -> None:
    def old_process() -> None:
        use_keys(ONLY_OLD)
        late = make_token(owner)
        # The lowest of all ids: the pass that runs has gone past it.
        moved = uuid.UUID(int=1)
        fields = services.sealed_fields(Secret(SECRET), row_id=moved, owner_id=owner.pk, server=SERVER)
        RapidProToken.objects.filter(pk=late.pk).update(id=moved, **fields)
        use_keys(BOTH)

    use_keys(BOTH)
    done = rotate(once(old_process))
    assert (done.moved, done.appeared, done.left) == (11, 1, 0)
    assert not done.is_done
    assert rotate().is_done


def test_old_process_that_never_stops_is_not_waited_for(
    tokens: list[RapidProToken], owner: User, use_keys: UseKeys
) -> None:
    def put_back(count: int) -> None:
        use_keys(ONLY_OLD)
        first = RapidProToken.objects.order_by("pk")[0]
        services.replace_token(first, SERVER, Secret(SECRET), WORKING)
        use_keys(BOTH)

    use_keys(BOTH)
    done = rotate(put_back)
    assert (done.appeared, done.left) == (2, 1)
    assert not done.is_done


def test_wrong_key_moves_nothing(tokens: list[RapidProToken], use_keys: UseKeys) -> None:
    before = [*RapidProToken.objects.values(), *KeyCanary.objects.values()]
    use_keys(f"k2:{K2},{WRONG}")
    with pytest.raises(KeyUnfitError, match="'k1' is not the one"):
        rotate()
    assert [*RapidProToken.objects.values(), *KeyCanary.objects.values()] == before


def test_retired_key_in_front_moves_nothing(tokens: list[RapidProToken], use_keys: UseKeys) -> None:
    use_keys(BOTH)
    rotate()
    canaries.retire("k1")
    use_keys(",".join(reversed(BOTH.split(","))))
    with pytest.raises(KeyUnfitError, match="retired"):
        rotate()
    assert stores.count_by_key() == {"k2": 10}


@pytest.mark.parametrize("kind", ["token", "second factor"])
def test_write_that_does_not_read_back_is_rolled_back(
    owner: User, make_token: TokenMaker, use_keys: UseKeys, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A database that stores something else than it was given, told by a sealing for the wrong row."""
    if kind == "token":
        make_token(owner)
        wrong = {"key_id": "k2", "sealed": "v1.k2.AAAA", "fingerprint": "0" * 64}
        monkeypatch.setattr(services, "sealed_fields", lambda *args, **kwargs: wrong)
    else:
        TOTP.activate(owner, generate_totp_secret())
        monkeypatch.setattr(stores, "resealed", lambda data: {"secret": vault.seal_factor(Secret("another"))})
    before = [*RapidProToken.objects.values(), *Authenticator.objects.values()]
    use_keys(BOTH)
    with pytest.raises(WrittenWrongError, match=f"The {kind} .* did not read back"):
        rotate()
    assert [*RapidProToken.objects.values(), *Authenticator.objects.values()] == before
