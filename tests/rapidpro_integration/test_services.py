"""Writes are whole, and never overwrite what came in between."""

from uuid import UUID

import pytest
from django.db import IntegrityError
from pytest_django import Settings

from accounts.models import User
from rapidpro_integration import services, vault
from rapidpro_integration.checking import CheckOutcome
from rapidpro_integration.client.types import Workspace
from rapidpro_integration.models import RapidProToken, TokenState
from rapidpro_integration.services import TokenAlreadySaved, TokenChangedMeanwhile
from rapidpro_integration.vault import Secret
from tests.conftest import OTHER_SERVER, SECRET, SERVER, TokenMaker
from tests.rapidpro_integration.test_token_views import NEW_SECRET

WORKING = CheckOutcome(
    TokenState.WORKING,
    5,
    "0A1B2C3D",
    workspace=Workspace(UUID("882f1c30-45b7-4fe2-bff8-12c78de3807e"), name="Nutrition"),
)


def test_second_click_that_is_faster_than_the_look_up_is_already_saved(
    token: RapidProToken, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tell the race as it happens: the look-up finds nothing, the insert meets the constraint."""
    answers = iter([None, token])
    monkeypatch.setattr(services, "find_token", lambda *args: next(answers))
    with pytest.raises(TokenAlreadySaved) as caught:
        services.add_token(owner.pk, "Again", SERVER, Secret(SECRET), WORKING)
    assert caught.value.existing == token
    assert RapidProToken.objects.count() == 1


def test_replacement_that_loses_the_race_keeps_the_old_token(
    token: RapidProToken, owner: User, make_token: TokenMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    winner = make_token(owner, secret=NEW_SECRET, label="Winner")
    answers = iter([None, winner])
    monkeypatch.setattr(services, "find_token", lambda *args: next(answers))
    with pytest.raises(TokenAlreadySaved):
        services.replace_token(token, SERVER, Secret(NEW_SECRET), WORKING)
    token.refresh_from_db()
    assert vault.open_token(token).reveal() == SECRET


def test_other_broken_rule_is_not_swallowed(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "find_token", lambda *args: None)
    broken = CheckOutcome(TokenState.WORKING, 5, "0A1B2C3D")
    with pytest.raises(IntegrityError):
        services.add_token(owner.pk, "Working without a workspace", SERVER, Secret(SECRET), broken)


def test_replacing_a_row_that_is_gone_says_so(token: RapidProToken) -> None:
    RapidProToken.objects.all().delete()
    with pytest.raises(TokenChangedMeanwhile):
        services.replace_token(token, OTHER_SERVER, Secret(NEW_SECRET), WORKING)


def test_token_sealed_under_an_older_key_is_found(token: RapidProToken, owner: User, settings: Settings) -> None:
    old = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    newer = "k2:HxwdGhsYGRYXFBUSExARDg8MDQoLCAkGBwQFAgMAASA="
    settings.TOKEN_KEYS = f"{newer},{old}"
    assert vault.ring().key_ids == ("k2", "k1")
    assert services.find_token(owner.pk, SERVER, Secret(SECRET)) == token


def test_long_names_of_workspaces_are_cut_to_a_label(owner: User) -> None:
    workspace = Workspace(UUID("882f1c30-45b7-4fe2-bff8-12c78de3807e"), name="n" * 500)
    outcome = CheckOutcome(TokenState.WORKING, 5, "0A1B2C3D", workspace=workspace)
    saved = services.add_token(owner.pk, "", SERVER, Secret(SECRET), outcome)
    assert (len(saved.label), len(saved.workspace_name)) == (80, 255)


def test_name_of_a_workspace_is_one_line_of_a_label(owner: User) -> None:
    name = " Health\r\n\nWhat to do\u2028Open "
    workspace = Workspace(UUID("882f1c30-45b7-4fe2-bff8-12c78de3807e"), name=name)
    outcome = CheckOutcome(TokenState.WORKING, 5, "0A1B2C3D", workspace=workspace)
    assert services.add_token(owner.pk, "", SERVER, Secret(SECRET), outcome).label == "Health What to do Open"
