"""The vault keeps its promises: what it seals opens for one row, one owner and one server only."""

import base64
import copy
import json
import pickle
import secrets
import uuid
from dataclasses import replace
from types import SimpleNamespace

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from rapidpro_integration import vault
from rapidpro_integration.vault import Binding, KeyRing, KeyRingError, LockedError, LockReason, Sealed, Secret

MARKER = "4f1c0ffee0ddba11deadbeef0123456789abcdef"
ROW = uuid.UUID("5a1e7a8c-7a35-4f0e-9b5f-0e3c7c2f5d10")
BINDING = Binding(ROW, 7, "https://rapidpro.example")


def encoded_key(seed: int = 0) -> str:
    return base64.b64encode(bytes((seed + i) % 256 for i in range(32))).decode()


def ring(*ids: str) -> KeyRing:
    return KeyRing.parse(",".join(f"{key_id}:{encoded_key(int(key_id[1:]) * 40)}" for key_id in ids or ("k1",)))


# --- Sealing and opening ------------------------------------------------------------------------


@given(st.text())
def test_what_is_sealed_opens_again(text: str) -> None:
    keys = ring()
    assert keys.open(keys.seal(Secret(text), BINDING), BINDING).reveal() == text


def test_sealed_text_has_version_key_id_and_no_plaintext() -> None:
    sealed = ring("k2", "k1").seal(Secret(MARKER), BINDING)
    version, key_id, blob = sealed.text.split(".")
    assert (version, key_id, sealed.key_id) == ("v1", "k2", "k2")
    raw = base64.urlsafe_b64decode(blob + "=" * (-len(blob) % 4))
    assert len(raw) == 12 + len(MARKER) + 16
    assert MARKER.encode() not in raw


def test_same_token_is_never_sealed_alike() -> None:
    keys = ring()
    assert len({keys.seal(Secret(MARKER), BINDING).text for _ in range(100)}) == 100


@pytest.mark.parametrize(
    "change",
    [
        {"row_id": uuid.uuid4()},
        {"owner_id": 8},
        {"origin": "https://other.example"},
        {"purpose": "another-purpose"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_copied_to_another_row_owner_server_or_purpose_it_stays_shut(change: dict[str, object]) -> None:
    keys = ring()
    sealed = keys.seal(Secret(MARKER), BINDING)
    with pytest.raises(LockedError) as caught:
        keys.open(sealed, replace(BINDING, **change))  # type: ignore[arg-type]
    assert caught.value.reason == LockReason.TAMPERED


def test_parts_of_the_binding_cannot_be_shifted_into_each_other() -> None:
    one = Binding(ROW, 1, "23https://a.example").associated_data("k1")
    two = Binding(ROW, 123, "https://a.example").associated_data("k1")
    assert one != two


def test_no_flipped_or_cut_character_ever_opens() -> None:
    keys = ring()
    sealed = keys.seal(Secret(MARKER), BINDING)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.+/=é "
    variants = {
        sealed.text[:at] + other + sealed.text[at + 1 :] for at in range(len(sealed.text)) for other in alphabet
    }
    variants |= {sealed.text[:length] for length in range(len(sealed.text))} | {
        sealed.text + extra for extra in alphabet
    }
    variants.discard(sealed.text)
    for text in variants:
        with pytest.raises(LockedError):
            keys.open(Sealed(text, sealed.key_id), BINDING)


@given(st.text(), st.sampled_from(["k1", "k9", ""]))
def test_any_other_text_is_locked_and_nothing_else_is_raised(text: str, key_id: str) -> None:
    with pytest.raises(LockedError):
        ring().open(Sealed(text, key_id), BINDING)


def test_missing_key_unknown_format_and_swapped_key_id_are_told_apart() -> None:
    sealed = ring("k2", "k1").seal(Secret(MARKER), BINDING)
    for keys, row, reason in [
        (ring("k1"), sealed, LockReason.MISSING_KEY),
        (ring("k2", "k1"), Sealed(sealed.text, "k1"), LockReason.TAMPERED),
        (ring("k2"), Sealed("v2" + sealed.text[2:], "k2"), LockReason.UNKNOWN_FORMAT),
        (KeyRing.parse("k2:" + encoded_key(99)), sealed, LockReason.TAMPERED),
    ]:
        with pytest.raises(LockedError) as caught:
            keys.open(row, BINDING)
        assert caught.value.reason == reason


def test_an_old_key_still_opens_after_a_new_one_seals() -> None:
    sealed = ring("k1").seal(Secret(MARKER), BINDING)
    newer = ring("k2", "k1")
    assert newer.open(sealed, BINDING).reveal() == MARKER
    assert newer.key_ids == ("k2", "k1")


# --- Fingerprints -------------------------------------------------------------------------------


def test_fingerprint_is_the_same_only_for_the_same_token_owner_and_server() -> None:
    keys = ring()
    base = keys.fingerprint(Secret(MARKER), owner_id=1, origin="https://a.example")
    assert base == keys.fingerprint(Secret(MARKER), owner_id=1, origin="https://a.example")
    others = {
        keys.fingerprint(Secret(MARKER + "x"), owner_id=1, origin="https://a.example"),
        keys.fingerprint(Secret(MARKER), owner_id=2, origin="https://a.example"),
        keys.fingerprint(Secret(MARKER), owner_id=1, origin="https://b.example"),
        ring("k2").fingerprint(Secret(MARKER), owner_id=1, origin="https://a.example"),
        base,
    }
    assert len(others) == 5
    assert len(base) == 64


def test_fingerprints_cover_every_key_the_sealing_one_first() -> None:
    keys = ring("k2", "k1")
    prints = keys.fingerprints(Secret(MARKER), owner_id=1, origin="https://a.example")
    assert prints[0] == keys.fingerprint(Secret(MARKER), owner_id=1, origin="https://a.example")
    assert prints[1] == ring("k1").fingerprint(Secret(MARKER), owner_id=1, origin="https://a.example")


# --- Secret -------------------------------------------------------------------------------------


def test_secret_shows_itself_only_when_asked() -> None:
    secret = Secret(MARKER)
    shown = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret!r:>60}",
        f"{secret}",
        repr([secret]),
        repr({"a": secret}),
    ]
    assert not any(MARKER[:6] in text for text in shown)
    assert secret.reveal() == MARKER
    with pytest.raises(TypeError):
        vars(secret)


@pytest.mark.parametrize("leak", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps, hash])
def test_secret_refuses_to_be_copied_or_serialised(leak: object) -> None:
    with pytest.raises(TypeError) as caught:
        leak(Secret(MARKER))  # type: ignore[operator]
    assert MARKER not in str(caught.value)


