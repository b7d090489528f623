"""What a server can do wrong, and what a person is told then.

The head of an answer that cannot be read is no answer (unreachable); one that breaks off behind its head is malformed.
"""

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from rapidpro_integration.client.errors import Kind
from rapidpro_integration.problems import PROBLEMS, Problem
from tests.faults import server as faulty
from tests.faults.server import Behaviour, drip, flow, greet, once, pour, redirect, reset_after, stall_after
from tests.rapidpro_integration.client.loopback import always, answer, page

# For behaviours without an end: how long the client is given, so how long the case takes.
PATIENCE_S = 1.0
# The title of the page of flows: what tests/conftest.py calls the workspace of a saved token.
WORKSPACE = "Nutrition"
GOOD = page(flow("Good"))
_MEGABYTE = 1024 * 1024
_PIECE = b" " * 65_536
_HEAD = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A behaviour, and what comes of it: one of `kinds`, or the flows `names` where `works`.

    `deadline_s` is what the operation is given, and `seconds` what it may take at most. `heads` is the number of
    requests that the server may see at most, if that matters; `certificate` makes it speak TLS.
    """

    name: str
    behave: Behaviour | None
    kinds: frozenset[Kind] = frozenset()
    works: bool = False
    names: tuple[str, ...] = ("Good",)
    deadline_s: float = 6.0
    scheme: str = "http"
    certificate: str = ""
    heads: int | None = None
    problems: tuple[Problem, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "problems", tuple(PROBLEMS[kind] for kind in sorted(self.kinds)))

    @property
    def seconds(self) -> float:
        """The seconds that the case may take on a busy machine."""
        return self.deadline_s + 3

    @property
    def pages(self) -> set[tuple[int, str]]:
        """What a person may see: HTTP status, and title."""
        pages = {(problem.status, str(problem.title)) for problem in self.problems}
        return pages | {(200, WORKSPACE)} if self.works else pages


def _case(name: str, behave: Behaviour | None, *kinds: Kind, **more: object) -> Case:
    return Case(name=name, behave=behave, kinds=frozenset(kinds), **more)  # type: ignore[arg-type]


def _works(name: str, behave: Behaviour | None, *kinds: Kind, **more: object) -> Case:
    return Case(name=name, behave=behave, kinds=frozenset(kinds), works=True, **more)  # type: ignore[arg-type]


def _raw(headers: str, body: bytes = GOOD, status: str = "200 OK", version: str = "1.1") -> bytes:
    """Return an answer with exactly these headers, each ended by CRLF."""
    return f"HTTP/{version} {status}\r\n{headers}\r\n".encode() + body


def _encoded(body: bytes, encoding: str) -> Behaviour:
    return always(answer(body, headers=f"Content-Encoding: {encoding}\r\n"))


@lru_cache(maxsize=1)
def _bomb() -> bytes:
    """Return 250 kB of gzip that unpack to 256 MB."""
    packer, zeros = zlib.compressobj(9, wbits=31), bytes(_MEGABYTE)
    return b"".join(packer.compress(zeros) for _ in range(256)) + packer.flush()


def _chunked(body: bytes) -> bytes:
    return f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"


# --- The connection -----------------------------------------------------------------------------


def _connections() -> Iterator[Case]:
    yield _case("refused", None, Kind.UNREACHABLE)
    yield _case("reset before any byte", reset_after(b""), Kind.UNREACHABLE)
    yield _case("reset in the head", reset_after(_HEAD.encode()[:24]), Kind.UNREACHABLE)
    yield _case("closed before any byte", once(b""), Kind.UNREACHABLE)
    yield _case("closed in the body", once(_raw("Content-Length: 900\r\n")), Kind.MALFORMED)
    yield _case("silent", stall_after(b""), Kind.TIMED_OUT, deadline_s=PATIENCE_S)
    yield _case("dripping head", drip(_HEAD.encode() + b"X-Drip: ", b"a"), Kind.TIMED_OUT, deadline_s=PATIENCE_S)
    long = _raw("Content-Length: 90000\r\n", b"")
    yield _case("dripping body", drip(long, b" "), Kind.TIMED_OUT, deadline_s=PATIENCE_S)
    yield _case("endless body that stalls", stall_after(long + b"{"), Kind.TIMED_OUT, deadline_s=PATIENCE_S)
    yield _works("kept connection closed silently", faulty.close_after_each, names=("One", "Two"))
    yield _works("kept connection reset by the next request", faulty.reset_on_second, names=("One", "Two"))
    yield _works(
        "two answers to one request", faulty.answer_twice, Kind.UNREACHABLE, Kind.MALFORMED, names=("One", "Two")
    )


# --- Size and encoding --------------------------------------------------------------------------


def _sizes() -> Iterator[Case]:
    total = 500 * _MEGABYTE
    piece = f"{len(_PIECE):x}\r\n".encode() + _PIECE + b"\r\n"
    sized, chunked = f"{_HEAD}Content-Length: {total}\r\n\r\n", f"{_HEAD}Transfer-Encoding: chunked\r\n\r\n"
    yield _case("500 MB with its length", pour(sized.encode(), _PIECE, total=total), Kind.TOO_LARGE, heads=1)
    yield _case("500 MB without", pour(f"{_HEAD}\r\n".encode(), _PIECE, total=total), Kind.TOO_LARGE, heads=1)
    yield _case("500 MB in chunks", pour(chunked.encode(), piece, total=total), Kind.TOO_LARGE, heads=1)
    yield _case("gzip bomb", _encoded(_bomb(), "gzip"), Kind.TOO_LARGE, heads=1)
    yield _case("gzip bomb in gzip", _encoded(gzip.compress(_bomb()), "gzip, gzip"), Kind.MALFORMED)
    yield _case("gzip bomb in gzip, undeclared", _encoded(gzip.compress(_bomb()), "gzip"), Kind.MALFORMED)
    packed = gzip.compress(GOOD)
    yield _works("gzip", _encoded(packed, "gzip"))
    yield _case("gzip in gzip", _encoded(gzip.compress(packed), "gzip, gzip"), Kind.MALFORMED)
    yield _case("gzip in gzip, undeclared", _encoded(gzip.compress(packed), "gzip"), Kind.MALFORMED)
    for encoding in ("br", "deflate", "zstd", "rot13", "gzip, br"):
        body = zlib.compress(GOOD) if encoding == "deflate" else packed if "gzip" in encoding else GOOD
        yield _case(f"encoding {encoding}", _encoded(body, encoding), Kind.MALFORMED)
    yield _case("gzip that is none", _encoded(GOOD, "gzip"), Kind.MALFORMED)
    damaged = packed[:20] + bytes([packed[20] ^ 0xFF]) + packed[21:]
    yield _case("damaged gzip", _encoded(damaged, "gzip"), Kind.MALFORMED)
    yield _case("truncated gzip", _encoded(packed[:-5], "gzip"), Kind.MALFORMED)
    yield _case("bytes behind gzip", _encoded(packed + b"behind", "gzip"), Kind.MALFORMED)


# --- Framing ------------------------------------------------------------------------------------


def _framings() -> Iterator[Case]:
    size = len(GOOD)
    short = _raw(f"Content-Type: application/json\r\nContent-Length: {size - 9}\r\n")
    yield _case("length too short", once(short), Kind.MALFORMED, Kind.UNREACHABLE)
    yield _case("length too long", once(_raw(f"Content-Length: {size + 9}\r\n")), Kind.MALFORMED)
    # RFC 9112, section 6.3: a client may take equal lengths for one, and may refuse them.
    yield _works("equal lengths", once(_raw(f"Content-Length: {size}\r\n" * 2)), Kind.UNREACHABLE)
    yield _case("differing lengths", once(_raw(f"Content-Length: {size}\r\nContent-Length: 9\r\n")), Kind.UNREACHABLE)
    yield _case("negative length", once(_raw("Content-Length: -1\r\n")), Kind.UNREACHABLE)
    yield _case("length that is no number", once(_raw("Content-Length: many\r\n")), Kind.UNREACHABLE)
    yield _works("no length", once(_raw("Connection: close\r\n")))
    # Section 6.1: the transfer coding wins, or the answer is refused; the length must not win.
    both = _raw("Content-Length: 9\r\nTransfer-Encoding: chunked\r\n", _chunked(GOOD))
    yield _works("length and chunks", once(both), Kind.UNREACHABLE)
    yield _works("chunks", once(_raw("Transfer-Encoding: chunked\r\n", _chunked(GOOD))))
    yield _case(
        "chunk without a size",
        once(_raw("Transfer-Encoding: chunked\r\n", b"zz\r\n")),
        Kind.MALFORMED,
        Kind.UNREACHABLE,
    )
    yield _works("HTTP/1.0 with a length", once(_raw(f"Content-Length: {size}\r\n", version="1.0")))
    yield _works("HTTP/1.0 without", once(_raw("", version="1.0")))
    yield _case("HTTP/0.9", once(GOOD), Kind.UNREACHABLE)
    yield _case("SSH", greet(b"SSH-2.0-OpenSSH_9.9\r\n"), Kind.UNREACHABLE)
    yield _case("SMTP", greet(b"220 mail.example ESMTP\r\n"), Kind.UNREACHABLE)
    yield _case("header of 200 kB", once(_raw(f"X-Long: {'a' * 200_000}\r\n")), Kind.UNREACHABLE)
    many = "".join(f"X-{number}: a\r\n" for number in range(10_000))
    yield _case("10,000 headers", once(_raw(many + f"Content-Length: {size}\r\n")), Kind.UNREACHABLE)
    go_on = b"HTTP/1.1 100 Continue\r\n\r\n"
    yield _case("100 without end", pour(b"", go_on * 40), Kind.TIMED_OUT, Kind.UNREACHABLE, deadline_s=PATIENCE_S)
    yield _works("three 100, then an answer", once(go_on * 3 + answer(GOOD)))
    # An upgrade that nobody asked for is a fault of the protocol, or a status that is no API's.
    switched = once(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
    yield _case("101 unasked", switched, Kind.UNREACHABLE, Kind.NOT_RAPIDPRO)
    yield _case("204 unasked", once(b"HTTP/1.1 204 No Content\r\n\r\n"), Kind.NOT_RAPIDPRO)
    yield _works("206 with the whole", always(answer(GOOD, status="206 Partial Content")))
    yield _case("206 with a part", always(answer(GOOD[:30], status="206 Partial Content")), Kind.MALFORMED)
    yield _case("304 unasked", once(b"HTTP/1.1 304 Not Modified\r\n\r\n"), Kind.NOT_RAPIDPRO)


# --- Redirects ----------------------------------------------------------------------------------


def _redirects() -> Iterator[Case]:
    for status in (301, 302, 303, 307, 308):
        behave = redirect(f"{status} Moved", "{elsewhere}/api/v2/flows.json")
        yield _case(f"{status} to another host", behave, Kind.REDIRECTED, heads=1)
    for place in (
        "{origin}/api/v2/other.json",
        "/api/v2/flows.json",
        "//{neighbour}/api/v2/flows.json",
        "https://127.0.0.1:{port}/api/v2/flows.json",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://[::1",
        "http://a b:x/\x01é",
        "",
        None,
    ):
        yield _case(f"302 to {place!r}", redirect("302 Found", place), Kind.REDIRECTED, heads=1)


# --- TLS ----------------------------------------------------------------------------------------


def _tls() -> Iterator[Case]:
    good = always(answer(GOOD))
    # Without this one the others would prove nothing but that the authority is not trusted.
    yield _works("TLS", good, scheme="https", certificate="good")
    for certificate in ("expired", "not_yet_valid", "wrong_name", "self_signed", "unknown_ca"):
        yield _case(f"TLS {certificate}", good, Kind.TLS, scheme="https", certificate=certificate, heads=0)
    yield _case("plain text for TLS", greet(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Kind.TLS, scheme="https")
    yield _case("TLS that hangs", faulty.mute, Kind.TIMED_OUT, scheme="https", deadline_s=PATIENCE_S)


# --- JSON ---------------------------------------------------------------------------------------


def _row(text: str) -> bytes:
    """Return a page of one row, the JSON of it as given."""
    return b'{"next": null, "results": [' + text.encode() + b"]}"


def _json() -> Iterator[Case]:
    def body(content: bytes) -> Behaviour:
        return always(answer(content))

    start = f'{{"uuid": "{flow("Good")["uuid"]}", "name": "Good"'
    yield _works("lone surrogate", body(_row(start + r', "name": "a\ud800b"}')), names=("a\ufffdb",))
    yield _works("lone surrogate in a key", body(_row(start + r', "\udfff": 1}')))
    yield _works("NUL in a name", body(_row(start + r', "name": "a\u0000b"}')), names=("a\ufffdb",))
    numbers = '"expires": NaN, "runs": {"active": Infinity, "waiting": -Infinity, "completed": 1e999, "failed": -5}'
    yield _works("no numbers", body(_row(f"{start}, {numbers}}}")))
    digits = "9" * 5_000
    yield _works("5,000 digits", body(_row(f'{start}, "expires": {digits}, "runs": {{"active": {digits}.5}}}}')))
    yield _works("twice the same key", body(_row(start + ', "name": "Last"}')), names=("Last",))
    yield _works("byte order mark", body(b"\xef\xbb\xbf" + GOOD))
    yield _case("two byte order marks", body(b"\xef\xbb\xbf" * 2 + GOOD), Kind.MALFORMED)
    yield _case("UTF-16", body(GOOD.decode().encode("utf-16")), Kind.MALFORMED)
    yield _case("bad UTF-8", body(GOOD.replace(b"Good", b"\xff\xc0\x80")), Kind.MALFORMED)
    yield _case("200,000 lists deep", body(_row("[" * 200_000 + "]" * 200_000)), Kind.MALFORMED)
    yield _case("200,000 objects deep", body(_row('{"a":' * 200_000 + "1" + "}" * 200_000)), Kind.MALFORMED)
    yield _case("half a JSON", body(GOOD[:-9]), Kind.MALFORMED)
    yield _case("two JSONs", body(GOOD + GOOD), Kind.MALFORMED)
    yield _case("no page", body(b"[1, 2]"), Kind.NOT_RAPIDPRO)
    yield _case("a web page", always(answer(b"<!doctype html>", content_type="text/html")), Kind.NOT_RAPIDPRO)


CASES: tuple[Case, ...] = (*_connections(), *_sizes(), *_framings(), *_redirects(), *_tls(), *_json())

# --- Every status, with every body --------------------------------------------------------------

STATUSES = (
    *(200, 201, 202, 203, 204, 205, 206, 300, 301, 302, 304),
    *(400, 401, 402, 403, 404, 405, 406, 408, 409, 410, 413, 418, 421, 422, 425, 426, 428, 429, 431, 451),
    *(500, 501, 502, 503, 504, 505, 507, 508, 511, 520, 530, 599),
)


def bodies(secret: str) -> dict[str, bytes]:
    """Return the bodies that any status may come with; one quotes the token."""
    return {
        "empty": b"",
        "an empty object": b"{}",
        "a detail": b'{"detail":"x"}',
        "a detail that quotes the token": json.dumps({"detail": f"Invalid token: {secret}"}).encode(),
        "HTML": f"<html><h1>Oh dear</h1>{secret}</html>".encode(),
        "invalid UTF-8": b'{"detail":"\xff\xfe\xc0"}',
        "nesting": b'{"detail":' * 20_000 + b"1" + b"}" * 20_000,
    }
