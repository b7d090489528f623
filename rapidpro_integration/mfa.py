"""The secrets of second factors (allauth's MFA), sealed by the vault."""

import logging

from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from django.shortcuts import render
from django.utils.translation import gettext as _

from rapidpro_integration import canaries, vault
from rapidpro_integration.canaries import KeyUnfitError
from rapidpro_integration.problems import keys_unfit_response
from rapidpro_integration.vault import LockedError, Secret

logger = logging.getLogger(__name__)


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth has no types
    """Keeps the secrets of authenticator apps and the seeds of recovery codes sealed in the database."""

    def encrypt(self, text: str) -> str:
        """Return `text` sealed; a key that may not seal ends the request with a page, or is raised without one."""
        try:
            with canaries.sealing():
                return vault.seal_factor(Secret(text))
        except KeyUnfitError as error:
            if context.request is None:
                raise
            raise ImmediateHttpResponse(keys_unfit_response(context.request, error).render()) from None

    def decrypt(self, encrypted_text: str) -> str:
        """Return the secret; one that does not open ends the request with a page, or is a LockedError without one."""
        try:
            return vault.open_factor(encrypted_text).reveal()
        except LockedError as error:
            reason = error.reason
        logger.error("second factor locked reason=%s", reason)
        if context.request is None:
            raise LockedError(reason)
        text = {
            "title": _("Your second factor is locked"),
            "advice": _("Its saved secret does not open, so no code can be checked. Tell your administrator."),
        }
        raise ImmediateHttpResponse(render(context.request, "error.html", text, status=423))
