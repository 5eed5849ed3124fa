"""The NetworkPolicy, enforced: who reaches the pods, and whom they reach."""

import pytest

from tests.cluster.demo import Demo
from tests.cluster.network import (
    ENFORCED_SECONDS,
    REST,
    address,
    api_server,
    is_cut_off,
    reaches,
)
from tests.cluster.pods import Client, Node
from tests.cluster.service import Service
from tests.helm.test_objects import METRICS_PORTS
from tests.kubectl import get, kubectl, needs_cluster, run_kubectl

ON_LOOPBACK = (8081, 7070, 7071)
"""Management and gRPC, which no policy needs to close."""


@pytest.fixture
def policy(service: Service, client: Client, enforced: None, restored: None) -> None:
    """Lets in nobody but the client's namespace, and no Prometheus."""
    label = r"matchLabels.kubernetes\.io/metadata\.name"
    settings = {
        "networkPolicy.enabled": "true",
        f"networkPolicy.clients[0].namespaceSelector.{label}": client.namespace,
        "networkPolicy.kubernetesApi.to[0].ipBlock.cidr": api_server(),
    }
    options = ("--set", ",".join(f"{name}={value}" for name, value in settings.items()))
    nobody = ("--set-json", "networkPolicy.monitoring=[]")
    code, complaint = service.helm("upgrade", "--timeout", "3m", *options, *nobody)
    assert code == 0, complaint
    service.settle()


@needs_cluster
def test_strangers_and_other_ports_are_cut_off(
    service: Service, client: Client, node: Node, demo: Demo, policy: None
) -> None:
    first, second = service.pods()
    assert is_cut_off(node, first)
    assert reaches(client, address(first))
    for port in METRICS_PORTS.values():
        assert not reaches(client, address(first), port)
        assert not reaches(node, address(first), port)
    # Of the service itself, other pods are none that pods need.
    assert not service.reaches(first, address(second), REST)
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
    }
    options = ",".join(f"{name}={value}" for name, value in settings.items())
    code, complaint = service.helm("upgrade", "--timeout", "3m", "--set", options)
    assert code == 0, complaint
    service.settle()
    own = ("label", "pod", "client", "--namespace", client.namespace)
    service.wait_until(lambda: not reaches(client, address(service.pods()[0])), ENFORCED_SECONDS)
    kubectl(*own, "role=gateway")
    try:
        service.wait_until(lambda: reaches(client, address(service.pods()[0])), ENFORCED_SECONDS)
    finally:
        kubectl(*own, "role-")
    service.wait_until(lambda: not reaches(client, address(service.pods()[0])), ENFORCED_SECONDS)


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
        for pod in (node, client):
            assert reaches(pod, address(first), port)
    for port in ON_LOOPBACK:
        for pod in (node, client):
            assert not reaches(pod, address(first), port)
