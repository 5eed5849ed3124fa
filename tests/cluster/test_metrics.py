"""Prometheus on the cluster finds every container's metrics, and the memory of each is measured."""

import os
import time
from collections import Counter

import pytest

from images.measure import pull_bytes, size_bytes
from tests.cluster.answers import Traffic
from tests.cluster.figures import Figures
from tests.cluster.prometheus import query
from tests.cluster.service import OBJECTS, Images, Service
from tests.kubectl import kubectl, needs_cluster

SCRAPE_SECONDS = 60
TORCHSERVE, SIDECAR = "torchserve", "faiss"
CONTAINERS = (TORCHSERVE, SIDECAR, "follow-release")
STAGES = {
    "homefeed_retrieval_stage_seconds": {"hydrate", "encode", "tower", "search", "merge", "total"},
    "homefeed_sidecar_stage_seconds": {"queue", "search"},
}


@needs_cluster
def test_prometheus_scrapes_both_containers_and_latency_by_stage(
    service: Service, traffic: Traffic, prometheus: str
) -> None:
    own = f'namespace="{service.namespace}"'
    pods = {pod["metadata"]["name"] for pod in service.pods()}
    ports = {(TORCHSERVE, pod) for pod in pods} | {(SIDECAR, pod) for pod in pods}
    deadline = time.monotonic() + SCRAPE_SECONDS
    with traffic.flowing():
        while True:
            up = query(prometheus, f"min by (container, pod) (up{{{own}}}) == 1")
            scraped = {(each["metric"]["container"], each["metric"]["pod"]) for each in up}
            stages = {name: counted_stages(prometheus, name, own, pods) for name in STAGES}
            if scraped >= ports and stages == STAGES:
                break
            assert time.monotonic() < deadline, (scraped, stages)
            time.sleep(1)
    for histogram in STAGES:
        # A histogram, not a counter of seconds: quantiles can be asked for.
        per_bucket = f"sum by (stage, le) (rate({histogram}_bucket{{{own}}}[1m]))"
        found = query(prometheus, f"histogram_quantile(0.99, {per_bucket})")
        assert {each["metric"]["stage"] for each in found} == STAGES[histogram]


def counted_stages(prometheus: str, histogram: str, own: str, pods: set[str]) -> set[str]:
    """The stages that every pod has counted."""
    counts = query(prometheus, f"sum by (stage, pod) ({histogram}_count{{{own}}}) > 0")
    found = {(each["metric"]["stage"], each["metric"]["pod"]) for each in counts}
    return {stage for stage, _ in found if {(stage, pod) for pod in pods} <= found}


@needs_cluster
def test_memory_of_each_container(service: Service, traffic: Traffic, figures: Figures) -> None:
    with traffic.flowing():
        pass
    deadline = time.monotonic() + SCRAPE_SECONDS
    while True:
        top = kubectl("top", "pods", "--containers", "--no-headers", "--namespace",
                      service.namespace)  # fmt: skip
        rows = [line.split() for line in top.splitlines() if line.startswith(OBJECTS)]
        if len(rows) == 2 * len(CONTAINERS):
            break
        assert time.monotonic() < deadline, top
        time.sleep(1)
    for container in CONTAINERS:
        used = [int(row[3].removesuffix("Mi")) for row in rows if row[1] == container]
        assert len(used) == 2
        figures.add(f"container {container}", "memory after traffic", max(used), "MiB")
    of_pods = Counter[str]()
    for pod, _, _, memory in rows:
        of_pods[pod] += int(memory.removesuffix("Mi"))
    figures.add("one pod", "memory after traffic", max(of_pods.values()), "MiB")


@needs_cluster
@pytest.mark.skipif(not os.environ.get("HOMEFEED_E2E_RESULTS"), reason="no figures are wanted")
@pytest.mark.parametrize("name", ["homefeed-torchserve", "homefeed-index-sidecar"])
def test_what_a_node_pulls(images: Images, figures: Figures, name: str) -> None:
    compressed = pull_bytes(images.named(name))
    assert 0 < compressed < size_bytes(images.named(name))
    figures.add(f"image {name}", "pull", compressed / 2**20, "MiB")
