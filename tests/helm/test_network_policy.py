"""Whom the NetworkPolicy lets in, and where pods may go."""

import json
from typing import Any

import pytest

from tests.helm.chart import NAME, Rendered, containers

GATEWAY = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "gateway"}}}
REDIS = {"ipBlock": {"cidr": "10.9.8.7/32"}}
API = {"ipBlock": {"cidr": "10.0.0.1/32"}}
ON = ("--set", "networkPolicy.enabled=true")


def given(name: str, *peers: dict[str, Any]) -> tuple[str, str]:
    return ("--set-json", f"networkPolicy.{name}={json.dumps(peers)}")


CLIENTS = given("clients", GATEWAY)
API_SERVERS = given("kubernetesApi.to", API)


def policy(values: str, *options: str) -> dict[str, Any]:
    return Rendered(values, *ON, *CLIENTS, *options).one("NetworkPolicy")["spec"]


def peers(rules: list[dict[str, Any]], direction: str) -> dict[int, list[dict[str, Any]]]:
    """The peers by port."""
    found: dict[int, list[dict[str, Any]]] = {}
    for rule in rules:
        assert rule[direction], "a rule without peers is one for everybody"
        for port in rule["ports"]:
            known = found.setdefault(port["port"], [])
            known += [peer for peer in rule[direction] if peer not in known]
    return found


def test_it_is_off_by_default(minimal: Rendered) -> None:
    assert not any(each["kind"] == "NetworkPolicy" for each in minimal.objects)


def test_it_is_about_the_deployments_pods_alone(s3: Rendered) -> None:
    spec = s3.one("NetworkPolicy")["spec"]
    assert spec["podSelector"] == s3.one("Deployment")["spec"]["selector"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]


def test_clients_reach_rest_and_monitoring_the_metrics_and_nobody_anything_else() -> None:
    spec = policy("minimal", *API_SERVERS)
    chart = Rendered("minimal")
    test_pod = {"podSelector": {"matchLabels": {
        "app.kubernetes.io/name": "homefeed-retrieval-test", "app.kubernetes.io/instance": "demo",
    }}}  # fmt: skip
    monitoring = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}
    }
    ports = {
        port["name"]: port["containerPort"]
        for container in containers(chart.pod)
        for port in container.get("ports", [])
    }
    metrics = {number: [monitoring] for name, number in ports.items() if name != "http"}
    assert len(metrics) == 3
    assert peers(spec["ingress"], "from") == metrics | {ports["http"]: [GATEWAY, test_pod]}
    labels = chart.one("Pod", f"{NAME}-test")["metadata"]["labels"]
    assert test_pod["podSelector"]["matchLabels"].items() <= labels.items()


def test_without_monitoring_nobody_sees_the_metrics() -> None:
    spec = policy("minimal", *API_SERVERS, *given("monitoring"))
    assert set(peers(spec["ingress"], "from")) == {8080}


def test_pods_reach_name_servers_and_what_their_values_need() -> None:
    spec = policy("minimal", *API_SERVERS)
    dns = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}
    assert peers(spec["egress"], "to") == {53: [dns], 443: [API], 6443: [API]}
    assert {port["protocol"] for port in spec["egress"][0]["ports"]} == {"UDP", "TCP"}
    # A claim takes no network, and without events nothing asks the API.
    spec = policy("minimal", "--set", "events.enabled=false")
    assert peers(spec["egress"], "to") == {53: [dns]}
    spec = policy("s3", "--set", "events.enabled=false")
    store = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "s3"}}}
    assert peers(spec["egress"], "to") == {53: [dns], 9000: [store]}


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("redis://redis", 6379),
        ("rediss://user1@redis.example.com:6380/1", 6380),
        ("redis://redis:6381", 6381),
        ("redis://redis:6382?health_check_interval=30", 6382),
        ("redis://redis?health_check_interval=30", 6379),
        ("redis://[fd00::1]/2", 6379),
        ("redis://[fd00::1]:6383/2", 6383),
    ],
)
def test_the_port_of_redis_is_that_of_its_url(url: str, port: int) -> None:
    options = ("--set", f"events.enabled=false,users.redis.url={url}")
    spec = policy("minimal", *options, *given("redis.to", REDIS))
    assert peers(spec["egress"], "to")[port] == [REDIS]
    assert len(peers(spec["egress"], "to")) == 2
