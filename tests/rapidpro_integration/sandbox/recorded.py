"""Replaying a recorded exchange against the sandbox: how its request is rebuilt and its answer compared."""

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

from rapidpro_integration.sandbox.data import load
from rapidpro_integration.sandbox.model import Row
from rapidpro_integration.sandbox.runs import runs
from rapidpro_integration.sandbox.tokens import TOKENS

type Recording = dict[str, Any]

#: Which of our tokens stands for which recorded one.
TOKEN_LABELS = {
    "BIG_ADMIN": "national",
    "BIG_EDITOR": "editor",
    "BIG_AGENT (agent role)": "agent",
    "BIG_REMOVED (user removed from org)": "removed",
    "BIG_REVOKED (token deleted)": "revoked",
    "BIG_INACTIVE_USER": "revoked",
    "RELEASED_ORG": "revoked",
    "SMALL_ADMIN": "clinics",
    "SMALL_BIGADMIN (same user as BIG_ADMIN, other org)": "spare",
    "EMPTY_ADMIN": "empty",
    "ANON_ORG": "districts",
    "DEACTIVATED_ORG": "districts",
    "SUSPENDED_ORG": "districts",
    "LOW_RATE_ORG (5 requests a minute)": "limited",
}

#: Headers that must be there, or be missing, just as recorded. Of the last two only the presence is compared.
EXACT_HEADERS = (
    "content-type",
    "vary",
    "allow",
    "content-language",
    "location",
    "retry-after",
    "x-frame-options",
    "x-content-type-options",
    "referrer-policy",
    "cross-origin-opener-policy",
    "strict-transport-security",
    "www-authenticate",
)
PRESENT_HEADERS = ("x-temba-workspace", "content-length")

#: Objects keyed by what the workspace chose to name, its languages included.
OPEN_KEYS = re.compile(r"\.(values|fields|channels|geometry|text|message|attachments|quick_replies|params|extra)$")
#: What a resthook was told: any object at all.
FREE = re.compile(r"\.data$")

_PATTERNS = (
    re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z"),
    re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
)


def _first_flow(rows: Iterable[Row], **facts: Any) -> str:
    return next(str(row.body["uuid"]) for row in rows if all(row.body[key] == value for key, value in facts.items()))


def uuid_map() -> Mapping[str, str]:
    """Return which flow of ours stands for which recorded one."""
    national, clinics = load()["national"], load()["clinics"]
    flows = national.tables["flows"]
    played = [row.body["flow"]["uuid"] for row in runs("national")]
    return {
        "6e99f824-2ea1-4731-9b59-9afdcda1399b": max(set(played), key=played.count),
        "16d09a2c-b37e-4e95-a990-273a9515cde8": _first_flow(flows, archived=True),
        "ea2b0113-048b-41de-b3d1-9e770138063f": _first_flow(flows, type=None, results=[]),
        "4d3974e1-fc1c-4d94-b02c-6d736217d7f6": clinics.tables["flows"][0].body["uuid"],
    }


def translated(text: str, uuids: Mapping[str, str]) -> str:
    """Return the text with our UUIDs for the recorded ones, in whichever spelling they stand."""
    for theirs, ours in uuids.items():
        for spell in (str, str.upper, lambda uuid: uuid.replace("-", "")):
            text = text.replace(spell(theirs), spell(ours))
    return text.replace("Gestantes", "Mothers")


def authorization(name: str, recording: Recording) -> bytes | None:
    """Return the header to send for the recorded one; `name` is the recording's, for what it does not say."""
    header: str | None = recording["request"]["headers"].get("Authorization")
    if header is None:
        return None
    good = TOKENS["national"]
    if header.startswith("Basic"):
        email = "wrong@sandbox.example" if "wrong" in name else good.email
        return b"Basic " + base64.b64encode(f"{email}:{good.secret}".encode())
    refused = recording["response"]["status"] == 403 and re.match(r"token ", header, re.IGNORECASE)
    digits = "0" * 40 if refused else good.secret
    if "uppercased" in name:
        digits = good.secret.upper()
    header = header.replace("<40 hex digits>", digits)
    for label, token_name in TOKEN_LABELS.items():
        header = header.replace(f"<{label}>", TOKENS[token_name].secret)
    assert "<" not in header, f"No token of ours stands for {header}."
    return header.encode("latin-1")


