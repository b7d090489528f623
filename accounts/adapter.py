"""What this site decides about accounts that allauth leaves open."""

import logging
import unicodedata
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context as allauth_context
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.sites.shortcuts import get_current_site
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url
from django.utils import timezone, translation
from django.utils.translation import gettext_lazy as _

from accounts import devices, reauthentication
from accounts.addresses import client_address
from accounts.hashers import HashingBusy
from accounts.models import User

logger = logging.getLogger(__name__)


def _normal(username: str) -> str:
    # As Django's own manager and forms do, and allauth does not: else ａｄｍｉｎ is another name than admin.
    return unicodedata.normalize("NFKC", username)


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Sign-up by setting; user names without signs that cannot be seen; mails in the site's name."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Return whether a stranger may make an account."""
        return bool(settings.SIGNUP_OPEN)

    def clean_username(self, username: str, shallow: bool = False) -> str:
        """Return the user name in its normal form. Raises ValidationError for control and direction characters."""
        if any(unicodedata.category(character) in {"Cc", "Cf"} for character in username):
            raise ValidationError(_("Remove the invisible characters."), code="control")
        return str(super().clean_username(_normal(username), shallow))

    def authenticate(self, request: HttpRequest, **credentials: Any) -> AbstractBaseUser | None:
        """Return the person whose name, in its normal form, and password these are. Raises HashingBusy."""
        if username := credentials.get("username"):
            credentials["username"] = _normal(username)
        try:
            user: AbstractBaseUser | None = super().authenticate(request, **credentials)
        except HashingBusy:
            # Nothing was tried: it must not count as one of the few wrong passwords of this name.
            self._rollback_login_failed_rl_usage()
            raise
        return user

    def get_client_ip(self, request: HttpRequest) -> str:
        """Return where the request comes from. Raises PermissionDenied where the server knows no address."""
        address = client_address(request)
        if address is None:
            raise PermissionDenied("The address of the client is not known.")
        return address

    def post_login(self, request: HttpRequest, user: User, **facts: Any) -> HttpResponse:
        """Answer a sign-in; one from a browser that is new to the person is told to them by mail."""
        response: HttpResponse = super().post_login(request, user, **facts)
        if not facts["signup"] and not devices.is_known(request, user):
            self._tell_new_device(request, user)
        devices.remember(request, response, user)
        return response

    def _tell_new_device(self, request: HttpRequest, user: User) -> None:
        with timezone.override(user.zone), translation.override(user.language or translation.get_language()):
            context = {
                "device": devices.device_name(request.META.get("HTTP_USER_AGENT", "")),
                "moment": timezone.localtime(),
                "zone": user.time_zone,
                "sessions_url": request.build_absolute_uri(resolve_url("accounts:session-list")),
                "password_url": request.build_absolute_uri(resolve_url("account_reset_password")),
            }
            try:
                self.send_notification_mail("account/email/new_device", user, context, email=user.email)
            except OSError:
                # A mail server that is down must not lock everybody out.
                logger.exception("The mail about a sign-in from a new device was not sent (user %s).", user.pk)

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Return whether a fresh proof is needed first: to allauth itself, a sign-in a moment ago would be none."""
        return super().is_reauthentication_required(app=app, **kwargs) and not reauthentication.is_recent(self.request)

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        """Return the profile: a second, empty form would look as if nothing had happened."""
        return resolve_url("accounts:profile")

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send one of allauth's mails, signed with the site's name instead of the host's."""
        site = get_current_site(allauth_context.request)
        site.name = settings.SITE_NAME
        super().send_mail(template_prefix, email, {**context, "current_site": site})
