import pytest

from rapidpro_integration.sandbox.app import create_app
from rapidpro_integration.sandbox.errors import Throttled
from rapidpro_integration.sandbox.throttle import Rate, Throttle
from tests.clock import Clock
from tests.rapidpro_integration.sandbox.conftest import Ask


def test_the_window_slides() -> None:
    clock = Clock(0)
    throttle = Throttle(clock, {"v2": "2/minute"})
    throttle.count("a", "v2")
    clock.now = 50
    throttle.count("a", "v2")

    clock.now = 59.5
    with pytest.raises(Throttled) as caught:
        throttle.count("a", "v2")
    clock.now = 60
    throttle.count("a", "v2")

    assert caught.value.retry_after_s == 1
    assert caught.value.detail == "Request was throttled. Expected available in 1 second."
    with pytest.raises(Throttled, match="in 50 seconds"):
        throttle.count("a", "v2")


def test_throttled_requests_do_not_lengthen_the_wait() -> None:
    clock = Clock(0)
    throttle = Throttle(clock, {"v2": "1/minute"})
    throttle.count("a", "v2")

    for clock.now in (10, 20, 58):
        with pytest.raises(Throttled) as caught:
            throttle.count("a", "v2")

    assert caught.value.retry_after_s == 2
    clock.now = 60
    throttle.count("a", "v2")


def test_each_workspace_and_scope_has_its_own_count() -> None:
    throttle = Throttle(Clock(0), dict.fromkeys(("v2", "v2.runs"), "1/hour"))

    throttle.count("a", "v2")
    throttle.count("b", "v2")
    throttle.count("a", "v2.runs")
    with pytest.raises(Throttled):
        throttle.count("a", "v2")


def test_a_rate_of_none_never_throttles() -> None:
    throttle = Throttle(Clock(0), {"v2": "none"})

    for _ in range(5000):
        throttle.count("a", "v2")


@pytest.mark.parametrize("text", ["", "5", "5/", "x/minute", "0/minute", "-1/hour", "5/fortnight"])
def test_an_unreadable_rate_is_refused_at_the_start(text: str) -> None:
    with pytest.raises(ValueError, match="is no rate"):
        create_app(rates={"v2": text})


def test_days_and_seconds_are_rates_too() -> None:
    assert Rate.parse("7/day") == Rate(7, 86400)
    assert Rate.parse("7/s") == Rate(7, 1)


async def test_two_tokens_of_one_workspace_share_its_count(ask: Ask) -> None:
    app = create_app(rates={"v2": "2/minute"}, clock=Clock(0))

    statuses = [
        (await ask("flows.json", token, app)).status_code for token in ("clinics", "spare", "clinics", "districts")
    ]

    assert statuses == [200, 200, 429, 200]


async def test_refusals_are_not_counted_and_errors_are(ask: Ask) -> None:
    app = create_app(rates={"v2": "2/minute"}, clock=Clock(0))

    statuses = [
        (await ask(path, token, app)).status_code
        for path, token in [
            *[("flows.json", "agent")] * 3,
            *[("flows.json", "revoked")] * 3,
            *[("flows.json?uuid=", "national")] * 3,
        ]
    ]

    assert statuses == [403] * 6 + [400, 400, 429]
