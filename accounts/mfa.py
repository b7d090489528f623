"""The second factor: what this site decides that allauth leaves open."""

from typing import Any

from allauth.core import context
from allauth.mfa import app_settings
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base.forms import AuthenticateForm, BaseAuthenticateForm, ReauthenticateForm
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.totp.internal.auth import SECRET_SESSION_KEY
from allauth.mfa.utils import decrypt, encrypt
from allauth.mfa.webauthn.forms import AddWebAuthnForm
from django.core.cache import cache
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _

from accounts.models import User


class ActivateAppForm(ActivateTOTPForm):  # type: ignore[misc]  # allauth has no types
    """allauth's own, but between two requests the app's new key waits in the session as it will stand in the row.

    allauth would leave it there in clear, whatever the adapter does to the row.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        session = context.request.session
        waiting = session.pop(SECRET_SESSION_KEY, None)
        super().__init__(*args, **kwargs)
        if self.is_bound and waiting:
            self.secret = decrypt(waiting)
        session[SECRET_SESSION_KEY] = encrypt(self.secret)
        self.fields["code"].label = _("Code")
        self.fields["code"].widget.attrs.update(inputmode="numeric", placeholder="")


class AddKeyForm(AddWebAuthnForm):  # type: ignore[misc]  # allauth has no types
    """allauth's own, in our words."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        passwordless = self.fields["passwordless"]
        passwordless.label = _("Make it a passkey: sign in with it alone, without a password")
        passwordless.help_text = _("The key must then ask for your finger, your face or a PIN each time.")


class _OnceForm(BaseAuthenticateForm):  # type: ignore[misc]  # allauth has no types
    """A code that counts once for as long as it counts at all: allauth remembers a used one for a single period."""

    def clean_code(self) -> str:
        """Return the code. Raises ValidationError for a wrong or a used one."""
        code = str(super().clean_code())
        lifetime_s = (2 * app_settings.TOTP_TOLERANCE + 1) * app_settings.TOTP_PERIOD
        used = f"accounts.code:{self.user.pk}:{salted_hmac('accounts.mfa', code, algorithm='sha256').hexdigest()}"
        if self.authenticator.type == Authenticator.Type.TOTP and not cache.add(used, 1, lifetime_s):
            raise get_adapter().validation_error("incorrect_code")
        return code


class SecondStepForm(_OnceForm, AuthenticateForm):  # type: ignore[misc]  # allauth has no types
    """The second step of a sign-in."""


class ProofByCodeForm(_OnceForm, ReauthenticateForm):  # type: ignore[misc]  # allauth has no types
    """A fresh proof by a code."""


async def ahas_second_factor(user: User) -> bool:
    """Return whether signing in takes more than the password; recovery codes alone do not count."""
    return bool(
        await Authenticator.objects.filter(user_id=user.pk).exclude(type=Authenticator.Type.RECOVERY_CODES).aexists()
    )
