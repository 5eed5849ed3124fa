"""Metrics of a service of two pods, minute by minute, as Prometheus has them after a scrape."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from serving.torchserve.metrics import BUCKETS_SECONDS
from tests.helm.chart import NAME, NAMESPACE

REQUESTS = 6000
"""A pod and minute; each is a batch of its own."""
SAMPLES = 60
"""Searches a pod and minute whose recall is measured."""
FAST_SECONDS, SLOW_SECONDS = 0.004, 0.2
PODS = ("7c9d8f6b54-x2x7k", "7c9d8f6b54-q8w4z")
ENDPOINTS = {"metrics": "torchserve", "handler-metrics": "torchserve", "sidecar-metrics": "faiss"}
VERSION = "20260101T000000Z-0123abcd"
LATER_VERSION = "20260102T000000Z-4567cdef"
MISSING = "_"


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Some minutes, and what goes wrong in them: shares of a pod's requests."""

    minutes: int
    failed: float = 0.0
    degraded: float = 0.0
    reason: str = "late"
    """Why the sidecar did not answer those that are degraded."""
    slow: float = 0.0
    redis_failed: float = 0.0
    recall: float = 0.97
    """Of the searches that are sampled."""
    index_age_seconds: int = 3600
    """At the start of the phase."""
    refused: str = ""
    """Why the release of the channel does not take the place of the one that is served."""
    is_up: bool = True
    is_scraped: bool = True


@dataclass
class _Series:
    """One pod's, or the service's."""

    values: dict[str, list[str]] = field(default_factory=dict)
    counters: dict[str, float] = field(default_factory=dict)
    minutes: int = 0

    def count(self, series: str, more: float) -> None:
        self.counters[series] = self.counters.get(series, 0.0) + more
        self.set(series, round(self.counters[series], 3))

    def set(self, series: str, value: float) -> None:
        known = self.values.setdefault(series, [])
        known += [MISSING] * (self.minutes - len(known))
        known.append(f"{value:g}" if abs(value) < 1e5 else f"{value:.3f}")


def play(*phases: Phase, name: str = NAME, first_pod_only: bool = False) -> dict[str, str]:
    """Series by name and labels, for promtool.

    Args:
        phases: one after another.
        name: of the Deployment.
        first_pod_only: the other pod is in good health all the time.
    """
    service = _Series()
    pods = {f"{name}-{end}": _Series() for end in PODS}
    for phase in phases:
        for minute in range(phase.minutes):
            _service_minute(service, phase, name)
            for place, (pod, series) in enumerate(pods.items()):
                is_well = first_pod_only and place > 0
                _pod_minute(series, Phase(minutes=1) if is_well else phase, pod, minute)
    return {
        series: " ".join(values)
        for each in (service, *pods.values())
        for series, values in each.values.items()
    }


def _service_minute(series: _Series, phase: Phase, name: str) -> None:
    labels = {"namespace": NAMESPACE, "deployment": name}
    ready = 2 if phase.is_up else 0
    series.set(_named("kube_deployment_spec_replicas", labels), 2)
    series.set(_named("kube_deployment_status_replicas_available", labels), ready)
    series.minutes += 1


def _pod_minute(series: _Series, phase: Phase, pod: str, minute: int) -> None:
    for endpoint in ENDPOINTS:
        if phase.is_scraped:
            series.set(_named("up", _target(pod, endpoint)), int(phase.is_up))
    if phase.is_up and phase.is_scraped:
        for each in (_torchserve, _handler, _sidecar):
            each(series, phase, pod, minute)
    series.minutes += 1


def _torchserve(series: _Series, phase: Phase, pod: str, minute: int) -> None:
    target = _target(pod, "metrics")
    model = {"model_name": "homefeed", "model_version": "default", "hostname": pod}
    series.count(_named("ts_inference_requests_total", target | model), REQUESTS)
    host = target | {"Level": "Host", "Hostname": pod}
    # Probes and scrapes are answered too.
    series.count(_named("Requests2XX", host), REQUESTS * (1 - phase.failed) + 24)
    failed = _named("Requests5XX", host)
    if phase.failed or failed in series.counters:  # not there before the first
        series.count(failed, REQUESTS * phase.failed)


def _handler(series: _Series, phase: Phase, pod: str, minute: int) -> None:
    target = _target(pod, "handler-metrics")
    answered = REQUESTS * (1 - phase.failed)
    degraded = answered * phase.degraded
    for outcome, count in {"ok": answered - degraded, "degraded": degraded, "invalid": 0}.items():
        name = _named("homefeed_retrieval_requests_total", target | {"outcome": outcome})
        series.count(name, count)
    for reason in (
        "unreachable",
        "late",
        "overloaded",
        "other_embedding_space",
        "refused",
        "paused",
    ):
        name = _named("homefeed_retrieval_sidecar_failures_total", target | {"reason": reason})
        series.count(name, degraded if reason == phase.reason else 0)
    for reason in ("unreachable", "late", "refused", "paused"):
        name = _named("homefeed_retrieval_redis_failures_total", target | {"reason": reason})
        series.count(name, answered * phase.redis_failed if reason == "paused" else 0)
    for le, share in _buckets(phase.slow):
        labels = target | {"stage": "total", "le": le}
        name = _named("homefeed_retrieval_stage_seconds_bucket", labels)
        series.count(name, answered * share)
    for stage in ("hydrate", "total"):
        name = _named("homefeed_retrieval_stage_seconds_count", target | {"stage": stage})
        series.count(name, answered)


def _buckets(slow: float) -> Iterator[tuple[str, float]]:
    """Bounds as prometheus-client writes them, and the share of batches below each."""
    for bound in (*BUCKETS_SECONDS, float("inf")):
        share = (bound >= FAST_SECONDS) * (1 - slow) + (bound >= SLOW_SECONDS) * slow
        yield "+Inf" if bound == float("inf") else repr(bound), share


def _sidecar(series: _Series, phase: Phase, pod: str, minute: int) -> None:
    target = _target(pod, "sidecar-metrics")
    info = target | {"version": VERSION, "embedding_space": "space"}
    series.set(_named("homefeed_sidecar_index_info", info), 1)
    created_at = 60 * (series.minutes - minute) - phase.index_age_seconds
    series.set(_named("homefeed_sidecar_index_created_timestamp_seconds", target), created_at)
    if phase.refused:
        refused = target | {"version": LATER_VERSION, "reason": phase.refused}
        series.set(_named("homefeed_release_refused_info", refused), 1)
    for reason in ("corrupt", "schema", "embedding_space", "metric"):
        name = _named("homefeed_sidecar_refused_releases_total", target | {"reason": reason})
        series.count(name, 0)
    series.count(_named("homefeed_sidecar_recall_sum", target), SAMPLES * phase.recall)
    series.count(_named("homefeed_sidecar_recall_count", target), SAMPLES)


def _target(pod: str, endpoint: str) -> dict[str, str]:
    """The labels that the operator gives to what it scrapes."""
    service = pod.removesuffix(pod[-17:]) + "-metrics"
    return {
        "namespace": NAMESPACE,
        "pod": pod,
        "container": ENDPOINTS[endpoint],
        "endpoint": endpoint,
        "job": service,
        "service": service,
    }


def _named(name: str, labels: Mapping[str, str]) -> str:
    matchers = ", ".join(f'{key}="{value}"' for key, value in labels.items())
    return f"{name}{{{matchers}}}"
