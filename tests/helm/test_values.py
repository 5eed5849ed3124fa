"""What helm refuses, and that every value is described and checked."""

import json
from typing import Any

import pytest
import yaml

from homefeed.contracts import VERSION
from homefeed.release.store import CHANNEL
from tests.helm.chart import CHART, Rendered, refusal, run_helm

VALUES_FILE = (CHART / "values.yaml").read_text()
VALUES = yaml.safe_load(VALUES_FILE)
SCHEMA = json.loads((CHART / "values.schema.json").read_text())

FREE_FORM = {
    "global", "release.env", "service.annotations", "httpRoute.annotations",
    "serviceAccount.annotations",
    "serviceMonitor.labels", "podMonitor.labels", "prometheusRule.labels",
    "grafanaDashboard.labels", "grafanaDashboard.annotations", "podAnnotations",
    "podLabels", "nodeSelector", "affinity.nodeAffinity", "affinity.podAffinity",
    "affinity.podAntiAffinity", "topologySpreadConstraints[].labelSelector", "extraObjects[]",
    *(
        f"networkPolicy.{peers}[].{selector}"
        for peers in ("clients", "monitoring", "dns", "store.to", "redis.to", "kubernetesApi.to")
        for selector in ("podSelector", "namespaceSelector")
    ),
}  # fmt: skip
"""Whose keys are the users' own, or those of an object of Kubernetes."""

POLICY = "networkPolicy.enabled=true,networkPolicy.clients[0].ipBlock.cidr=10.0.0.0/8"


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("replicaCont=3", "at '': additional properties 'replicaCont' not allowed"),
        ("torchserve.batchsize=8", "at '/torchserve': additional properties 'batchsize'"),
        ('image.torchserve.tag="1"', "at '/image/torchserve': additional properties 'tag'"),
        ('tolerations[0].kee="gpu"', "at '/tolerations/0': additional properties 'kee'"),
        ('affinity.node="x"', "at '/affinity': additional properties 'node'"),
        ('replicaCount="two"', "at '/replicaCount': got string, want integer"),
        ("cpus=0.5", "at '/cpus': got number, want integer"),
        ("cpus=0", "at '/cpus': minimum: got 0, want 1"),
        ("cpus=null", "at '': missing property 'cpus'"),
        ("sidecar=null", "at '': missing property 'sidecar'"),
        ('sidecar.native="maybe"', "at '/sidecar/native': got string, want boolean"),
        ('events.enabled="no"', "at '/events/enabled': got string, want boolean"),
        ("user=0", "at '/user': minimum: got 0, want 1"),
        ('torchserve.memory="2G"', "at '/torchserve/memory': '2G' does not match"),
        ('release.version="Latest"', "at '/release/version': 'Latest' does not match"),
        ('release.store="bucket"', "at '/release/store': 'bucket' does not match"),
        ('release.env.1X="y"', "invalid propertyName '1X'"),
        ('image.torchserve.digest="abc"', "at '/image/torchserve/digest': 'abc' does not match"),
        ('users.redis.url="http://redis"', "at '/users/redis/url': 'http://redis' does not match"),
        ('users.redis.url="redis://:hush@redis"', "at '/users/redis/url': "),
        ('users.redis.password="hush"', "at '/users/redis': additional properties 'password'"),
        ('networkPolicy.clients=[{"pods":{}}]', "at '/networkPolicy/clients/0': additional"),
        ("networkPolicy.clients=[{}]", "at '/networkPolicy/clients/0': minProperties: got 0"),
        ('networkPolicy.store.to=[{"ipBlock":{"cidr":"10.0.0.1"}}]', "cidr': '10.0.0.1' does not"),
        ("networkPolicy.dns=null", "at '/networkPolicy': missing property 'dns'"),
        ("autoscaling.cpuPercent=0.7", "at '/autoscaling/cpuPercent': got number, want integer"),
        ('topologySpreadConstraints=[{"topologyKey":"x","maxSkew":1}]', "'whenUnsatisfiable'"),
        (
            "prometheusRule.objectives.fastMilliseconds=60",
            "fastMilliseconds': value must be one of",
        ),
        ("prometheusRule.limits.degradedPercent=0", "degradedPercent': exclusiveMinimum: got 0"),
        ('prometheusRule.objectives.goodAnswersPercent="100"', "'100' does not match"),
        ('service.type="External"', "at '/service/type': value must be one of 'ClusterIP'"),
        ("canary.weight=101", "at '/canary/weight': maximum: got 101, want 100"),
        ("canary.weight=-1", "at '/canary/weight': minimum: got -1, want 0"),
        ("canary.replicaCount=0", "at '/canary/replicaCount': minimum: got 0, want 1"),
        ('canary.release="Next"', "at '/canary/release': 'Next' does not match"),
        ('httpRoute.parentRefs=["gateway"]', "at '/httpRoute/parentRefs/0': got string, want"),
        (
            'httpRoute.hostnames=["https://feed"]',
            "at '/httpRoute/hostnames/0': 'https://feed' does",
        ),
        ('extraObjects[0].kind="Secret"', "at '/extraObjects/0': missing properties 'apiVersion'"),
    ],
)
def test_the_schema_names_the_key(setting: str, complaint: str) -> None:
    assert complaint in refusal("minimal", "--set-json", setting)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ("release.existingClaim=", "release.store and release.existingClaim are both empty"),
        ("release.store=s3://b/c", "release.store=s3://b/c is not on the claim"),
        (
            "release.store=file:///data,release.existingClaim=",
            "release.store=file:///data is a folder, but no volume holds it",
        ),
        ("image.tag=latest", "image.tag=latest changes its content"),
        (
            "sidecar.deadlineMilliseconds=2000,torchserve.responseTimeoutSeconds=2",
            "sidecar.deadlineMilliseconds=2000 must be below torchserve.responseTimeoutSeconds=2",
        ),
        (
            "users.redis.url=redis://r,users.redis.deadlineMilliseconds=1500,"
            "torchserve.responseTimeoutSeconds=2",
            "users.redis.deadlineMilliseconds=1500 and sidecar.deadlineMilliseconds=500 must "
            "together be below torchserve.responseTimeoutSeconds=2",
        ),
        ("torchserve.workers=2", "torchserve.workers=2 is more than cpus=1"),
        ("networkPolicy.enabled=true", "networkPolicy.clients is empty: nobody could ask"),
        (
            f"{POLICY},release.store=s3://b/c,release.existingClaim=",
            "networkPolicy.store.to is empty: pods could not fetch a release from release.store=",
        ),
        (f"{POLICY},users.redis.url=redis://r", "networkPolicy.redis.to is empty: pods could not"),
        (POLICY, "networkPolicy.kubernetesApi.to is empty: pods could leave no events"),
        (
            "autoscaling.enabled=true,autoscaling.minReplicas=11",
            "autoscaling.minReplicas=11 is more than autoscaling.maxReplicas=10",
        ),
        (
            "autoscaling.enabled=true,autoscaling.cpuPercent=0",
            "autoscaling.cpuPercent and autoscaling.requestsPerSecond are both 0",
        ),
        (
            "canary.enabled=true",
            "canary.release is empty: give it the version or channel that the canary shall serve "
            "beside release.version=production",
        ),
        (
            "canary.enabled=true,canary.release=production",
            "canary.release=production is release.version=production too: stable and canary would",
        ),
        ("podLabels.track=fast", "podLabels.track=fast: the chart sets this label itself"),
        ("httpRoute.enabled=true", "httpRoute.parentRefs is empty: no Gateway would take the"),
        (
            "serviceMonitor.enabled=true,podMonitor.enabled=true",
            "serviceMonitor.enabled and podMonitor.enabled are both true: every pod would be",
        ),
        (
            "prometheusRule.enabled=true,podMonitor.enabled=true,podMonitor.interval=61s",
            "podMonitor.interval=61s is too long for the alerts of prometheusRule.enabled=true",
        ),
        (
            "prometheusRule.enabled=true,prometheusRule.objectives.goodAnswersPercent=93.05",
            "prometheusRule.objectives.goodAnswersPercent=93.05 allows so much",
        ),
        (
            "torchserve.workers=2,cpus=2,torchserve.javaHeap=512Mi",
            "torchserve.memory=1Gi is too small: torchserve.javaHeap=512Mi and 2 "
            "torchserve.workers need at least 1280Mi",
        ),
    ],
)
def test_values_that_do_not_go_together_are_refused(settings: str, complaint: str) -> None:
    assert complaint in refusal("minimal", "--set", settings)


