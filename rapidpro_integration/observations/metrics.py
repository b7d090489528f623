"""What this process knows of RapidPro servers, and the database of tokens and tasks, for /metrics.

A server is named only if the settings name it: others are some tenant's affair, and together "other".
"""

from collections.abc import Iterator, Sequence
from functools import reduce

from django.apps import apps
from django.db.models import Count, Model
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from config import metrics
from rapidpro_integration import servers
from rapidpro_integration.client import pools, transport
from rapidpro_integration.models import RapidProToken, TokenState
from rapidpro_integration.observations.histogram import BOUNDS_MS
from rapidpro_integration.observations.recorder import ServerCounts, recorder

OTHER = "other"
_TASKS = "django_tasks_db"


def label_of(server: str) -> str:
    """Return what a server may be called where people outside of the site read it."""
    return servers.host(server) if server in servers.named() else OTHER


class ClientMetrics(Collector):
    """What the client of this process has counted, and what it holds back at present."""

    def collect(self) -> Iterator[Metric]:
        """Yield requests and durations by server, open breakers, permits, waits and tries again that are left."""
        totals = _by_label(recorder.totals())
        requests = CounterMetricFamily(
            "console_upstream_requests",
            "Requests to RapidPro by server and how they ended.",
            labels=["server", "outcome"],
        )
        seconds = HistogramMetricFamily(
            "console_upstream_seconds", "How long answers of RapidPro, and waits in vain, took.", labels=["server"]
        )
        for server, counts in totals.items():
            for outcome, count in sorted(counts.outcomes.items()):
                requests.add_metric([server, outcome], count)
            seconds.add_metric([server], _buckets(counts.durations), counts.duration_ms / 1000)
        yield requests
        yield seconds
        breakers = GaugeMetricFamily(
            "console_breakers_open",
            "Breakers that hold requests back, of all people or of one token.",
            labels=["server"],
        )
        paused = dict.fromkeys([*map(servers.host, servers.named()), OTHER], 0)
        for origin, count in transport.breaker.paused().items():
            paused[label_of(origin)] += count
        for server, count in paused.items():
            breakers.add_metric([server], count)
        yield breakers
        under_way, waiting = pools.under_way()
        yield _gauge("console_upstream_under_way", "Requests to RapidPro under way.", under_way)
        yield _gauge("console_upstream_waiting", "Requests that wait for a permit to go out.", waiting)
        yield _gauge(
            "console_upstream_retries_left", "Tries again that are left in the budget.", transport.retry_budget.left
        )
        yield _gauge(
            "console_workspaces_waiting",
            "Workspaces, by throttle scope, that are left alone after a 429.",
            transport.quota.waiting(),
        )


def from_database() -> Sequence[Metric]:
    """Return the numbers of tokens by state and of tasks by queue and status."""
    tokens = GaugeMetricFamily("console_tokens", "Saved tokens by state.", labels=["state"])
    counts = dict(RapidProToken.objects.order_by().values_list("state").annotate(number=Count("*")))
    for state in sorted(TokenState.values):
        tokens.add_metric([state], counts.get(state, 0))
    if not apps.is_installed(_TASKS):
        return [tokens]
    tasks = GaugeMetricFamily(
        "console_tasks", "Background tasks that are not done, by queue and status.", labels=["queue", "status"]
    )
    # Those that are done are kept for a while, and are the most by far.
    rows = _task_results()._default_manager.exclude(status="SUCCESSFUL").order_by()
    for queue, status, count in rows.values_list("queue_name", "status").annotate(Count("pk")):
        tasks.add_metric([queue, status.lower()], count)
    return [tokens, tasks]


def _task_results() -> type[Model]:
    # By name: the app's label is not its module's, and it need not be there.
    (found,) = [model for model in apps.get_models() if model.__name__ == "DBTaskResult"]
    return found


def connect() -> None:
    """Have /metrics tell of it all."""
    metrics.registry.register(ClientMetrics())
    metrics.from_database(from_database)


def _gauge(name: str, told: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, told, value=value)


def _by_label(totals: dict[str, ServerCounts]) -> dict[str, ServerCounts]:
    found: dict[str, ServerCounts] = {}
    for server, counts in totals.items():
        found.setdefault(label_of(server), ServerCounts()).add(counts)
    return dict(sorted(found.items()))


def _buckets(durations: Sequence[int]) -> list[tuple[str, float]]:
    # Prometheus counts upwards: each bucket holds those before it.
    sums = reduce(lambda found, count: [*found, found[-1] + count], durations, [0])[1:]
    return list(zip([*(str(bound / 1000) for bound in BOUNDS_MS), "+Inf"], map(float, sums), strict=True))
