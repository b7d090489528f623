"""The address of a server, parsed once: one canonical origin, or nothing.

What is not in its usual spelling is refused instead of mended: mending is where two programs come to read one text as
two hosts. So IDNA runs without the mappings of UTS 46: full-width digits, ideographic stops and capitals that are not
ASCII are errors, and the canonical form of a name is its A-label, which cannot look like another name.
Source: docs/adr/0009-exit.md.
"""

import re
import string
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address

import idna

_LOOPBACK = {"127.0.0.1", "localhost"}
_DEFAULT_PORTS = {"https": 443, "http": 80}
_SMALL = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_FORM = re.compile(r"(https?)://(\[[0-9a-f:.]+\]|[^][:/]+)(?::([1-9][0-9]{0,4}))?/?", re.ASCII)
_NEVER_IN_A_HOST = frozenset(" \\%@?#")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
# What the C library would read as a number, and so the whole host as an IPv4 address: 127.1, 0x7f000001, 0177.0.0.1.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_MAX_HOST_LENGTH = 253
# Longer than any origin; what is longer would cost time to encode.
_MAX_LENGTH = 300
# Scripts that one language writes together within one word.
_WRITTEN_TOGETHER = (
    {"CJK", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"},
    {"CJK", "IDEOGRAPHIC", "HANGUL"},
    {"CJK", "IDEOGRAPHIC", "BOPOMOFO"},
    {"ARABIC", "ARABIC-INDIC", "EXTENDED"},
)


class OriginError(ValueError):
    """A text is not the origin of a server that a token may be sent to. The message never repeats the text."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port of a server; `str()` is its canonical form ("https://textit.com").

    `host` is a name in A-labels, or an IP literal without brackets, which then is `address` too.
    """

    scheme: str
    host: str
    port: int
    address: IPv4Address | IPv6Address | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if isinstance(self.address, IPv6Address) else self.host
        port = "" if self.port == _DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}"

    @property
    def is_ordinary(self) -> bool:
        """Whether the origin is what anybody may name: https, a full name and no IP literal, port 443."""
        return self.scheme == "https" and self.address is None and self.port == 443 and "." in self.host


def parse_origin(text: str) -> Origin:
    """Return the one origin that `text` spells: https, or http for loopback; perhaps an IP literal, perhaps a port.

    IP literals are taken in their usual spelling alone, and never v4-mapped. Raises OriginError.
    """
    problem = ""
    try:
        return _parsed(text)
    except (_Malformed, idna.IDNAError, AddressValueError) as error:
        problem = str(error) if isinstance(error, _Malformed) else "its host is no name that can be used"
    raise OriginError(f"This is not the address of a server ({problem}): use https://host or https://host:port.")


@lru_cache(maxsize=1024)
def canonical_origin(text: str, *, named: bool = False) -> str:
    """Return the canonical form of `text`: what all comparisons are made with.

    `named` says that whoever runs the site or the script has named this very origin: only then may it be on http for
    loopback, an IP literal, a name without a dot, or on another port than 443. Raises OriginError.
    """
    origin = parse_origin(text)
    if not named and not origin.is_ordinary:
        raise OriginError("This is not the address of a server that anybody may name: use https://host, on port 443.")
    return str(origin)


def is_canonical(text: str) -> bool:
    """Return whether `text` is an origin in its canonical form, whoever has named it."""
    try:
        return canonical_origin(text, named=True) == text
    except OriginError:
        return False


class _Malformed(Exception):
    """Says which rule a text breaks."""


def _parsed(text: str) -> Origin:
    if len(text) > _MAX_LENGTH:
        raise _Malformed("it is too long")
    if not text.isprintable() or _NEVER_IN_A_HOST.intersection(text):
        raise _Malformed("it has signs that no host has")
    form = _FORM.fullmatch(text.translate(_SMALL))
    if form is None:
        raise _Malformed("it needs https:// and a host, and nothing behind the port")
    scheme, spelled, port = form.groups()
    host, address = _host(spelled)
    if scheme == "http" and host not in _LOOPBACK:
        raise _Malformed("it needs https://")
    number = int(port or _DEFAULT_PORTS[scheme])
    if number > 65535:
        raise _Malformed("there is no such port")
    return Origin(scheme, host, number, address)


def _host(spelled: str) -> tuple[str, IPv4Address | IPv6Address | None]:
    if spelled.startswith("["):
        v6 = IPv6Address(spelled[1:-1])
        if str(v6) != spelled[1:-1] or v6.ipv4_mapped is not None:
            raise _Malformed("its IP address is not in its usual spelling")
        return str(v6), v6
    labels = spelled.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        v4 = IPv4Address(spelled)  # four decimal numbers without leading zeros, or an error
        return str(v4), v4
    host = ".".join(_a_label(label) for label in labels)
    if len(host) > _MAX_HOST_LENGTH:
        raise _Malformed("its host is too long")
    return host, None


def _a_label(label: str) -> str:
    """Return the label as DNS carries it. Raises _Malformed or IDNAError, also where nothing encodes to the A-label."""
    if label.isascii() and not label.startswith("xn--"):
        if not _LABEL.fullmatch(label):
            raise _Malformed("its host is no name that can be used")
        return label
    unicode_label = idna.ulabel(label) if label.isascii() else label
    a_label = idna.alabel(unicode_label).decode("ascii")
    if not _of_one_script(unicode_label):
        raise _Malformed("a part of its host mixes scripts")
    return a_label


def _of_one_script(label: str) -> bool:
    """Return whether a reader of one language would write the label; signs common to all scripts do not count."""
    scripts = {
        unicodedata.name(character, "UNKNOWN").split()[0]
        for character in label
        if not (character.isascii() and not character.isalpha()) and unicodedata.category(character) != "Mn"
    }
    return len(scripts) <= 1 or any(scripts <= together for together in _WRITTEN_TOGETHER)
