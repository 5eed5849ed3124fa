"""What the handler tells Prometheus beside TorchServe's own metrics, which have no percentiles.

TorchServe runs several worker processes. With PROMETHEUS_MULTIPROC_DIR set, prometheus-client
keeps each worker's values in files there, and any worker can answer for all. So every worker
listens on the same port (SO_REUSEPORT) and the kernel picks one: no further process, and a worker
that dies takes no metrics with it.
"""

import os
import socketserver
import threading
import time
from collections import Counter as Counts
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    make_wsgi_app,
)
from prometheus_client.multiprocess import MultiProcessCollector

from homefeed.release import redis_users
from serving.torchserve.protocol import UserFeatures
from serving.torchserve.sidecar_client import Reason

BUCKETS_SECONDS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0015, 0.002, 0.003, 0.004, 0.005, 0.0075, 0.01, 0.015, 0.02,
    0.03, 0.05, 0.1, 0.25, 0.5, 1.0,
)  # fmt: skip
"""A batch takes 1 to 10 ms; Prometheus' defaults begin at 5."""
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128)

STAGES = ("hydrate", "encode", "tower", "search", "merge", "total")
OUTCOMES = ("ok", "degraded", "invalid")


class Metrics:
    """The handler's metrics; no label ever holds anything of a request."""

    def __init__(self) -> None:
        disable_created_metrics()  # a second series for every one, which no query reads
        self.registry = CollectorRegistry()
        stages = Histogram(
            "homefeed_retrieval_stage_seconds",
            "Seconds a batch of requests spent in each stage, and in all of them.",
            ["stage"],
            buckets=BUCKETS_SECONDS,
            registry=self.registry,
        )
        self._stages = {stage: stages.labels(stage) for stage in STAGES}
        self.batch_size = Histogram(
            "homefeed_retrieval_batch_size",
            "Requests a batch.",
            buckets=BATCH_BUCKETS,
            registry=self.registry,
        )
        requests = Counter(
            "homefeed_retrieval_requests",
            "Requests by how they were answered.",
            ["outcome"],
            registry=self.registry,
        )
        self._requests = {outcome: requests.labels(outcome) for outcome in OUTCOMES}
        self.cold_starts = Counter(
            "homefeed_retrieval_cold_starts",
            "Requests for a user of whom nothing is known.",
            registry=self.registry,
        )
        users = Counter(
            "homefeed_retrieval_users",
            "Requests by where what is known of the user comes from.",
            ["features"],
            registry=self.registry,
        )
        self._users = {source: users.labels(source.value) for source in UserFeatures}
        self.unusable_users = Counter(
            "homefeed_retrieval_unusable_users",
            "Users whose record in Redis the release cannot use.",
            registry=self.registry,
        )
        redis_failures = Counter(
            "homefeed_retrieval_redis_failures",
            "Batches that Redis did not answer, by reason; paused: it was not asked again so soon.",
            ["reason"],
            registry=self.registry,
        )
        self._redis_failures = {
            reason: redis_failures.labels(reason.value) for reason in redis_users.Reason
        }
        self.refused_queries = Counter(
            "homefeed_retrieval_refused_queries",
            "Requests whose search the sidecar refused, while it answered those beside them.",
            registry=self.registry,
        )
        failures = Counter(
            "homefeed_retrieval_sidecar_failures",
            "Batches that the sidecar did not answer, by reason; paused: it was not asked so soon.",
            ["reason"],
            registry=self.registry,
        )
        self._failures = {reason: failures.labels(reason.value) for reason in Reason}

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Adds the time inside to a stage, however it ends."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._stages[stage].observe(time.perf_counter() - started)

    def count_requests(self, outcomes: Iterable[str]) -> None:
        """Counts requests by how they were answered."""
        for outcome, number in Counts(outcomes).items():
            self._requests[outcome].inc(number)

    def count_failure(self, reason: Reason) -> None:
        """Counts one batch that the sidecar did not answer."""
        self._failures[reason].inc()

    def count_redis_failure(self, reason: redis_users.Reason) -> None:
        """Counts one batch that Redis did not answer."""
        self._redis_failures[reason].inc()

    def count_users(self, sources: Iterable[UserFeatures]) -> None:
        """Counts requests by where what is known of their users comes from."""
        for source, number in Counts(sources).items():
            self._users[source].inc(number)


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    allow_reuse_port = True
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Scrapes are no news."""


def serve_metrics(host: str, port: int) -> None:
    """Serves all workers' metrics from a thread of this one, for as long as it lives."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=os.environ["PROMETHEUS_MULTIPROC_DIR"])
    app = make_wsgi_app(registry)
    server = make_server(host, port, app, server_class=_Server, handler_class=_QuietHandler)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
