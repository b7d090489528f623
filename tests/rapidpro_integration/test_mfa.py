"""Secrets of second factors lie sealed in the database, and allauth checks codes with them as before."""

import pytest
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, generate_totp_secret, hotp_value
from allauth.mfa.totp.internal.auth import yield_hotp_counters_from_time as counters
from django.db import connection
from django.test import RequestFactory

from accounts.models import User
from rapidpro_integration import stores, vault
from rapidpro_integration.canaries import KeyUnfitError
from rapidpro_integration.mfa import MFAAdapter
from rapidpro_integration.models import KeyCanary, RapidProToken
from rapidpro_integration.vault import LockedError, LockReason, Secret
from tests.rapidpro_integration.conftest import ONLY_NEW, WRONG, UseKeys


def code_of(secret: str) -> str:
    return format_hotp_value(hotp_value(secret, next(counters())))


def test_allauth_uses_our_adapter() -> None:
    assert isinstance(get_adapter(), MFAAdapter)


def test_authenticator_app_and_recovery_codes_are_sealed_and_work(owner: User) -> None:
    secret = generate_totp_secret()
    TOTP.activate(owner, secret)
    codes = RecoveryCodes.activate(owner).generate_codes()
    with connection.cursor() as cursor:
        cursor.execute("SELECT data FROM mfa_authenticator")
        stored = str(cursor.fetchall())
    assert secret not in stored
    assert stored.count("v1.k1.") == 2
    assert KeyCanary.objects.filter(pk="k1").exists()
    assert Authenticator.objects.get(type="totp").wrap().validate_code(code_of(secret))
    assert not Authenticator.objects.get(type="totp").wrap().validate_code("000000000")
    kept = Authenticator.objects.get(type="recovery_codes").wrap()
    assert kept.generate_codes() == codes
    assert kept.validate_code(codes[3])
    assert not Authenticator.objects.get(type="recovery_codes").wrap().validate_code(codes[3])


def test_sealed_factor_opens_as_no_token_and_a_token_as_no_factor(token: RapidProToken) -> None:
    with pytest.raises(LockedError):
        vault.open_factor(token.sealed)
    token.sealed = vault.seal_factor(Secret("seed"))
    assert vault.lock_reason(token) == LockReason.TAMPERED


@pytest.mark.parametrize("stored", ["JBSWY3DPEHPK3PXP", "", "v1.k1.", "v2.k1.AAAA", "v1.k9.AAAA", "v1.k1.AAAA"])
def test_clear_or_broken_text_is_never_taken_for_a_secret(stored: str) -> None:
    with pytest.raises(LockedError) as caught:
        get_adapter().decrypt(stored)
    assert caught.value.__context__ is None


def test_person_with_a_locked_factor_reads_a_page(
    owner: User, rf: RequestFactory, use_keys: UseKeys, caplog: pytest.LogCaptureFixture
) -> None:
    factor = TOTP.activate(owner, generate_totp_secret())
    use_keys(ONLY_NEW)
    request = rf.get("/")
    request.user = owner
    with context.request_context(request), pytest.raises(ImmediateHttpResponse) as caught:
        factor.validate_code("123456")
    assert caught.value.response.status_code == 423
    assert "Your second factor is locked" in caught.value.response.content.decode()
    assert "reason=missing_key" in caplog.text


def test_nothing_is_sealed_with_a_wrong_key(owner: User, use_keys: UseKeys) -> None:
    TOTP.activate(owner, generate_totp_secret())
    use_keys(WRONG)
    with pytest.raises(KeyUnfitError):
        RecoveryCodes.activate(owner)
    assert Authenticator.objects.count() == 1


def test_person_who_adds_a_factor_under_an_unfit_key_reads_a_page(
    owner: User, rf: RequestFactory, use_keys: UseKeys
) -> None:
    TOTP.activate(owner, generate_totp_secret())
    use_keys(WRONG)
    request = rf.get("/")
    request.user = owner
    with context.request_context(request), pytest.raises(ImmediateHttpResponse) as caught:
        RecoveryCodes.activate(owner)
    assert caught.value.response.status_code == 503
    assert caught.value.response.headers["Retry-After"] == "300"
    assert "Nothing can be saved at the moment" in caught.value.response.content.decode()


def test_keys_of_factors_are_counted_and_security_keys_have_none(owner: User, other: User) -> None:
    TOTP.activate(owner, generate_totp_secret())
    old = [get_adapter().encrypt(f"code-{number}") for number in range(3)]
    Authenticator.objects.create(user=other, type="recovery_codes", data={"migrated_codes": old})
    Authenticator.objects.create(user=other, type="webauthn", data={"name": "Key", "credential": {}})
    assert stores.count_by_key() == {"k1": 2}
    assert all(stores.SECOND_FACTORS.lock_reason(row) is None for row in stores.SECOND_FACTORS.rows())
