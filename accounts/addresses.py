"""Where a request comes from."""

import ipaddress

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str | None:
    """Return the IP address of whoever sent the request, in its one spelling; None where the server knows none.

    Each trusted proxy adds the address that it saw at the end of X-Forwarded-For. What stands before those was written
    by the client and is worth nothing; a header that is too short did not come through all the proxies.
    """
    count: int = settings.TRUSTED_PROXY_COUNT
    header = request.META.get("HTTP_X_FORWARDED_FOR", "")
    seen = header.split(",") if header else []
    given = seen[-count] if 0 < count <= len(seen) else request.META.get("REMOTE_ADDR", "")
    return _address(given.strip())


def _address(text: str) -> str | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