def rebuilt(name: str, recording: Recording, uuids: Mapping[str, str], origin: str = "") -> httpx.Request:
    """Return the recorded request, addressed to `origin` or to the recorded one."""
    request = recording["request"]
    headers = {key: value.encode("latin-1") for key, value in request["headers"].items() if key != "Authorization"}
    if (sent := authorization(name, recording)) is not None:
        headers["Authorization"] = sent
    url = (origin or request["server"]) + request["path"]
    if request["raw_query"]:
        url += f"?{translated(request['raw_query'], uuids)}"
    return httpx.Request(request["method"], url, headers=headers, content=request.get("body", "").encode())


def differences(recording: Recording, response: httpx.Response, uuids: Mapping[str, str]) -> list[str]:
    """Return in what our answer differs from the recorded one: nothing, if all is well."""
    theirs = recording["response"]
    found = (
        [] if response.status_code == theirs["status"] else [f"status {response.status_code}, not {theirs['status']}"]
    )
    recorded_headers = {key.lower(): value for key, value in theirs["headers"]}
    for header in EXACT_HEADERS:
        if recorded_headers.get(header) != response.headers.get(header):
            found.append(f"{header}: {response.headers.get(header)}, not {recorded_headers.get(header)}")
    found += [header for header in PRESENT_HEADERS if (header in recorded_headers) != (header in response.headers)]
    return found + _body_differences(theirs["body"], response, uuids)


def _body_differences(theirs: Any, response: httpx.Response, uuids: Mapping[str, str]) -> list[str]:
    if isinstance(theirs, str):
        if theirs == "(HTML page, not kept)":
            return [] if response.text.lstrip().startswith("<!doctype html>") else ["no HTML page"]
        return [] if response.text == theirs else [f"{response.text!r}, not {theirs!r}"]
    ours = response.json()
    if not isinstance(theirs, dict):
        return [] if ours == theirs else [f"{ours!r}, not {theirs!r}"]
    if "detail" in theirs:
        expected = {"detail": translated(theirs["detail"], uuids)}
        return [] if ours == expected else [f"{ours}, not {expected}"]
    return shape_differences(ours, [{key: value for key, value in theirs.items() if key != "_trimmed_from"}])


def shape_differences(ours: Any, samples: Sequence[Any], where: str = "body") -> list[str]:
    """Return where the shape of our value is none of the samples': keys and JSON types; null is always allowed."""
    samples = [sample for sample in samples if sample is not None]
    if ours is None or not samples or (FREE.search(where) and isinstance(ours, dict)):
        return []
    if isinstance(ours, dict) and all(isinstance(sample, dict) for sample in samples):
        if OPEN_KEYS.search(where):
            inner = [value for sample in samples for value in sample.values()]
            return [line for key, value in ours.items() for line in shape_differences(value, inner, f"{where}.*{key}")]
        expected = {key for sample in samples for key in sample}
        if set(ours) != expected:
            return [f"{where}: keys differ in {sorted(set(ours) ^ expected)}"]
        return [
            line
            for key, value in ours.items()
            for line in shape_differences(value, [sample.get(key) for sample in samples], f"{where}.{key}")
        ]
    if isinstance(ours, list) and all(isinstance(sample, list) for sample in samples):
        inner = [item for sample in samples for item in sample]
        return [line for item in ours for line in shape_differences(item, inner, f"{where}[]")]
    if type(ours) not in {type(sample) for sample in samples}:
        return [f"{where}: {type(ours).__name__}, not {type(samples[0]).__name__}"]
    for pattern in _PATTERNS if isinstance(ours, str) else ():
        if all(pattern.fullmatch(sample) for sample in samples) and not pattern.fullmatch(ours):
            return [f"{where}: {ours!r} does not look like {samples[0]!r}"]
    return []


def page_differences(recording: Recording, ours: Any, *, same_count: bool) -> list[str]:
    """Return in what the links and the number of rows differ."""
    theirs = recording["response"]["body"]
    found = []
    total = theirs.get("_trimmed_from", len(theirs["results"]))
    if same_count and bool(total) != bool(ours["results"]):
        found.append(f"{len(ours['results'])} rows, not {total}")
    if total == 250 and len(ours["results"]) != 250:
        found.append("no full page")
    for link in ("next", "previous"):
        if theirs.get(link) and _link(theirs[link]) != _link(ours[link]):
            found.append(f"{link}: {ours[link]}, not {theirs[link]}")
    return found


def _link(url: str | None) -> object:
    """Return the parts of a link that do not depend on the rows: all but the cursor's own text and our UUIDs."""
    parts = urlsplit(url or "")
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    query = [(key, value if key not in ("cursor", "flow") else "…") for key, value in pairs]
    return parts.scheme, parts.netloc, parts.path, query
