"""What people paste is cleaned or refused, and never repeated."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapidpro_integration.forms import TokenAddForm, TokenRenameForm
from rapidpro_integration.servers import Access, OpenServer, Reach
from tests.conftest import OTHER_SERVER, SECRET, SERVER

LISTED = OpenServer(SERVER, "Ours", Access.LISTED)
REACH = Reach((LISTED,), frozenset(), any_public=False)
WIDE_REACH = Reach((LISTED,), frozenset({OTHER_SERVER}), any_public=True)


def add_form(token: str, *, reach: Reach = REACH, **data: str) -> TokenAddForm:
    return TokenAddForm({"label": "x", "server": SERVER, "token": token} | data, reach=reach)


@pytest.mark.parametrize(
    "pasted", [SECRET, f"  {SECRET}\n", f"Token {SECRET}", f"token   {SECRET} ", f"TOKEN {SECRET}"]
)
def test_pasted_token_is_cleaned(pasted: str) -> None:
    form = add_form(pasted)
    assert form.is_valid()
    assert form.take_secret().reveal() == SECRET


@pytest.mark.parametrize(
    "pasted",
    [
        "",
        "   ",
        "Token",
        "Token ",
        "two parts",
        "tab\there",
        "new\nline",
        "nul\x00",
        "bell\x07",
        "é" * 40,
        "a" * 257,
        "a\u200bb",
    ],
)
def test_malformed_token_is_refused_and_not_repeated(pasted: str) -> None:
    form = add_form(pasted)
    assert not form.is_valid()
    assert "token" in form.errors
    if pasted.strip().lower() not in {"", "token"}:
        assert pasted.strip() not in str(form.errors)


def test_longest_token_is_accepted() -> None:
    assert add_form("a" * 256).is_valid()


@given(st.text())
def test_any_pasted_text_is_cleaned_or_refused_and_never_rendered(pasted: str) -> None:
    form = add_form(pasted)
    if form.is_valid():
        secret = form.cleaned_data["token"]
        assert secret
        assert secret.isascii()
        assert secret.isprintable()
        assert " " not in secret
    assert 'value="' not in str(form["token"])


def test_taken_secret_is_no_longer_in_the_form() -> None:
    form = add_form(SECRET)
    assert form.is_valid()
    form.take_secret()
    assert SECRET not in str(form.data)
    assert SECRET not in str(form.cleaned_data)
    assert SECRET not in form.as_p()


def test_server_must_be_an_allowed_one() -> None:
    assert "server" in add_form(SECRET, server="https://evil.example").errors
    assert "server" in add_form(SECRET, server="").errors


def test_server_is_chosen_by_its_name_and_comes_with_the_persons_access() -> None:
    form = add_form(SECRET)
    assert "Ours (rapidpro.example)" in form.as_p()
    assert "other_server" not in form.fields
    assert form.is_valid()
    assert (form.cleaned_data["server"], form.cleaned_data["access"]) == (SERVER, Access.LISTED)


def test_any_public_server_can_be_typed_where_the_setting_says_so() -> None:
    form = add_form(SECRET, reach=WIDE_REACH, server="", other_server="https://Free.example/")
    assert form.is_valid(), form.errors
    assert (form.cleaned_data["server"], form.cleaned_data["access"]) == ("https://free.example", Access.PUBLIC)
    assert add_form(SECRET, reach=WIDE_REACH).is_valid()


def test_token_never_goes_to_a_chosen_server_while_another_one_is_typed() -> None:
    assert "other_server" in add_form(SECRET, reach=WIDE_REACH, other_server="https://free.example").errors


@pytest.mark.parametrize(
    "typed",
    ["", OTHER_SERVER, "https://127.0.0.1", "https://[::1]", "https://free.example:8443", "http://free.example", "x"],
)
def test_closed_and_unusual_servers_cannot_be_typed(typed: str) -> None:
    form = add_form(SECRET, reach=WIDE_REACH, server="", other_server=typed)
    assert not form.is_valid()
    assert not typed or typed not in str(form.errors)


@pytest.mark.parametrize("label", ["", "   ", "x" * 81, "tab\tx", "over\u202eride", "nul\x00"])
def test_new_label_must_be_plain_text(label: str) -> None:
    assert "label" in TokenRenameForm({"label": label}).errors


@pytest.mark.parametrize("label", ["عيادات", "स्वास्थ्य", "Clinics 🏥", "x" * 80, "می\u200cخواهم"])
def test_labels_of_every_script_are_accepted(label: str) -> None:
    assert TokenRenameForm({"label": label}).is_valid()
