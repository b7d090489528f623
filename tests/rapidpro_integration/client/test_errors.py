"""What an answer means, as one pure function; and exceptions that hold facts only."""

import copy
import json
import pickle
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapidpro_integration.client import errors
from rapidpro_integration.client.credentials import Credential
from rapidpro_integration.client.errors import AbstractRequestException, Kind, error_for_response
from rapidpro_integration.client.retry_after import seconds_to_wait

TOKEN = "4f1c0ffee0ddba11deadbeef0123456789abcdef"
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)

RECORDED = [
    ("workspace_bad_token", Kind.REJECTED),
    ("workspace_revoked_token", Kind.REJECTED),
    ("workspace_inactive_user", Kind.REJECTED),
    ("workspace_no_header", Kind.REJECTED),
    ("workspace_bearer", Kind.REJECTED),
    ("workspace_token_word_only", Kind.REJECTED),
    ("workspace_token_with_space", Kind.REJECTED),
    ("flows_latin1_token", Kind.REJECTED),
    ("flows_basic_wrong_email", Kind.REJECTED),
    ("workspace_agent_role", Kind.NOT_ALLOWED),
    ("secure_root_plain", Kind.NOT_ALLOWED),
    ("throttle_org_6", Kind.RATE_LIMITED),
    ("throttle_stock_3600_hour", Kind.RATE_LIMITED),
    ("flows_q_uuid_empty", Kind.BAD_REQUEST),
    ("flows_url_too_long", Kind.BAD_REQUEST),
    ("flows_post", Kind.BAD_REQUEST),
    ("flows_json_accept_html", Kind.BAD_REQUEST),
    ("flows_q_cursor_garbage", Kind.NOT_FOUND),
    ("path_flows_upper", Kind.NOT_RAPIDPRO),
    ("flows_q_cursor_tampered", Kind.SERVER_ERROR),
    ("root_noslash", Kind.REDIRECTED),
]


def subclasses(
    cls: type[AbstractRequestException] = AbstractRequestException,
) -> Iterator[type[AbstractRequestException]]:
    for child in cls.__subclasses__():
        yield child
        yield from subclasses(child)


LEAVES = [cls for cls in subclasses() if hasattr(cls, "kind")]


@pytest.mark.parametrize(("name", "kind"), RECORDED)
def test_recorded_answer_means(recording: Callable[[str], dict[str, Any]], name: str, kind: Kind) -> None:
    response = recording(name)["response"]
    body = response["body"] if isinstance(response["body"], str) else json.dumps(response["body"])
    error = error_for_response(response["status"], dict(response["headers"]), body.encode())
    assert error is not None
    assert error.kind is kind
    assert error.status_code == response["status"]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, b"", Kind.REJECTED),
        (401, b'{"detail": "Bad"}', Kind.REJECTED),
        (403, b'{"detail": "INVALID TOKEN"}', Kind.REJECTED),
        (403, b'{"detail": "Something else."}', Kind.NOT_ALLOWED),
        (403, b"<h1>Forbidden</h1>", Kind.NOT_RAPIDPRO),
        (403, b'{"message": "Forbidden"}', Kind.NOT_RAPIDPRO),
        (403, b'{"detail": ["Invalid token"]}', Kind.NOT_RAPIDPRO),
        (403, b'["detail"]', Kind.NOT_RAPIDPRO),
        (403, b"\xff\xfe\x00", Kind.NOT_RAPIDPRO),
        (403, b"[" * 60_000, Kind.NOT_RAPIDPRO),
        (403, b'{"detail": "Invalid token' + b" " * 70_000 + b'"}', Kind.NOT_RAPIDPRO),
        (404, b"", Kind.NOT_RAPIDPRO),
        (408, b"", Kind.TIMED_OUT),
        (410, b"", Kind.BAD_REQUEST),
        (418, b"", Kind.BAD_REQUEST),
        (429, b"<h1>Slow down</h1>", Kind.RATE_LIMITED),
        (500, b"", Kind.SERVER_ERROR),
        (502, b"", Kind.SERVER_ERROR),
        (504, b"", Kind.SERVER_ERROR),
        (599, b"", Kind.SERVER_ERROR),
        (302, b"", Kind.REDIRECTED),
        (307, b"", Kind.REDIRECTED),
        (308, b"", Kind.REDIRECTED),
        (304, b"", Kind.NOT_RAPIDPRO),
        (999, b"", Kind.NOT_RAPIDPRO),
    ],
)
def test_status_and_body_mean(status: int, body: bytes, kind: Kind) -> None:
    error = error_for_response(status, {}, body)
    assert error is not None
    assert error.kind is kind


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_success_is_no_error(status: int) -> None:
    assert error_for_response(status, {}, b"<h1>whatever</h1>") is None


@pytest.mark.parametrize("status", [429, 503])
def test_wait_is_carried_whatever_the_header_is_spelled(status: int) -> None:
    error = error_for_response(status, {"RETRY-AFTER": "60"}, b"")
    assert error is not None
    assert error.retry_after_s == 60


