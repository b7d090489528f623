"""Key rings for the tests of the vault's keys: an old one, a newer one, and one that is not what it says.

And reasons for which a check asks nothing.
"""

from collections.abc import Callable
from functools import partial

import pytest
from pytest_django import Settings

from rapidpro_integration.client import api
from rapidpro_integration.client.permits import Limits
from rapidpro_integration.models import Server
from tests.conftest import SERVER

# The key of tests/settings.py, another, and a third.
K1 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
K2 = "HxwdGhsYGRYXFBUSExARDg8MDQoLCAkGBwQFAgMAASA="
K3 = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="

ONLY_OLD, BOTH, ONLY_NEW = f"k1:{K1}", f"k2:{K2},k1:{K1}", f"k2:{K2}"
WRONG = f"k1:{K3}"

type UseKeys = Callable[[str], None]


@pytest.fixture
def use_keys(settings: Settings) -> UseKeys:
    """Return a function that gives the site other keys, as a restart with other settings does."""

    def use(keys: str) -> None:
        settings.TOKEN_KEYS = keys

    return use


@pytest.fixture(params=["busy", "paused"])
def asks_nothing(request: pytest.FixtureRequest, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no check send a request: no permit is free, or staff have paused the server."""
    if request.param == "busy":
        monkeypatch.setattr(api, "Limits", partial(Limits, process=0, wait_s=0.001))
    else:
        Server.objects.filter(origin=SERVER).update(paused=True)
