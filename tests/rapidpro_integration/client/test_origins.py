"""One text, one origin: what is not in its usual spelling is nobody's server."""

import string
import time
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapidpro_integration.client.origins import OriginError, canonical_origin, parse_origin


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://TextIt.com", "https://textit.com"),
        ("HTTPS://textit.com/", "https://textit.com"),
        ("https://textit.com:443", "https://textit.com"),
        ("https://téxtit.example", "https://xn--txtit-bsa.example"),
        ("https://XN--txtit-bsa.example", "https://xn--txtit-bsa.example"),
        ("https://faß.example", "https://xn--fa-hia.example"),
        ("https://ひらがなと漢字.example", "https://xn--v8jwcf4a1ir27zn72a.example"),
        ("https://佐々木.example", "https://xn--u6jy55gilq.example"),
        ("https://صحة.example", "https://xn--ogbhx.example"),
        ("https://स्वास्थ्य.example", "https://xn--i2buqlb9a5gdb.example"),
    ],
)
def test_origins_that_anybody_may_name_are_canonical(text: str, origin: str) -> None:
    assert canonical_origin(text) == origin
    assert canonical_origin(origin) == origin


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://textit.com:8443", "https://textit.com:8443"),
        ("https://rapidpro", "https://rapidpro"),
        ("http://127.0.0.1:8001", "http://127.0.0.1:8001"),
        ("http://localhost:80", "http://localhost"),
        ("https://10.0.0.5", "https://10.0.0.5"),
        ("https://[2001:DB8::1]:8443", "https://[2001:db8::1]:8443"),
    ],
)
def test_unusual_origins_need_somebody_who_has_named_them(text: str, origin: str) -> None:
    assert canonical_origin(text, named=True) == origin
    with pytest.raises(OriginError, match="anybody may name"):
        canonical_origin(text)


NEVER = [
    "",
    "textit.com",
    "//textit.com",
    "http://textit.com",
    "ftp://textit.com",
    "https://",
    "https:///textit.com",
    "https:textit.com",
    "https:/textit.com",
    " https://textit.com",
    "https://user@textit.com",
    "https://user:pass@textit.com",
    "https://textit.com/api",
    "https://textit.com//",
    "https://textit.com?x",
    "https://textit.com#x",
    "https://textit.com\\@evil.example",
    "https://textit.com\\.evil.example",
    "https://textit.com:",
    "https://textit.com:0",
    "https://textit.com:0443",
    "https://textit.com:65536",
    "https://textit.com:99999",
    "https://textit.com:x",
    "https://textit.com:４４３",
    "https://textit.com:443:443",
    "https://tex%74it.com",
    "https://text it.com",
    "https://textit.com\n",
    "https://text\tit.com",
    "https://text\x00it.com",
    "https://textit.com.",
    "https://textit..com",
    "https://.textit.com",
    "https://-textit.com",
    "https://textit-.com",
    "https://text_it.com",
    "https://*.textit.com",
    "https://textit.com,evil.example",
    f"https://{'a' * 64}.example",
    f"https://{'a.' * 127}example",
    "http://127.0.0.1.evil.example",
    "http://127.0.0.2",
    "http://10.0.0.5",
    # IDNA: what would be mapped, what no encoder makes, what cannot be seen, what mixes scripts.
    "https://ｔｅｘｔｉｔ.com",
    "https://textit。com",
    "https://TÉXTIT.example",
    "https://text\u00adit.com",
    "https://text\u200dit.com",
    "https://text\u202eit.com",
    "https://te\u0301xtit.example",
    "https://xn--a.example",
    "https://xn--abc-.example",
    "https://xn--.example",
    "https://tеxtit.com",
    "https://xn--txtit-zwe.com",
    "https://ρaypal.example",
]


@pytest.mark.parametrize("text", NEVER)
def test_anything_else_is_refused_whoever_names_it(text: str) -> None:
    with pytest.raises(OriginError, match="address of a server") as caught:
        canonical_origin(text, named=True)
    assert caught.value.__context__ is None
    assert "pass" not in str(caught.value)


SPELLINGS_OF_AN_ADDRESS = [
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f.1",
    "0x7f000001",
    "0X7F.0.0.1",
    "0177.0.0.1",
    "017700000001",
    "127.0.0.01",
    "127.0.0.1.",
    "127.1.",
    "127.0.0.0x1",
    "127.0.0.0x",
    "127.0.0.256",
    "1.2.3.4.5",
    "textit.com.1",
    "１２７.0.0.1",
    "127。0。0。1",
    "①②⑦.0.0.1",
    "[::ffff:7f00:1]",
    "[::ffff:127.0.0.1]",
    "[::FFFF:7F00:1]",
    "[0:0:0:0:0:0:0:1]",
    "[::01]",
    "[::1%eth0]",
    "[::1].",
    "[::1",
    "::1",
    "[127.0.0.1]",
    "[v1.fe]",
]


def test_very_long_text_costs_no_time() -> None:
    began = time.monotonic()
    for text in ("https://" + "é" * 2_000_000, "https://" + "xn--é." * 500_000, "https://" + "a" * 2_000_000):
        with pytest.raises(OriginError):
            canonical_origin(text)
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("host", SPELLINGS_OF_AN_ADDRESS)
def test_unusual_spellings_of_an_address_are_refused_whoever_names_them(host: str) -> None:
    for scheme in ("https", "http"):
        with pytest.raises(OriginError):
            canonical_origin(f"{scheme}://{host}", named=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.5", "8.8.8.8", "169.254.169.254", "[::1]", "[2606:4700::1]"])
def test_addresses_in_their_usual_spelling_are_for_settings_alone(host: str) -> None:
    assert parse_origin(f"https://{host}").address is not None
    with pytest.raises(OriginError):
        canonical_origin(f"https://{host}")


HOSTS = st.text(st.sampled_from(string.ascii_letters + string.digits + "-.xn[]:@\\%/?# \n１。éеا\u200d"), max_size=40)


@given(text=st.text() | HOSTS.map("https://{}".format) | HOSTS.map("http://{}".format), named=st.booleans())
def test_any_text_is_one_origin_that_every_reader_reads_alike_or_none(text: str, named: bool) -> None:
    try:
        origin = canonical_origin(text, named=named)
    except OriginError:
        return
    parts = urlsplit(origin)
    assert canonical_origin(origin, named=named) == origin
    assert origin.isascii()
    assert origin == origin.lower()
    assert (parts.path, parts.query, parts.fragment, parts.username) == ("", "", "", None)
    assert parts.scheme == "https" or parts.hostname in {"127.0.0.1", "localhost"}
    assert named or (parts.port is None and not parts.hostname.rpartition(".")[2].isdigit())


@given(number=st.integers(0, 2**32 - 1), data=st.data())
def test_no_number_is_a_host_that_anybody_may_name(number: int, data: st.DataObject) -> None:
    parts = data.draw(st.integers(1, 4))
    octets = [number >> 24 & 255, number >> 16 & 255, number >> 8 & 255, number & 255]
    rest = int.from_bytes(bytes(octets[parts - 1 :]))
    spell = data.draw(st.sampled_from([str, hex, lambda value: f"0{value:o}"]))
    with pytest.raises(OriginError):
        canonical_origin("https://" + ".".join(spell(value) for value in [*octets[: parts - 1], rest]))
