"""What every page may print."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest


def site(request: HttpRequest) -> dict[str, Any]:
    """Return the site's name, whether a stranger can sign up, and whether this is the local demo."""
    return {
        "site_name": settings.SITE_NAME,
        "signup_open": settings.SIGNUP_OPEN,
        "is_demo": bool(settings.SANDBOX_ORIGIN),
    }
