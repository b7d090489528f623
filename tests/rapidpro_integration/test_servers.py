"""Only origins that the administrator named are servers."""

import pytest
from django.test import override_settings

from rapidpro_integration import servers


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://TextIt.com", "https://textit.com"),
        ("https://textit.com/", "https://textit.com"),
        ("https://textit.com:443", "https://textit.com"),
        ("https://textit.com:8443", "https://textit.com:8443"),
        ("http://127.0.0.1:8001", "http://127.0.0.1:8001"),
        ("http://localhost:80", "http://localhost"),
    ],
)
def test_origins_are_canonical(text: str, origin: str) -> None:
    assert servers.canonical_origin(text) == origin


@pytest.mark.parametrize(
    "text",
    [
        "",
        "textit.com",
        "http://textit.com",
        "ftp://textit.com",
        "https://",
        "https://user@textit.com",
        "https://textit.com/api",
        "https://textit.com?x",
        "https://textit.com#x",
        "https://textit.com\\@evil.example",
        "https://textit.com:99999",
        "https://textit.com:x",
        "https://tex%74it.com",
        "https://téxtit.com",
        "https://text it.com",
        "https://textit.com\n",
        "http://127.0.0.1.evil.example",
        "https://[::1",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(servers.OriginError, match="address of a server"):
        servers.canonical_origin(text)


@override_settings(RAPIDPRO_SERVERS=["https://B.example", "https://a.example", "https://b.example:443"])
def test_allowed_servers_keep_their_order_and_stand_there_once() -> None:
    assert servers.allowed() == ("https://b.example", "https://a.example")
