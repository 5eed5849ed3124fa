"""How many pods there are, and where."""

import json
from typing import Any

import pytest
import yaml

from tests.helm.chart import CHART, NAME, Rendered
from tests.helm.exporters import torchserve_names

ON = ("--set", "autoscaling.enabled=true")
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())


def metrics(*options: str) -> list[dict[str, Any]]:
    return Rendered("minimal", *ON, *options).one("HorizontalPodAutoscaler")["spec"]["metrics"]


def test_replicas_are_the_autoscalers_where_there_is_one(minimal: Rendered) -> None:
    assert minimal.one("Deployment")["spec"]["replicas"] == 1
    chart = Rendered("minimal", *ON, "--set", "autoscaling.minReplicas=3")
    # Else every upgrade would take it back to the values'.
    assert "replicas" not in chart.one("Deployment")["spec"]
    spec = chart.one("HorizontalPodAutoscaler")["spec"]
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME}
    assert (spec["minReplicas"], spec["maxReplicas"]) == (3, 10)


@pytest.mark.parametrize("native", ["true", "false"])
def test_each_container_is_measured_by_its_own_cpu(native: str) -> None:
    options = ("--set", f"sidecar.native={native}")
    chart = Rendered("minimal", *ON, *options)
    measured = metrics(*options)
    assert {each["type"] for each in measured} == {"ContainerResource"}
    for each in measured:
        resource = each["containerResource"]
        assert resource["target"] == {"type": "Utilization", "averageUtilization": 70}
        # The percentage is of it.
        assert chart.container(resource["container"])["resources"]["requests"]["cpu"]
    serving = {each["containerResource"]["container"] for each in measured}
    assert serving == {"torchserve", "faiss"}


def test_an_older_kubernetes_measures_whole_pods() -> None:
    options = ("--kube-version", "1.26", "--set", "sidecar.native=false")
    (only,) = metrics(*options)
    assert only["type"] == "Resource"
    assert only["resource"]["target"]["averageUtilization"] == 70


def test_requests_a_second_can_be_a_measure() -> None:
    (only,) = metrics("--set", "autoscaling.cpuPercent=0,autoscaling.requestsPerSecond=150")
    name = only["pods"]["metric"]["name"]
    assert only["pods"]["target"] == {"type": "AverageValue", "averageValue": "150"}
    # An adapter of Prometheus calls the rate of a counter so.
    assert name.replace("_per_second", "_total") in torchserve_names()


def test_pods_leave_when_little_is_to_do_for_long() -> None:
    options = (*ON, "--set", "autoscaling.scaleDownSeconds=60")
    spec = Rendered("minimal", *options).one("HorizontalPodAutoscaler")["spec"]
    assert spec["behavior"] == {"scaleDown": {"stabilizationWindowSeconds": 60}}


def test_pods_are_kept_apart_if_there_is_room(minimal: Rendered) -> None:
    constraints = minimal.pod["topologySpreadConstraints"]
    assert [each["topologyKey"] for each in constraints] == [
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
    ]
    selector = minimal.one("Deployment")["spec"]["selector"]
    for each in constraints:
        assert each["labelSelector"] == selector
        assert each["whenUnsatisfiable"] == "ScheduleAnyway"
        # Else pods that a rollout is about to end would push the new ones together.
        assert each["matchLabelKeys"] == ["pod-template-hash"]
    older = Rendered("minimal", "--kube-version", "1.26", "--set", "sidecar.native=false")
    assert "matchLabelKeys" not in older.pod["topologySpreadConstraints"][0]


def test_constraints_can_be_ones_own_or_none() -> None:
    own = {
        "topologyKey": "rack",
        "maxSkew": 2,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"team": "feed"}},
    }
    chart = Rendered("minimal", "--set-json", f"topologySpreadConstraints={json.dumps([own])}")
    assert chart.pod["topologySpreadConstraints"] == [own]
    none = Rendered("minimal", "--set-json", "topologySpreadConstraints=[]")
    assert "topologySpreadConstraints" not in none.pod
