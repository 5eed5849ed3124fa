"""What the exporters of a pod expose, said by the exporters themselves."""

from pathlib import Path
from tempfile import TemporaryDirectory

import ts
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from homefeed.index.search import Strategy
from homefeed.release.refresh import Reason
from serving.follow_status import FollowStatus, write_status
from serving.index_sidecar.follow_metrics import FollowCollector
from serving.index_sidecar.metrics import Metrics as SidecarMetrics
from serving.torchserve.metrics import Metrics as HandlerMetrics

TORCHSERVE = Path(ts.__file__).parent / "configs" / "metrics.yaml"
OF_PROMETHEUS = {"up"}
OF_KUBERNETES = {
    "kube_deployment_spec_replicas",
    "kube_deployment_status_replicas_available",
}
"""Of kube-state-metrics."""


def handler_names() -> set[str]:
    return _names(HandlerMetrics().registry)


def sidecar_names() -> set[str]:
    metrics = SidecarMetrics()
    metrics.set_index("20260101T000000Z-0123abcd", 0, "space", 1)
    metrics.count_strategy(Strategy.ALL)
    metrics.requests.labels(200).inc()
    with TemporaryDirectory() as pod:
        link = Path(pod) / "current"
        write_status(link, FollowStatus(reason=Reason.STORE, failures={Reason.STORE: 1}))
        metrics.registry.register(FollowCollector(link))
        exposition = metrics.exposition().decode()
    return {
        sample.name
        for family in text_string_to_metric_families(exposition)
        for sample in family.samples
    }


def torchserve_names() -> set[str]:
    """Of its frontend; the rest of its list are of a Python process that the chart turns off."""
    return {
        each["name"] for each in yaml.safe_load(TORCHSERVE.read_text())["ts_metrics"]["counter"]
    }


def all_names() -> set[str]:
    own = handler_names() | sidecar_names() | torchserve_names()
    return own | OF_PROMETHEUS | OF_KUBERNETES


def _names(registry: CollectorRegistry) -> set[str]:
    return {sample.name for family in registry.collect() for sample in family.samples}
