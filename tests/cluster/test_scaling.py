"""The autoscaler sees both containers' CPU and the requests, and makes more pods of it."""

import json
import time
from typing import Any

import pytest

from tests.cluster.answers import Traffic
from tests.cluster.figures import Figures
from tests.cluster.service import OBJECTS, Service, is_ready
from tests.kubectl import kubectl, needs_cluster

SCALING_SECONDS = 180


def autoscaler(service: Service) -> dict[str, Any]:
    found = kubectl("get", "hpa", OBJECTS, "--namespace", service.namespace, "--output=json")
    return json.loads(found)["status"]


def measured(status: dict[str, Any]) -> set[str]:
    """The container of each measured CPU, and the name of each custom metric."""
    return {
        each["containerResource"]["container"]
        if each["type"] == "ContainerResource"
        else each["pods"]["metric"]["name"]
        for each in status.get("currentMetrics") or []
        # One that cannot be read is there with an empty type.
        if each["type"] in ("ContainerResource", "Pods")
    }


@pytest.fixture
def adapter(prometheus: str) -> None:
    if not kubectl("get", "apiservice", "v1beta2.custom.metrics.k8s.io", "--ignore-not-found"):
        pytest.skip("needs an adapter that serves custom metrics of pods")


def autoscale(service: Service, **settings: Any) -> str:
    """Two pods, or three of more than so many requests a second; returns the settings."""
    given = {"enabled": "true", "minReplicas": 2, "maxReplicas": 3, **settings}
    options = ",".join(f"autoscaling.{name}={value}" for name, value in given.items())
    code, complaint = service.helm("upgrade", "--timeout", "3m", "--set", options)
    assert code == 0, complaint
    return options


@needs_cluster
@pytest.mark.usefixtures("restored", "adapter")
def test_load_makes_more_pods(service: Service, traffic: Traffic) -> None:
    # One request a second and pod: any traffic is more.
    options = autoscale(service, requestsPerSecond=1)
    wanted = {"torchserve", "faiss", "ts_inference_requests_per_second"}
    deadline = time.monotonic() + SCALING_SECONDS
    with traffic.flowing():
        while True:
            status = autoscaler(service)
            ready = [pod for pod in service.pods() if is_ready(pod)]
            if measured(status) == wanted and len(ready) == 3:
                break
            assert time.monotonic() < deadline, (status, service.explain())
            time.sleep(1)
    assert not traffic.wrong()
    # An upgrade leaves the number to the autoscaler.
    code, complaint = service.helm("upgrade", "--timeout", "3m", "--set", options)
    assert code == 0, complaint
    assert autoscaler(service)["desiredReplicas"] == 3


@needs_cluster
@pytest.mark.full
@pytest.mark.usefixtures("restored", "adapter")
def test_pods_come_and_go_with_the_requests(
    service: Service, traffic: Traffic, figures: Figures
) -> None:
    # By requests alone: what a pod uses when it is idle is much of the CPU that these reserve.
    autoscale(service, requestsPerSecond=20, cpuPercent=0, scaleDownSeconds=15)
    assert len(service.ready()) == 2
    with traffic.flowing():
        up = service.wait_until(lambda: len(service.ready()) == 3, SCALING_SECONDS)
    down = service.wait_until(lambda: len(service.pods()) == 2, SCALING_SECONDS)
    assert traffic.failed() == 0
    assert all(traffic.is_right(answer) for answer in traffic.answers)
    configuration = "autoscaler, by requests a second and pod"
    figures.add(configuration, "third pod ready after", up, "seconds")
    figures.add(configuration, "load", traffic.per_second(), "requests/s")
    figures.add(configuration, "third pod gone after the load, 15 s of them asked for", down,
                "seconds")  # fmt: skip
