"""What somebody is answered who is not signed in, or not any more: the way to sign in, and back to where they were."""

from typing import Any
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _

_SAFE = frozenset({"GET", "HEAD"})


def is_part(request: HttpRequest) -> bool:
    """Return whether htmx asks, which puts what it gets into the page that somebody has open."""
    return request.headers.get("HX-Request") == "true"


def to_sign_in(request: HttpRequest, login_url: str | None = None) -> HttpResponse:
    """Return the way to the sign-in, as a whole page for htmx too: a form for the password belongs into no table.

    What was posted is dropped, never kept, and the person is told; afterwards they are where they sent it from. What
    was typed into filters stands in the address, and so they find it again.
    """
    following = request.get_full_path()
    if request.method not in _SAFE:
        messages.warning(request, _("Nothing was changed: you are not signed in any more. Sign in, then try it again."))
        following = _page_before(request) or resolve_url(settings.LOGIN_REDIRECT_URL)
    address = f"{resolve_url(login_url or settings.LOGIN_URL)}?{urlencode({REDIRECT_FIELD_NAME: following}, safe='/')}"
    if is_part(request):
        return HttpResponse(status=204, headers={"HX-Redirect": address})
    return HttpResponseRedirect(address)


def _page_before(request: HttpRequest) -> str:
    """Return the page of ours from which the request was sent: what took the post has perhaps no page of its own."""
    address = request.headers.get("HX-Current-URL") or request.headers.get("Referer", "")
    if not url_has_allowed_host_and_scheme(address, {request.get_host()}, require_https=request.is_secure()):
        return ""
    parts = urlsplit(address)
    return parts.path + (f"?{parts.query}" if parts.query else "") if parts.netloc else ""


class SignInRequired(LoginRequiredMiddleware):
    """Django's guard of every view that is not open to strangers, with our answer to those whom it stops."""

    def handle_no_permission(self, request: HttpRequest, view_func: Any) -> HttpResponse:  # type: ignore[override]
        """Return the way to the sign-in, which is another one for the admin."""
        return to_sign_in(request, self.get_login_url(view_func))
