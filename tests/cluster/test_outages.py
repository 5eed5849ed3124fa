"""The sidecar runs out of memory, the node is drained, the store is away: the service recovers."""

import subprocess
from typing import Any

import pytest

from tests.cluster.answers import Traffic
from tests.cluster.figures import Figures
from tests.cluster.pods import STORE, Client
from tests.cluster.service import INSTANCE, Service, container_status
from tests.cluster.test_recovery import check, names
from tests.kubectl import kubectl, needs_cluster, run_kubectl

# When the container is at its limit, the kernel ends the process of the highest score: one that
# itself holds much, as the sidecar does beside many small ones.
EAT_ALL = """
import os, pathlib, time
pathlib.Path("/proc/1/oom_score_adj").write_text("1000")
for _ in range(64):
    if not os.fork():
        held = b"x" * 2**23
        time.sleep(60)
time.sleep(60)
"""


@needs_cluster
@pytest.mark.full
def test_the_sidecar_reaches_its_memory_limit(
    service: Service, traffic: Traffic, figures: Figures
) -> None:
    victim = service.pods()[0]

    def ended() -> dict[str, Any]:
        return last_end(service.pods()[0], "faiss")

    with traffic.flowing():
        subprocess.run(service.exec_command(victim, "faiss", "python", "-c", EAT_ALL))
        healed = service.wait_until(
            lambda: ended().get("reason") == "OOMKilled" and len(service.ready()) == 2
        )
    check(traffic, figures, "memory limit hit in a sidecar", healed)
    assert traffic.failed() == 0


@needs_cluster
@pytest.mark.full
def test_a_drained_node_keeps_a_pod_until_others_run(
    service: Service, traffic: Traffic, figures: Figures
) -> None:
    (node,) = {pod["spec"]["nodeName"] for pod in service.pods()}
    with traffic.flowing():
        try:
            drained = run_kubectl(
                *("drain", node, "--pod-selector", INSTANCE, "--delete-emptydir-data"),
                *("--ignore-daemonsets", "--timeout=20s"),
            )
            # There is no other node that the evicted pod could go to.
            assert drained.returncode != 0
            assert "would violate the pod's disruption budget" in drained.stderr
            assert len(service.ready()) == 1
        finally:
            kubectl("uncordon", node)
        healed = service.wait_until(lambda: len(service.ready()) == 2)
    check(traffic, figures, "the node drained, and open again", healed)
    assert traffic.failed() == 0
    assert traffic.degraded() == 0


@needs_cluster
@pytest.mark.full
def test_the_store_is_away_while_a_pod_starts(
    service: Service, client: Client, traffic: Traffic, figures: Figures
) -> None:
    victim = service.pods()[0]["metadata"]["name"]
    folders = (f"{STORE}/channels", f"{STORE}/channels-away")
    with traffic.flowing():
        client.run("mv", *folders)
        try:
            kubectl("delete", "pod", victim, "--namespace", service.namespace, "--wait=false")
            service.wait_until(
                lambda: (
                    victim not in names(service) and last_end(service.pods()[-1], "fetch-release")
                )
            )
            assert len(service.ready()) == 1
        finally:
            client.run("mv", *reversed(folders))
        healed = service.wait_until(lambda: len(service.ready()) == 2)
    check(traffic, figures, "release store away while a pod restarts, and back", healed)
    assert traffic.failed() == 0
    assert traffic.degraded() == 0


def last_end(pod: dict[str, Any], container: str) -> dict[str, Any]:
    """How a container ended before it was started anew; empty where it was not."""
    return container_status(pod, container).get("lastState", {}).get("terminated", {})
