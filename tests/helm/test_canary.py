"""A second release beside the first: the same pods, and who gets how many requests."""

import copy
from typing import Any

import pytest

from tests.helm.chart import NAME, NAMESPACE, Rendered, environment, options

CANARY, STABLE = f"{NAME}-canary", f"{NAME}-stable"
VERSION = "20260101T000000Z-0123abcd"
PEERS = 'networkPolicy.clients=[{"podSelector": {}}]'


@pytest.fixture(scope="module")
def canary() -> Rendered:
    """Two tracks behind a Gateway."""
    return Rendered("canary")


def pod_labels(chart: Rendered, name: str) -> dict[str, str]:
    return chart.one("Deployment", name)["spec"]["template"]["metadata"]["labels"]


def selector(chart: Rendered, kind: str, name: str = NAME) -> dict[str, str]:
    found = chart.one(kind, name)["spec"]["selector"]
    return found.get("matchLabels", found)


def backends(chart: Rendered) -> dict[str, int]:
    """The weight of each Service."""
    (rule,) = chart.one("HTTPRoute")["spec"]["rules"]
    return {each["name"]: each["weight"] for each in rule["backendRefs"]}


def without_release(deployment: dict[str, Any]) -> dict[str, Any]:
    """A pod's template, less what the release is called and the track."""
    template = copy.deepcopy(deployment["spec"]["template"])
    del template["metadata"]["labels"]["track"]
    for container in template["spec"]["initContainers"]:
        container["args"] = [
            each
            for each in container.get("args", [])
            if not each.startswith(("--version=", "--channel="))
        ]
    return template


def test_pods_of_both_tracks_differ_in_their_release_alone(canary: Rendered) -> None:
    stable, second = canary.one("Deployment"), canary.one("Deployment", CANARY)
    assert without_release(second) == without_release(stable)
    for deployment, channel in ((stable, "production"), (second, "canary")):
        fetch, _, follow = deployment["spec"]["template"]["spec"]["initContainers"]
        assert options(fetch)["version"] == options(follow)["channel"] == channel
    for name in ("strategy", "progressDeadlineSeconds"):
        assert second["spec"][name] == stable["spec"][name]


def test_a_version_is_not_followed_while_stable_follows_its_channel() -> None:
    chart = Rendered("canary", "--set", f"canary.release={VERSION},canary.replicaCount=3")
    second = chart.one("Deployment", CANARY)["spec"]
    names = [each["name"] for each in second["template"]["spec"]["initContainers"]]
    assert names == ["fetch-release", "faiss"]
    assert "follow-release" in [each["name"] for each in chart.pod["initContainers"]]
    assert second["replicas"] == 3


def test_each_service_leads_to_its_track_and_the_common_one_to_both(canary: Rendered) -> None:
    tracks = {name: pod_labels(canary, name) for name in (NAME, CANARY)}
    leads = {
        service: [
            name
            for name, labels in tracks.items()
            if selector(canary, "Service", service).items() <= labels.items()
        ]
        for service in (NAME, STABLE, CANARY)
    }
    assert leads == {NAME: [NAME, CANARY], STABLE: [NAME], CANARY: [CANARY]}
    ports = [canary.one("Service", name)["spec"]["ports"] for name in leads]
    assert ports == [[{"name": "http", "port": 80, "targetPort": "http"}]] * 3
    test_pod = canary.one("Pod", f"{NAME}-test")["metadata"]["labels"].items()
    assert not any(selector(canary, "Service", name).items() <= test_pod for name in leads)


def test_stable_pods_and_their_deployment_stay_when_a_canary_comes(canary: Rendered) -> None:
    """A selector cannot be changed, and pods whose template changed would be replaced."""
    alone = Rendered("canary", "--set", "canary.enabled=false")
    assert alone.one("Deployment") == canary.one("Deployment")
    assert selector(alone, "Deployment") == {
        "app.kubernetes.io/name": "homefeed-retrieval",
        "app.kubernetes.io/instance": "demo",
    }
    assert CANARY not in [each["metadata"]["name"] for each in alone.objects]


