"""What the sidecar tells Prometheus."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from homefeed.index.candidates import Strategy
from homefeed.release.refresh import Reason

BUCKETS_SECONDS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0,
)  # fmt: skip
"""Searches take 0.1 ms to some 10 ms; Prometheus' defaults begin where these end."""

SIDECAR_REASONS = (Reason.CORRUPT, Reason.SCHEMA, Reason.EMBEDDING_SPACE, Reason.METRIC)
"""Why the sidecar refuses a release; the others are those of its fetch."""
BUCKETS_RECALL = (0.5, 0.8, 0.9, 0.925, 0.95, 0.975, 0.99, 0.999, 1.0)


class Metrics:
    """The sidecar's metrics, in a registry of their own."""

    def __init__(self) -> None:
        disable_created_metrics()  # a second series for every one, which no query reads
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.requests = Counter(
            "homefeed_sidecar_requests",
            "Search requests by HTTP status.",
            ["status"],
            registry=self.registry,
        )
        stages = Histogram(
            "homefeed_sidecar_stage_seconds",
            "Seconds a request spent waiting for a search thread, and searching.",
            ["stage"],
            buckets=BUCKETS_SECONDS,
            registry=self.registry,
        )
        self.queue_seconds = stages.labels("queue")
        self.search_seconds = stages.labels("search")
        self.pending = Gauge(
            "homefeed_sidecar_pending_requests",
            "Requests that wait for a search thread or are being searched.",
            registry=self.registry,
        )
        strategies = Counter(
            "homefeed_sidecar_queries",
            "Queries by how the filter planner had them answered; once for each of their filters.",
            ["strategy"],
            registry=self.registry,
        )
        self._strategies = {each: strategies.labels(each.value) for each in Strategy}
        self.refused_queries = Counter(
            "homefeed_sidecar_refused_queries",
            "Queries that do not fit the index; those beside them are answered.",
            registry=self.registry,
        )
        self.recall = Histogram(
            "homefeed_sidecar_recall",
            "Share of the best pins that sampled queries of the approximate index found.",
            buckets=BUCKETS_RECALL,
            registry=self.registry,
        )
        self._num_pins = Gauge(
            "homefeed_sidecar_index_pins", "Pins in the index.", registry=self.registry
        )
        self._index = Gauge(
            "homefeed_sidecar_index_info",
            "1 for the index that is current.",
            ["version", "embedding_space"],
            registry=self.registry,
        )
        self._created_at = Gauge(
            "homefeed_sidecar_index_created_timestamp_seconds",
            "When the release of the index was made, in Unix seconds.",
            registry=self.registry,
        )

        self.refused_releases = Counter(
            "homefeed_sidecar_refused_releases",
            "Releases that could not take the place of the current one, by reason; once each.",
            ["reason"],
            registry=self.registry,
        )
        for reason in SIDECAR_REASONS:
            self.refused_releases.labels(reason.value)

    def count_strategy(self, strategy: Strategy) -> None:
        """Counts one filter of a query by how it was answered."""
        self._strategies[strategy].inc()

    def set_index(self, version: str, created_at: int, embedding_space: str, num_pins: int) -> None:
        """Says which index is current; `created_at` is in Unix seconds."""
        self._num_pins.set(num_pins)
        self._created_at.set(created_at)
        self._index.clear()
        self._index.labels(version, embedding_space).set(1)

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)
