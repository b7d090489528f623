"""The second factor: what this site decides that allauth leaves open."""

from typing import Any

from allauth.core import context
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.totp.internal.auth import SECRET_SESSION_KEY
from allauth.mfa.utils import decrypt, encrypt
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


async def ahas_second_factor(user: User) -> bool:
    """Return whether signing in takes more than the password; recovery codes alone do not count."""
    return bool(
        await Authenticator.objects.filter(user_id=user.pk).exclude(type=Authenticator.Type.RECOVERY_CODES).aexists()
    )
