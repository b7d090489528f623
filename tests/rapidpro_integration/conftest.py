"""Key rings for the tests of the vault's keys: an old one, a newer one, and one that is not what it says."""

from collections.abc import Callable

import pytest
from pytest_django import Settings

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
