"""Browsers that a person has signed in with: told apart by a long-lived signed cookie, named for people to recognise.

The cookie holds one keyed digest for each person who has signed in with this browser: it names nobody, and nobody can
make one. Whoever deletes their cookies is a new device again; so is another browser on the same computer.
"""

import re

from django.conf import settings
from django.core.signing import BadSignature, get_cookie_signer
from django.http import HttpRequest, HttpResponseBase
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _

from accounts.models import User

_SALT = "accounts.devices"
# Browsers keep no cookie longer than 400 days. Each sign-in starts them anew.
_AGE_S = 400 * 24 * 3600
_PEOPLE = 20

_BROWSERS = [
    ("Edge", r"\bEdg(?:e|A|iOS)?/"),
    ("Opera", r"\bOPR/"),
    ("Samsung Internet", r"\bSamsungBrowser/"),
    ("Firefox", r"\b(?:Firefox|FxiOS)/"),
    ("Chrome", r"(?:Chrome|CriOS|Chromium)/"),
    ("Safari", r"\bSafari/"),
]
_SYSTEMS = [
    ("Android", r"\bAndroid\b"),
    ("iPhone", r"\biPhone\b"),
    ("iPad", r"\biPad\b"),
    ("Windows", r"\bWindows\b"),
    ("macOS", r"\bMac OS X\b"),
    ("ChromeOS", r"\bCrOS\b"),
    ("Linux", r"\bLinux\b"),
]


def device_name(user_agent: str) -> str:
    """Return a browser and its system in words, as "Firefox, Linux"; browsers of no known name say so."""
    names = [next((name for name, sign in signs if re.search(sign, user_agent)), "") for signs in (_BROWSERS, _SYSTEMS)]
    return ", ".join(name for name in names if name) or _("Unknown browser")


def _digest(user: User) -> str:
    return salted_hmac(_SALT, str(user.pk), algorithm="sha256").hexdigest()[:32]


def is_known(request: HttpRequest, user: User) -> bool:
    """Return whether the person has signed in with this browser before."""
    return _digest(user) in _digests(request)


def _digests(request: HttpRequest) -> list[str]:
    try:
        signed = request.COOKIES[settings.DEVICE_COOKIE_NAME]
        return get_cookie_signer(salt=_SALT).unsign(signed, max_age=_AGE_S).split(".")
    except (KeyError, BadSignature):
        return []


def remember(request: HttpRequest, response: HttpResponseBase, user: User) -> None:
    """Let this browser be known as one of the person's from now on."""
    others = [digest for digest in _digests(request) if digest != _digest(user)]
    response.set_cookie(
        settings.DEVICE_COOKIE_NAME,
        get_cookie_signer(salt=_SALT).sign(".".join([_digest(user), *others][:_PEOPLE])),
        max_age=_AGE_S,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
