"""The token on its way: it goes into one header, and shows nowhere else."""

import copy
import json
import pickle

import pytest

from rapidpro_integration.client.credentials import Credential

TOKEN = "4f1c0ffee0ddba11deadbeef0123456789abcdef"


@pytest.mark.parametrize("text", [TOKEN, f"  {TOKEN}\r\n", f"\t{TOKEN}"])
def test_ends_are_stripped(text: str) -> None:
    assert Credential(text).authorization() == f"Token {TOKEN}"


@pytest.mark.parametrize(
    "text",
    [
        "abc def",
        "Token abc",
        "abc\r\nX-Evil: 1",
        "abc\x00",
        "abc\x7f",
        "é",
        "\u00a0abc",
        "ab\u200bc",
        "\ud800",
        None,
        3,
    ],
)
def test_what_no_header_carries_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        Credential(text)
    assert "abc" not in str(caught.value)


@pytest.mark.parametrize("show", [repr, str, lambda value: f"{value}", lambda value: f"{value!r:>60}", ascii])
def test_credential_does_not_show_itself(show: object) -> None:
    assert callable(show)
    assert TOKEN not in show(Credential(TOKEN))


@pytest.mark.parametrize("take", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps, vars])
def test_credential_is_not_carried_off(take: object) -> None:
    assert callable(take)
    with pytest.raises(TypeError):
        take(Credential(TOKEN))


def test_empty_credential_is_false() -> None:
    assert not Credential("  ")
    assert Credential("x")


@pytest.mark.parametrize(
    "text",
    [
        f"Invalid token {TOKEN}",
        f"Invalid token {TOKEN.upper()}",
        f"Invalid token {TOKEN[:12]}…",
        f"…{TOKEN[-8:]}",
        " ".join(TOKEN),
        "\x00".join(TOKEN),
        f"{TOKEN[:4]}-{TOKEN[4:8]}",
    ],
)
def test_token_is_recognised_in_whatever_dress(text: str) -> None:
    assert Credential(TOKEN).shows_in(text)


@pytest.mark.parametrize(
    ("token", "text", "shows"),
    [
        (TOKEN, "Invalid token", False),
        (TOKEN, TOKEN[:7], False),
        ("abcdefghij", "you sent ABCDEFGHIJ", True),
        ("abc", "you sent abc", True),
        ("abc", "you sent ab", False),
        ("----", "you sent ----", True),
        ("----", "you sent nothing", False),
        ("", "you sent nothing", False),
    ],
)
def test_only_a_telling_piece_counts(token: str, text: str, shows: bool) -> None:
    assert Credential(token).shows_in(text) is shows
