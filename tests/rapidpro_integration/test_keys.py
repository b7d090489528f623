"""Keys from a provider: the same rules as for keys in the settings, and nothing of a key in an error."""

import base64
from collections.abc import Mapping

import pytest
from pytest_django import Settings

from rapidpro_integration import vault
from rapidpro_integration.keys import KeyProvider, KeyRingError
from rapidpro_integration.vault import Secret
from tests.rapidpro_integration.conftest import K1, K2

OLD, NEW = base64.b64decode(K1), base64.b64decode(K2)


class KeyService:
    """A provider as one writes it for a key service: made without arguments, called once."""

    calls = 0

    def __call__(self) -> Mapping[str, bytes]:
        type(self).calls += 1
        return {"cloud-2": NEW, "cloud-1": OLD}


def from_a_function() -> Mapping[str, bytes]:
    return {"f1": OLD}


def unreachable() -> Mapping[str, bytes]:
    raise TimeoutError(f"no answer for {K1}")


def no_keys() -> Mapping[str, bytes]:
    return {}


def no_mapping() -> Mapping[str, bytes]:
    return K1  # type: ignore[return-value]


def text_key() -> Mapping[str, bytes]:
    return {"k1": K1}  # type: ignore[dict-item]


def odd_id() -> Mapping[str, bytes]:
    return {"K 1": OLD}


def short_key() -> Mapping[str, bytes]:
    return {"k1": OLD[:16]}


def same_twice() -> Mapping[str, bytes]:
    return {"k1": OLD, "k2": OLD}


def secret_key() -> Mapping[str, bytes]:
    return {"k1": OLD}


def use(settings: Settings, provider: str) -> None:
    settings.TOKEN_KEYS_PROVIDER = f"{__name__}.{provider}"


def test_provider_wins_over_the_settings_and_is_asked_once(settings: Settings) -> None:
    provider: KeyProvider = KeyService()
    assert list(provider()) == ["cloud-2", "cloud-1"]
    KeyService.calls = 0
    use(settings, "KeyService")
    assert [vault.ring().key_ids for _ in range(3)] == [("cloud-2", "cloud-1")] * 3
    assert KeyService.calls == 1
    assert vault.open_factor(vault.seal_factor(Secret("seed"))) == Secret("seed")


def test_provider_may_be_a_function(settings: Settings) -> None:
    use(settings, "from_a_function")
    assert vault.ring().key_ids == ("f1",)


@pytest.mark.parametrize(
    ("provider", "words"),
    [
        ("unreachable", "TimeoutError"),
        ("is_not_there", "ImportError"),
        ("no_keys", "no key"),
        ("no_mapping", "ValueError"),
        ("text_key", "32 bytes"),
        ("odd_id", "32 bytes"),
        ("short_key", "16 bytes"),
        ("same_twice", "another id"),
    ],
)
def test_provider_that_gives_no_usable_keys_stops_the_start(settings: Settings, provider: str, words: str) -> None:
    use(settings, provider)
    with pytest.raises(KeyRingError) as caught:
        vault.ring()
    message = str(caught.value)
    assert message.startswith("TOKEN_KEYS_PROVIDER: ")
    assert words in message
    assert K1 not in message
    assert caught.value.__context__ is None


def test_provider_that_returns_the_secret_key_is_refused(settings: Settings) -> None:
    settings.SECRET_KEY = K1
    use(settings, "secret_key")
    with pytest.raises(KeyRingError, match="SECRET_KEY"):
        vault.ring()
