"""A sealed token that was changed in any way stays shut: never the plaintext, never garbage, never a page with 500."""

import base64
import uuid
from collections.abc import Iterator

import pytest
import respx
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from rapidpro_integration import vault
from rapidpro_integration.models import RapidProToken
from rapidpro_integration.vault import Binding, KeyRing, LockedError, LockReason, Sealed, Secret
from tests.conftest import SECRET
from tests.rapidpro_integration.conftest import BOTH, K3

RING = KeyRing.parse(BOTH)
BINDING = Binding(uuid.UUID("5a1e7a8c-7a35-4f0e-9b5f-0e3c7c2f5d10"), 7, "https://rapidpro.example")
SEALED = RING.seal(Secret(SECRET), BINDING)

bindings = st.builds(
    Binding,
    row_id=st.uuids(),
    owner_id=st.integers(0, 2**63 - 1),
    origin=st.text(max_size=40),
    purpose=st.sampled_from(["rapidpro-token", "second-factor"]),
)


def blob_of(sealed: Sealed) -> bytes:
    encoded = sealed.text.rpartition(".")[2]
    return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))


def with_blob(blob: bytes, *, head: str = "v1.k2.", key_id: str = "k2") -> Sealed:
    return Sealed(head + base64.urlsafe_b64encode(blob).rstrip(b"=").decode(), key_id)


def reason_of(sealed: Sealed, binding: Binding = BINDING) -> LockReason:
    """Return why it stays shut; that it opens, or breaks in another way, fails the test."""
    with pytest.raises(LockedError) as caught:
        RING.open(sealed, binding)
    assert SECRET not in repr(caught.value)
    assert caught.value.__context__ is None
    return caught.value.reason


def test_every_byte_changed_to_every_other_value_stays_shut() -> None:
    blob, tried = blob_of(SEALED), 0
    assert with_blob(blob) == SEALED
    for at in range(len(blob)):
        for change in range(1, 256):
            assert reason_of(with_blob(blob[:at] + bytes([blob[at] ^ change]) + blob[at + 1 :])) == LockReason.TAMPERED
            tried += 1
    assert tried == len(blob) * 255 == (12 + 40 + 16) * 255


def test_every_truncation_extension_and_rotation_of_the_bytes_stays_shut() -> None:
    blob = blob_of(SEALED)
    shorter = [blob[:length] for length in range(len(blob))] + [blob[start:] for start in range(1, len(blob))]
    longer = [blob + bytes([extra]) for extra in range(256)] + [bytes([extra]) + blob for extra in range(256)]
    turned = [blob[at:] + blob[:at] for at in range(1, len(blob))]
    for other in [*shorter, *longer, *turned, blob + blob]:
        reason_of(with_blob(other))


@pytest.mark.parametrize("version", ["", "v", "v0", "v2", "v11", "V1", " v1", "v1 ", "ｖ1", "\0"])
def test_unknown_version_is_an_unknown_format(version: str) -> None:
    assert reason_of(Sealed(version + SEALED.text[2:], "k2")) == LockReason.UNKNOWN_FORMAT


@pytest.mark.parametrize("key_id", ["", "k", "k1", "k3", "K2", "k2 ", " k2", "k2\n", "../k2", "k" * 1000, "ｋ2"])
def test_unknown_or_exchanged_key_id_stays_shut_in_the_text_the_column_and_both(key_id: str) -> None:
    text = f"v1.{key_id}.{SEALED.text.rpartition('.')[2]}"
    for sealed in (Sealed(text, "k2"), Sealed(SEALED.text, key_id), Sealed(text, key_id)):
        reason_of(sealed)


def test_another_key_under_the_same_id_does_not_open_it() -> None:
    other = KeyRing.parse(f"k2:{K3}")
    with pytest.raises(LockedError, match="tampered"):
        other.open(SEALED, BINDING)


@given(st.text(max_size=200), bindings)
def test_anything_sealed_opens_for_its_binding(text: str, binding: Binding) -> None:
    assert RING.open(RING.seal(Secret(text), binding), binding).reveal() == text


@given(st.text(max_size=200), bindings, bindings)
def test_anything_sealed_stays_shut_for_another_binding(text: str, binding: Binding, other: Binding) -> None:
    if binding != other:
        reason_of(RING.seal(Secret(text), binding), other)


@given(st.binary(max_size=200))
def test_no_invented_bytes_open(blob: bytes) -> None:
    reason_of(with_blob(blob))


@given(st.data())
def test_no_spliced_pair_opens(data: st.DataObject) -> None:
    """Put a piece of one sealed token into another of the same row: the tag covers all of it."""
    one, other = blob_of(SEALED), blob_of(RING.seal(Secret(SECRET), BINDING))
    start = data.draw(st.integers(0, len(one) - 1))
    end = data.draw(st.integers(start + 1, len(one)))
    spliced = one[:start] + other[start:end] + one[end:]
    if spliced not in {one, other}:
        assert reason_of(with_blob(spliced)) == LockReason.TAMPERED


# --- In the pages -------------------------------------------------------------------------------


def broken_texts(token: RapidProToken) -> Iterator[str]:
    """Yield texts that a column with the constraint `v1.…` can hold."""
    text = token.sealed
    for at in range(3, len(text)):
        yield text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
    for length in (3, 4, 6, 7, 20, len(text) - 1):
        yield text[:length]
    yield from (
        text + "=",
        text + text,
        "v1.k9." + text[6:],
        "v1..",
        "v1.k1.é",
        "v1.k1.\n",
        "v1.k1.💥",
        "v1." + "." * 90,
    )


def test_no_broken_row_breaks_a_page_or_lets_a_request_out(
    owner_client: Client, token: RapidProToken, respx_mock: respx.MockRouter
) -> None:
    tried = 0
    for text in broken_texts(token):
        RapidProToken.objects.filter(pk=token.pk).update(sealed=text)
        token.refresh_from_db()
        assert vault.lock_reason(token) is not None, text
        for path in ("/tokens/", f"/tokens/{token.pk}/"):
            page = owner_client.get(path)
            assert page.status_code < 500
            assert "Locked" in page.content.decode() or "ask your administrator" in page.content.decode(), text
            assert SECRET not in page.content.decode()
        tried += 1
    assert owner_client.get(f"/tokens/{token.pk}/flows/").status_code == 423
    assert not respx_mock.calls
    assert tried > 90