def test_secrets_are_compared_by_value() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"


def test_last_four_only_of_a_token_that_can_spare_them() -> None:
    assert vault.last_four(Secret(MARKER)) == MARKER[-4:]
    assert vault.last_four(Secret("x" * 16 + "1234")) == "1234"
    assert vault.last_four(Secret("x" * 15 + "1234")) == ""


# --- The keys in the settings -------------------------------------------------------------------

SHORT = base64.b64encode(bytes(range(31))).decode()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "missing"),
        (" , ", "missing"),
        (encoded_key(), "entry 1"),
        (f"K1:{encoded_key()}", "entry 1"),
        (f"k.1:{encoded_key()}", "entry 1"),
        (f"k1:{encoded_key()},k1:{encoded_key(3)}", "twice"),
        (f"k1:{encoded_key()},k2:{encoded_key()}", "another id"),
        ("k1:not base64!", "base64"),
        (f"k1:{SHORT}", "31 bytes"),
        (f"k1:{base64.b64encode(bytes(32)).decode()}", "not random"),
    ],
)
def test_unusable_keys_are_named_without_being_shown(text: str, words: str) -> None:
    with pytest.raises(KeyRingError) as caught:
        KeyRing.parse(text)
    message = str(caught.value)
    assert message.startswith("TOKEN_KEYS")
    assert words in message
    assert not any(part and part in message for part in (encoded_key(), encoded_key(3), SHORT, "not base64!"))


def test_key_that_equals_the_secret_key_is_refused() -> None:
    key = encoded_key()
    for forbidden in (key, base64.b64decode(key).decode("latin-1")):
        with pytest.raises(KeyRingError, match="SECRET_KEY"):
            KeyRing.parse(f"k1:{key}", forbidden=forbidden)


def test_both_base64_alphabets_are_read() -> None:
    key = b"\xfb\xff" + secrets.token_bytes(30)
    standard, urlsafe = base64.b64encode(key).decode(), base64.urlsafe_b64encode(key).decode()
    sealed = KeyRing.parse(f"k1:{standard}").seal(Secret(MARKER), BINDING)
    assert KeyRing.parse(f"k1:{urlsafe}").open(sealed, BINDING).reveal() == MARKER


def test_repr_of_a_ring_names_ids_only() -> None:
    assert repr(ring("k2", "k1")) == "KeyRing(k2, k1)"


def test_keys_come_from_a_file(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("keys") / "keys"
    file.write_text(f"k7:{encoded_key(5)}\nk6:{encoded_key(6)}\n")
    with override_settings(TOKEN_KEYS="", TOKEN_KEYS_FILE=str(file)):
        assert vault.ring().key_ids == ("k7", "k6")
    with (
        override_settings(TOKEN_KEYS="", TOKEN_KEYS_FILE=str(file) + ".gone"),
        pytest.raises(KeyRingError, match="TOKEN_KEYS_FILE"),
    ):
        vault.ring()


def test_a_row_opens_through_the_sites_own_ring() -> None:
    sealed = vault.seal_token(Secret(MARKER), row_id=ROW, owner_id=1, origin="https://a.example")
    row = SimpleNamespace(pk=ROW, owner_id=1, server="https://a.example", sealed=sealed.text, key_id=sealed.key_id)
    assert vault.open_token(row).reveal() == MARKER
    assert vault.lock_reason(row) is None
    row.owner_id = 2
    assert vault.lock_reason(row) == LockReason.TAMPERED
