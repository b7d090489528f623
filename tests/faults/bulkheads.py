"""What one tenant's hanging server costs another tenant, as a ratio: `python -m tests.faults.bulkheads`.

The real site in a process of its own. Rounds alternate: one while all is idle, one while the first tenant has taken
all of their permits on a server that says nothing and as many more of their requests wait for one. Each round asks for
the other tenant's pages one after the other. A run takes less than a minute; loopback only. Ends with 1 if the
other tenant's 95th percentile is more than LIMIT times its idle value.
"""

import asyncio
import statistics
import sys
import time

from tests.faults.server import flow
from tests.faults.site import Site, running, upstream
from tests.faults.test_site import PERMITS, day, hang_all_permits
from tests.rapidpro_integration.client.loopback import Hanging, always, answer, page

LIMIT = 2.0
ROUNDS, PAGES = 8, 60


async def times_ms(site: Site) -> list[float]:
    """Return how long each of the other tenant's pages took."""
    times = []
    for number in range(PAGES):
        started = time.perf_counter()
        status, _ = await site.get("omar", day(number % 28))
        times.append((time.perf_counter() - started) * 1000)
        assert status == 200
    return times


def p95(times: list[float]) -> float:
    """Return the 95th percentile."""
    return statistics.quantiles(times, n=20)[-1]


async def measure() -> tuple[list[float], list[float]]:
    """Return the 95th percentile of each round, idle ones and such beside a server that hangs."""
    idle, beside = list[float](), list[float]()
    hanging = Hanging()
    rows = [flow(f"Flow {number}") for number in range(50)]
    async with (
        upstream(hanging) as bad,
        upstream(always(answer(page(*rows)))) as good,
        running({"amina": bad.origin, "omar": good.origin}) as site,
    ):
        await times_ms(site)
        for _ in range(ROUNDS):
            idle.append(p95(await times_ms(site)))
            browsers = await hang_all_permits(site, "amina", hanging)
            browsers += [await site.open("amina", f"?before=2026-02-{number + 1:02}") for number in range(PERMITS)]
            beside.append(p95(await times_ms(site)))
            assert hanging.connected == PERMITS
            for browser in browsers:
                browser.close()
            await hanging.until(connected=0, seconds=5)
    return idle, beside


def main() -> int:
    """Measure, and print the figures."""
    idle, beside = asyncio.run(measure())
    ratio = statistics.median(beside) / statistics.median(idle)
    print(f"{ROUNDS} rounds of {PAGES} pages each way, {PERMITS} hanging and {PERMITS} waiting requests")  # noqa: T201
    for name, rounds in (("idle", idle), ("beside", beside)):
        shown = " ".join(f"{value:.1f}" for value in rounds)
        print(f"{name:<7} p95 in ms, median {statistics.median(rounds):.1f}: {shown}")  # noqa: T201
    print(f"ratio {ratio:.2f}, at most {LIMIT} is allowed")  # noqa: T201
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
