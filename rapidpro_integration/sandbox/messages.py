"""A request as the sandbox reads it, and the shapes of its answers."""

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rapidpro_integration.sandbox.params import Params

HTML = "text/html; charset=utf-8"
JSON = "application/json"
_ALWAYS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "strict-origin-when-cross-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
)
_PAGE = (("Content-Language", "en-us"), ("X-Frame-Options", "DENY"))
# gunicorn allows this many bytes for "GET /path?query HTTP/1.1".
MAX_REQUEST_LINE = 4094


@dataclass(frozen=True)
class Request:
    """One request; header names are in lower case, values are the bytes that came."""

    method: str
    path: str
    query: str
    headers: Mapping[str, bytes]
    client: str
    scheme: str = "http"
    body: bytes = b""

    @property
    def origin(self) -> str:
        """Return scheme and host as the client named them: whatever the Host header says goes into `next`."""
        forwarded = self.headers.get("x-forwarded-proto", b"").decode("latin-1")
        scheme = "https" if forwarded == "https" else self.scheme
        return f"{scheme}://{self.headers.get('host', b'localhost').decode('latin-1')}"

    @property
    def url(self) -> str:
        """Return the absolute address of this request."""
        return f"{self.origin}{self.path}" + (f"?{self.query}" if self.query else "")

    @property
    def params(self) -> Params:
        """Return the query's parameters."""
        return Params(self.query)

    @property
    def address(self) -> str:
        """Return whose requests are counted together while anonymous: X-Forwarded-For is believed."""
        forwarded = self.headers.get("x-forwarded-for", b"").decode("latin-1")
        return "".join(forwarded.split()) or self.client

    def header(self, name: str) -> str:
        """Return a header as text, "" if there is none."""
        return self.headers.get(name, b"").decode("latin-1")


@dataclass(frozen=True)
class Response:
    """One answer, before its length is known."""

    status: int
    content_type: str | None
    body: bytes = b""
    headers: Sequence[tuple[str, str]] = field(default=())

    def wire_headers(self) -> list[tuple[bytes, bytes]]:
        """Return all headers as ASGI wants them."""
        headers = list(self.headers)
        if self.content_type:
            headers.insert(0, ("Content-Type", self.content_type))
        if self.status != 204:
            headers.append(("Content-Length", str(len(self.body))))
        return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]


def json_bytes(value: Any) -> bytes:
    """Return compact JSON in UTF-8, unescaped as RapidPro sends it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def api_headers(allow: Sequence[str], workspace_uuid: str | None, *more: tuple[str, str]) -> list[tuple[str, str]]:
    """Return the headers that every answer of the API carries; the workspace's only if the token was recognised."""
    named = [("X-Temba-Workspace", workspace_uuid)] if workspace_uuid else []
    return [*more, ("Vary", "Accept, Cookie"), ("Allow", ", ".join(allow)), _PAGE[0], *named, _PAGE[1], *_ALWAYS]


def html_page(title: str, text: str) -> bytes:
    """Return a small page; the text is escaped."""
    head = f'<!doctype html>\n<html lang="en">\n<head>\n  <title>{html.escape(title)}</title>\n</head>\n'
    return f"\n{head}<body>\n  <h1>{html.escape(title)}</h1><p>{html.escape(text)}</p>\n</body>\n</html>\n".encode()


def site_page(status: int, title: str, text: str) -> Response:
    """Return a page outside the API: the home page, or the 404 of every unknown path."""
    return Response(status, HTML, html_page(title, text), [_PAGE[0], ("Vary", "Cookie"), _PAGE[1], *_ALWAYS])


def redirect(status: int, location: str) -> Response:
    """Return a redirect; a 301 comes from an earlier layer of RapidPro and has fewer headers."""
    page = _PAGE if status == 302 else ()
    return Response(status, HTML, b"", [("Location", location), *page, ("Vary", "Cookie"), *_ALWAYS])


def request_line_too_long(length: int) -> Response:
    """Return the page with which gunicorn, in front of RapidPro, refuses a request line."""
    text = f"Request Line is too large ({length} &gt; {MAX_REQUEST_LINE})"
    page = (
        "<html>\n  <head>\n    <title>Bad Request</title>\n  </head>\n  <body>\n"
        f"    <h1><p>Bad Request</p></h1>\n    {text}\n  </body>\n</html>\n"
    )
    return Response(400, "text/html", page.encode(), [("Connection", "close")])
