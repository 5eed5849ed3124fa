"""Pods and processes are killed while the service is asked without pause."""

import json
import subprocess
from typing import Any

from tests.cluster.answers import Traffic
from tests.cluster.figures import Figures
from tests.cluster.pods import Node
from tests.cluster.service import Service, restarts
from tests.kubectl import kubectl, needs_cluster

WORKER = """
import json, urllib.request
asked = urllib.request.urlopen("http://127.0.0.1:8081/models/homefeed")
print(json.dumps(json.load(asked)[0]["workers"][0]))
"""


def check(traffic: Traffic, figures: Figures, event: str, seconds_to_heal: float) -> None:
    assert traffic.answers
    by_time = sorted(traffic.answers, key=lambda answer: answer["asked"])
    assert traffic.is_right(by_time[0])
    assert traffic.is_right(by_time[-1])
    assert not traffic.wrong()
    figures.add(event, "pods all ready again after", seconds_to_heal, "seconds")
    figures.add(event, "answers disturbed for", traffic.seconds_disturbed(), "seconds")
    figures.add(event, "requests", len(traffic.answers), "")
    figures.add(event, "failed requests", traffic.failed(), "")
    figures.add(event, "degraded answers", traffic.degraded(), "")


@needs_cluster
def test_a_pod_is_deleted(service: Service, traffic: Traffic, figures: Figures) -> None:
    victim = service.pods()[0]["metadata"]["name"]
    with traffic.flowing():
        kubectl("delete", "pod", victim, "--namespace", service.namespace, "--wait=false")
        healed = service.wait_until(
            lambda: victim not in names(service) and len(service.ready()) == 2
        )
    check(traffic, figures, "a pod of two deleted", healed)
    assert traffic.failed() == 0
    assert traffic.degraded() == 0


@needs_cluster
def test_the_sidecar_is_killed(
    service: Service, traffic: Traffic, node: Node, figures: Figures
) -> None:
    victim = service.pods()[0]
    before = restarts(victim, "faiss")
    with traffic.flowing():
        node.signal(victim, "serving.index_sidecar")
        healed = service.wait_until(
            lambda: restarts(service.pods()[0], "faiss") > before and len(service.ready()) == 2
        )
    check(traffic, figures, "kill -9 of a sidecar", healed)
    assert traffic.failed() == 0


@needs_cluster
def test_a_worker_is_killed(
    service: Service, traffic: Traffic, node: Node, figures: Figures
) -> None:
    victim = service.pods()[0]
    killed = worker(service, victim)
    with traffic.flowing():
        node.signal(victim, "model_service_worker.py")
        healed = service.wait_until(lambda: worker(service, victim) not in (None, killed))
    check(traffic, figures, "kill -9 of a TorchServe worker", healed)
    assert restarts(service.pods()[0], "torchserve") == restarts(victim, "torchserve")
    assert traffic.degraded() == 0


def names(service: Service) -> list[str]:
    return [pod["metadata"]["name"] for pod in service.pods()]


def worker(service: Service, pod: dict[str, Any]) -> int | None:
    """Process id of a pod's worker, in its container; None while none is ready."""
    command = service.exec_command(pod, "torchserve", "python", "-c", WORKER)
    asked = subprocess.run(command, capture_output=True, text=True)
    assert asked.returncode == 0, asked.stderr
    found = json.loads(asked.stdout)
    return found["pid"] if found["status"] == "READY" else None
