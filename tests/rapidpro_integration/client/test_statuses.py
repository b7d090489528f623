"""What each status means, in words."""

import pytest

from rapidpro_integration.client.statuses import interpretation

KNOWN = [200, 201, 204, 400, 401, 403, 404, 405, 406, 429, 500, 502, 503, 504]


@pytest.mark.parametrize("status", KNOWN)
def test_known_status_is_explained(status: int) -> None:
    text = interpretation(status)
    assert text.startswith(f"{status}: ")
    assert len(text) > 20
    assert "Unknown" not in text


@pytest.mark.parametrize("status", [0, -1, 100, 202, 301, 418, 501, 599, 10**30])
def test_unknown_status_is_said_to_be_unknown(status: int) -> None:
    assert interpretation(status) == f"{status}: Unknown status code"


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (403, ("token", "role", "https")),
        (429, ("workspace", "hour", "Retry-After")),
        (401, ("403",)),
        (404, ("cursor", "empty list")),
    ],
)
def test_explanation_is_the_true_one(status: int, words: tuple[str, ...]) -> None:
    for word in words:
        assert word in interpretation(status)


def test_budget_has_no_fixed_number() -> None:
    assert not any(number in interpretation(429) for number in ("2,500", "2500", "3600", "3,600"))