def test_the_canarys_deployment_finds_its_own_pods_alone(canary: Rendered) -> None:
    own = selector(canary, "Deployment", CANARY).items()
    assert own <= pod_labels(canary, CANARY).items()
    assert not own <= pod_labels(canary, NAME).items()


@pytest.mark.parametrize(
    ("settings", "weights"),
    [
        ("canary.weight=10", {STABLE: 90, CANARY: 10}),
        ("canary.weight=0", {STABLE: 100, CANARY: 0}),
        ("canary.weight=100", {STABLE: 0, CANARY: 100}),
        # The Service stays the same, so that no request waits for another's pods to be known.
        ("canary.enabled=false", {STABLE: 100}),
    ],
)
def test_the_route_weighs_the_tracks(settings: str, weights: dict[str, int]) -> None:
    chart = Rendered("canary", "--set", settings)
    assert backends(chart) == weights
    for name in weights:
        assert chart.one("Service", name)["spec"]["ports"][0]["port"] == 80


def test_the_route_is_that_of_the_gateway_and_the_rest_api(canary: Rendered) -> None:
    spec = canary.one("HTTPRoute")["spec"]
    assert spec["parentRefs"] == [{"name": "gateway", "namespace": "gateways"}]
    assert spec["hostnames"] == ["feed.example.com"]
    (rule,) = spec["rules"]
    path = {"type": "Exact", "value": "/predictions/homefeed"}
    assert rule["matches"] == [{"path": path}]


def test_without_a_gateway_pods_share_the_common_service() -> None:
    chart = Rendered("canary", "--set", "httpRoute.enabled=false")
    assert not any(each["kind"] == "HTTPRoute" for each in chart.objects)
    for name in (NAME, STABLE, CANARY):
        assert chart.one("Service", name)


def test_policies_are_about_the_pods_of_both_tracks(canary: Rendered) -> None:
    """One budget for both: evictions of one track wait for those of the other."""
    settings = "events.enabled=false,networkPolicy.enabled=true"

    chart = Rendered("canary", "--set", settings, "--set-json", PEERS)
    policy = chart.one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"]
    budget = selector(chart, "PodDisruptionBudget")
    for labels in (pod_labels(chart, NAME), pod_labels(chart, CANARY)):
        assert policy.items() <= labels.items()
        assert budget.items() <= labels.items()


def test_the_autoscaler_leaves_the_canary_alone() -> None:
    chart = Rendered("canary", "--set", "autoscaling.enabled=true")
    (scaler,) = (each for each in chart.objects if each["kind"] == "HorizontalPodAutoscaler")
    assert scaler["spec"]["scaleTargetRef"]["name"] == NAME
    assert "replicas" not in chart.one("Deployment")["spec"]
    assert chart.one("Deployment", CANARY)["spec"]["replicas"] == 1


@pytest.mark.parametrize(("values", "kind"), [("canary", "PodMonitor"), ("s3", "ServiceMonitor")])
def test_series_have_the_track(values: str, kind: str) -> None:
    chart = Rendered(values, "--set", "canary.enabled=true,canary.release=canary")
    assert chart.one(kind)["spec"]["podTargetLabels"] == ["track"]
    tracks = {name: pod_labels(chart, name)["track"] for name in (NAME, CANARY)}
    assert tracks == {NAME: "stable", CANARY: "canary"}


def test_helm_test_asks_each_track(canary: Rendered, minimal: Rendered) -> None:
    def asked(chart: Rendered) -> list[str]:
        (container,) = chart.one("Pod", f"{NAME}-test")["spec"]["containers"]
        return environment(container)["HOMEFEED_URLS"].split(",")

    assert asked(minimal) == [f"http://{NAME}:80"]
    assert asked(canary) == [f"http://{STABLE}:80", f"http://{CANARY}:80"]


def test_names_of_both_tracks_stay_apart_and_within_the_limit() -> None:
    chart = Rendered("canary", "--set", f"fullnameOverride={'a' * 63}")
    names = {each["metadata"]["name"] for each in chart.objects if each["kind"] == "Service"}
    assert names == {"a" * 63, f"{'a' * 56}-stable", f"{'a' * 56}-canary"}
    assert {each["metadata"]["namespace"] for each in chart.objects} == {NAMESPACE}