def test_native_sidecars_need_a_kubernetes_that_has_them() -> None:
    complaint = refusal("minimal", "--kube-version", "1.28")
    assert "needs Kubernetes 1.29, this is v1.28: set sidecar.native=false" in complaint
    assert Rendered("minimal", "--kube-version", "1.28", "--set", "sidecar.native=false").objects


def test_the_defaults_alone_say_what_they_lack() -> None:
    finished = run_helm("template", "demo", str(CHART))
    assert finished.returncode != 0
    assert "give release.store the URL of an object store" in finished.stderr


def test_the_schema_takes_the_versions_and_channels_that_the_store_has() -> None:
    for section, key in (("release", "version"), ("canary", "release")):
        schema = SCHEMA["properties"][section]["properties"][key]
        assert "#/definitions/release" in str(schema)
    pattern = SCHEMA["definitions"]["release"]["pattern"]
    assert pattern == f"^({CHANNEL.pattern}|{VERSION.pattern})$"


def resolve(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in schema:
        return schema
    return SCHEMA["definitions"][schema["$ref"].removeprefix("#/definitions/")]


def check_closed(schema: dict[str, Any], values: Any, path: str) -> None:
    schema = resolve(schema)
    if schema["type"] == "array":
        return check_closed(schema["items"], None, f"{path}[]")
    if schema["type"] != "object":
        return None
    if path in FREE_FORM:
        return None
    assert schema["additionalProperties"] is False, path
    properties = schema["properties"]
    if values:  # one that is deleted must not surface as an error of a template
        assert set(schema["required"]) == set(values) == set(properties) - {"global"}, path
    for name, part in properties.items():
        part = resolve(part)
        if "type" in part:
            value = values.get(name) if values else None
            check_closed(part, value, f"{path}.{name}".removeprefix("."))
    return None


def test_the_schema_covers_every_value_and_is_closed() -> None:
    check_closed(SCHEMA, VALUES, "")


def test_every_value_is_described() -> None:
    above = ""
    undescribed = []
    for line in VALUES_FILE.splitlines():
        key, _, value = line.partition(":")
        if line.lstrip().startswith("#"):
            above = above or line.lstrip()
            continue
        if line.lstrip().startswith("- "):  # an item of the list above
            above = ""
            continue
        is_group = not value.strip()
        if line.strip() and not is_group and not above.startswith("# -- "):
            undescribed.append(key)
        above = ""
    assert undescribed == []
