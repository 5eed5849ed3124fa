"""The autoscaler sees both containers' CPU and the requests, and makes more pods of it."""

import json
import time
from typing import Any

import pytest

from tests.cluster.answers import Traffic
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


@needs_cluster
@pytest.mark.usefixtures("restored", "prometheus")
def test_load_makes_more_pods(service: Service, traffic: Traffic) -> None:
    if not kubectl("get", "apiservice", "v1beta2.custom.metrics.k8s.io", "--ignore-not-found"):
        pytest.skip("needs an adapter that serves custom metrics of pods")
    # One request a second and pod: any traffic is more.
    settings = {"enabled": "true", "minReplicas": 2, "maxReplicas": 3, "requestsPerSecond": 1}
    options = ",".join(f"autoscaling.{name}={value}" for name, value in settings.items())
    code, complaint = service.helm("upgrade", "--timeout", "3m", "--set", options)
    assert code == 0, complaint
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
