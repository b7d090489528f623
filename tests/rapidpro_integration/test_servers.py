"""Only origins that the administrator named are servers."""

from django.test import override_settings

from rapidpro_integration import servers


@override_settings(RAPIDPRO_SERVERS=["https://B.example", "https://a.example", "https://b.example:443"])
def test_allowed_servers_keep_their_order_and_stand_there_once() -> None:
    assert servers.allowed() == ("https://b.example", "https://a.example")