# --- The message --------------------------------------------------------------------------------


def message_of(detail: str, token: str = TOKEN) -> str:
    error = error_for_response(400, {}, json.dumps({"detail": detail}).encode(), credential=Credential(token))
    assert error is not None
    assert str(error) == error.message
    return error.message


def test_message_quotes_the_server() -> None:
    assert message_of("Param 'uuid': abc is not a valid UUID.").endswith(
        "HTTP status 400. The server said: Param 'uuid': abc is not a valid UUID."
    )


def test_message_is_one_short_line_without_control_characters() -> None:
    message = message_of("one\r\ntwo\x1b[31m\u202ethree\u2028four\ud800 " + "x" * 5000)
    assert "one two [31m three four x" in message
    assert message.isprintable()
    assert len(message) < 200 + 100
    assert message.endswith("…")


@pytest.mark.parametrize("echo", [TOKEN, TOKEN.upper(), TOKEN[:10], "\x00".join(TOKEN), "x" * 195 + TOKEN])
def test_message_never_quotes_the_token(echo: str) -> None:
    message = message_of(f"Bad {echo}")
    assert "left out" in message
    assert not Credential(TOKEN).shows_in(message)


@given(
    st.integers(100, 599),
    st.dictionaries(st.sampled_from(["Retry-After", "Location", "X"]), st.text()),
    st.one_of(st.binary(), st.text().map(lambda text: json.dumps({"detail": text + TOKEN}).encode())),
)
def test_any_answer_is_success_or_one_of_our_errors(status: int, headers: dict[str, str], body: bytes) -> None:
    error = error_for_response(status, headers, body, credential=Credential(TOKEN))
    if 200 <= status < 300:
        assert error is None
        return
    assert error is not None
    assert isinstance(error.kind, Kind)
    assert TOKEN not in error.message
    assert len(error.message) < 400
    assert error.message.isprintable()


# --- Retry-After --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3166", 3166),
        (" 60 ", 60),
        ("0", 0),
        ("000060", 60),
        ("86401", 86_400),
        ("999999", 86_400),
        ("1000000", 86_400),
        ("9" * 5000, 86_400),
        ("0" * 5000 + "7", 7),
        ("Tue, 24 Nov 2026 12:01:00 GMT", 60),
        ("Tue, 24 Nov 2026 12:01:00 -0000", 60),
        ("Tue, 24 Nov 2026 14:01:00 +0200", 60),
        ("Tue, 24 Nov 2026 11:00:00 GMT", 0),
        ("Tue, 24 Nov 2099 11:00:00 GMT", 86_400),
        ("Sun, 01 Jan 0001 00:00:00 +2359", 0),
        ("Tue, 99 Nov 2026 12:01:00 GMT", None),
        ("-5", None),
        ("1.5", None),
        ("NaN", None),
        ("Infinity", None),
        ("1e3", None),
        ("+60", None),
        ("٦٠", None),
        ("60, 60", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_wait_is_read(value: str | None, seconds: int | None) -> None:
    assert seconds_to_wait(value, now=NOW) == seconds


@given(st.one_of(st.text(), st.integers().map(str), st.floats().map(str), st.datetimes().map(str)))
def test_any_wait_is_unknown_or_at_most_a_day(value: str) -> None:
    wait_s = seconds_to_wait(value)
    assert wait_s is None or 0 <= wait_s <= 86_400


# --- The tree -----------------------------------------------------------------------------------


def test_every_kind_has_one_leaf() -> None:
    assert sorted(leaf.kind for leaf in LEAVES) == sorted(Kind)


def test_tree_in_the_docstring_is_the_tree() -> None:
    assert errors.__doc__ is not None
    for cls in [AbstractRequestException, *subclasses()]:
        assert cls.__name__ in errors.__doc__
    for leaf in LEAVES:
        assert f"{leaf.__name__} " in errors.__doc__
        line = next(line for line in errors.__doc__.splitlines() if f"{leaf.__name__} " in line)
        assert leaf.kind in line.split()


@pytest.mark.parametrize("leaf", LEAVES)
def test_leaf_says_something_of_itself(leaf: type[AbstractRequestException]) -> None:
    error = leaf()
    assert str(error) == error.message == leaf.default_message != ""
    assert (error.status_code, error.retry_after_s) == (None, None)


def test_trunk_is_not_raised() -> None:
    for trunk in (AbstractRequestException, errors.RequestFailureException, errors.ResponseParsingException):
        with pytest.raises(TypeError, match="no kind"):
            trunk("oops")


@pytest.mark.parametrize("take", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_error_travels_with_its_facts(take: Callable[[Any], Any]) -> None:
    error = errors.TokenValidationException.of(errors.RateLimitedException("wait", status_code=429, retry_after_s=60))
    there = take(error)
    assert type(there) is errors.TokenValidationException
    assert vars(there) == vars(error) == {
        "message": "wait", "status_code": 429, "retry_after_s": 60, "kind": Kind.RATE_LIMITED,
    }  # fmt: skip
