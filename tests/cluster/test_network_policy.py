"""The NetworkPolicy, enforced: who reaches the pods, and whom they reach."""

import subprocess
import time
from typing import Any

import pytest

from tests.cluster.demo import Demo
from tests.cluster.pods import Client, Node
from tests.cluster.service import Service
from tests.helm.test_objects import METRICS_PORTS
from tests.kubectl import get, kubectl, needs_cluster, run_kubectl

REST = 8080
ON_LOOPBACK = (8081, 7070, 7071)
"""Management and gRPC, which no policy needs to close."""
CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=3).close()
except OSError as error:
    print(type(error).__name__)
else:
    print("reached")
"""
ENFORCED_SECONDS = 30
DENY_ALL = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny-all}
spec: {podSelector: {}, policyTypes: [Ingress]}
"""


@pytest.fixture
def enforced(service: Service, node: Node) -> None:
    """Skips where the cluster enforces no policy, which one that is not the chart's tells."""
    own = ("--namespace", service.namespace, "--filename=-")
    kubectl("apply", *own, stdin=DENY_ALL)
    try:
        is_enforced = is_cut_off(node, service.pods()[0])
    finally:
        kubectl("delete", *own, stdin=DENY_ALL)
    if not is_enforced:
        pytest.skip("the cluster's network plugin does not enforce NetworkPolicies")


def is_cut_off(node: Node, pod: dict[str, Any]) -> bool:
    """Whether a stranger, before long, no longer reaches the REST port."""
    deadline = time.monotonic() + ENFORCED_SECONDS
    while node.run("python", "-c", CONNECT, address(pod), str(REST)).strip() == "reached":
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True


def reaches(client: Client, pod: dict[str, Any]) -> bool:
    return client.run("python", "-c", CONNECT, address(pod), str(REST)).strip() == "reached"


@pytest.fixture
def policy(service: Service, client: Client, enforced: None, restored: None) -> None:
    """Lets in nobody but the client's namespace, and no Prometheus."""
    label = r"matchLabels.kubernetes\.io/metadata\.name"
    settings = {
        "networkPolicy.enabled": "true",
        f"networkPolicy.clients[0].namespaceSelector.{label}": client.namespace,
        "networkPolicy.kubernetesApi.to[0].ipBlock.cidr": api_server(),
        "replicaCount": "2",
    }
    options = ("--set", ",".join(f"{name}={value}" for name, value in settings.items()))
    nobody = ("--set-json", "networkPolicy.monitoring=[]")
    code, complaint = service.helm("upgrade", "--timeout", "3m", *options, *nobody)
    assert code == 0, complaint
    service.settle()


def api_server() -> str:
    """The address of an API server, as a block."""
    slices = get("endpointslices", "--namespace", "default")
    (found,) = (each for each in slices if each["metadata"]["name"].startswith("kubernetes"))
    return f"{found['endpoints'][0]['addresses'][0]}/32"


def address(pod: dict[str, Any]) -> str:
    return pod["status"]["podIP"]


@needs_cluster
def test_strangers_and_other_ports_are_cut_off(
    service: Service, client: Client, node: Node, demo: Demo, policy: None
) -> None:
    first, second = service.pods()

    def from_stranger(port: int) -> bool:
        return node.run("python", "-c", CONNECT, address(first), str(port)).strip() == "reached"

    def from_client(port: int) -> bool:
        return client.run("python", "-c", CONNECT, address(first), str(port)).strip() == "reached"

    def from_pod() -> bool:
        command = service.exec_command(first, "torchserve", "python", "-c", CONNECT,
                                       address(second), str(REST))  # fmt: skip
        return subprocess.run(command, capture_output=True, text=True).stdout == "reached\n"

    assert is_cut_off(node, first)
    assert from_client(REST)
    for port in METRICS_PORTS.values():
        assert not from_client(port)
        assert not from_stranger(port)
    # Of the service itself, other pods are none that pods need.
    assert not from_pod()
    (answer,) = client.ask(service.url, [{"user_id": demo.users[0]}])
    assert answer["status"] == 200
    assert not answer["body"]["degraded"]


@needs_cluster
@pytest.mark.full
@pytest.mark.usefixtures("enforced", "restored")
def test_of_one_namespace_only_a_pod_with_the_label_reaches_it(
    service: Service, client: Client
) -> None:
    settings = {
        "networkPolicy.enabled": "true",
        "networkPolicy.clients[0].podSelector.matchLabels.role": "gateway",
        "networkPolicy.kubernetesApi.to[0].ipBlock.cidr": api_server(),
        "replicaCount": "2",
    }
    options = ",".join(f"{name}={value}" for name, value in settings.items())
    code, complaint = service.helm("upgrade", "--timeout", "3m", "--set", options)
    assert code == 0, complaint
    service.settle()
    own = ("label", "pod", "client", "--namespace", client.namespace)
    service.wait_until(lambda: not reaches(client, service.pods()[0]), ENFORCED_SECONDS)
    kubectl(*own, "role=gateway")
    try:
        service.wait_until(lambda: reaches(client, service.pods()[0]), ENFORCED_SECONDS)
    finally:
        kubectl(*own, "role-")
    service.wait_until(lambda: not reaches(client, service.pods()[0]), ENFORCED_SECONDS)


@needs_cluster
def test_pods_still_start_and_leave_their_event(service: Service, policy: None) -> None:
    victim = service.pods()[0]["metadata"]["name"]
    run_kubectl("delete", "pod", victim, "--namespace", service.namespace)
    service.settle()
    newest = service.pods()[-1]["metadata"]["name"]
    chosen = ("--field-selector", f"involvedObject.name={newest}")
    events = get("events", "--namespace", service.namespace, *chosen)
    assert any(each["source"].get("component") == "homefeed" for each in events)


@needs_cluster
@pytest.mark.usefixtures("restored")
def test_without_a_policy_all_of_it_is_open(service: Service, client: Client, node: Node) -> None:
    """Else the test above would show nothing."""
    first = service.pods()[0]
    for port in (REST, *METRICS_PORTS.values()):
        for run in (node.run, client.run):
            assert run("python", "-c", CONNECT, address(first), str(port)).strip() == "reached"
    for port in ON_LOOPBACK:
        for run in (node.run, client.run):
            assert run("python", "-c", CONNECT, address(first), str(port)).strip() != "reached"
