"""The numbers of this process for Prometheus: each process answers for itself.

No label holds what belongs to a tenant: no person, workspace, token, nor a server that is not named in the settings.
docs/operations.md describes every metric; a test compares.
"""

import hmac
import ipaddress
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from allauth.account.adapter import get_adapter
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError
from django.http import HttpRequest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from config.asides import Aside

logger = logging.getLogger(__name__)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: How long the database may take for its part, and how long a scraper gets the last one.
DATABASE_S = 0.8
KEPT_S = 5.0

# When a counter began would be as many lines again, which nobody reads.
disable_created_metrics()  # type: ignore[no-untyped-call]
registry = CollectorRegistry(auto_describe=True)
ProcessCollector(registry=registry)

requests_total = Counter(
    "console_requests", "Requests of the site that were answered.", ["view", "status"], registry=registry
)
request_seconds = Histogram(
    "console_request_seconds",
    "How long the site took to answer.",
    ["view"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=registry,
)
requests_under_way = Gauge("console_requests_under_way", "Requests of the site under way.", registry=registry)

type Reader = Callable[[], Sequence[Metric]]
_database_readers: list[Reader] = []


def from_database(read: Reader) -> None:
    """Have `read` called, in a thread and with a time-out, for metrics that only the database knows."""
    _database_readers.append(read)


class _DatabaseMetrics(Collector):
    """What the database said for the present scrape."""

    def __init__(self) -> None:
        self.found: Sequence[Metric] | None = None

    def describe(self) -> Sequence[Metric]:
        """Return nothing: the registry would ask the database for the names."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield whether the database answered, and what."""
        is_up = self.found is not None
        told = "1 if the database answered for this scrape, else 0: what it alone knows is left out then."
        yield GaugeMetricFamily("console_database_up", told, value=is_up)
        yield from self.found or ()


_database = _DatabaseMetrics()
registry.register(_database)


def _read_database() -> Sequence[Metric]:
    return [metric for read in _database_readers for metric in read()]


_aside = Aside(_read_database, limit_s=DATABASE_S, kept_s=KEPT_S)


async def atext() -> bytes:
    """Return all metrics in Prometheus' text format, within a second."""
    try:
        _database.found = await _aside.ask()
    except (TimeoutError, DatabaseError) as error:
        _database.found = None
        logger.warning("Metrics without what the database knows (%s).", type(error).__name__)
    return generate_latest(registry)


def forget() -> None:
    """Ask the database anew at the next scrape. For tests."""
    _aside.forget()


@contextmanager
def measured() -> Iterator[Callable[[str, int], None]]:
    """Count what happens inside as a request under way; what is yielded counts its answer by view and status.

    One whose client leaves before is counted nowhere.
    """
    started = time.perf_counter()

    def done(view: str, status: int) -> None:
        requests_total.labels(view, str(status)).inc()
        request_seconds.labels(view).observe(time.perf_counter() - started)

    requests_under_way.inc()
    try:
        yield done
    finally:
        requests_under_way.dec()


def may_read(request: HttpRequest) -> bool:
    """Return whether it has METRICS_KEY or comes from one of METRICS_ADDRESSES; with neither set, nobody may."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if settings.METRICS_KEY and scheme.lower() == "bearer":
        return hmac.compare_digest(key.strip().encode(), settings.METRICS_KEY.encode())
    if not settings.METRICS_ADDRESSES:
        return False
    try:
        # The adapter's answer, so that the same proxies are believed as everywhere.
        address = ipaddress.ip_address(get_adapter().get_client_ip(request))
    except (PermissionDenied, ValueError):
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in network for network in settings.METRICS_ADDRESSES)
