"""What an API server says to the rendered objects, and the chart to what it finds on a cluster."""

import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helm.chart import CHART, CI_VALUES, run_helm, template
from tests.kubectl import kubectl, needs_cluster, new_namespace, run_kubectl

DRY_RUN = ("apply", "--dry-run=server", "--validate=strict")
BY_PODS = ("--set", "serviceMonitor.enabled=false,podMonitor.enabled=true")
OPERATOR = "monitoring.coreos.com"
CUSTOM = {
    **dict.fromkeys(("ServiceMonitor", "PodMonitor", "PrometheusRule"), OPERATOR),
    "HTTPRoute": "gateway.networking.k8s.io",
}
TOGETHER = {
    "requiredDuringSchedulingIgnoredDuringExecution": [
        {
            "topologyKey": "kubernetes.io/hostname",
            "labelSelector": {
                "matchLabels": {
                    "app.kubernetes.io/name": "homefeed-retrieval",
                    "app.kubernetes.io/instance": "demo",
                }
            },
        }
    ]
}


@pytest.fixture
def namespace() -> Iterator[str]:
    with new_namespace() as name:
        yield name


def make_claim(namespace: str, *modes: str) -> None:
    resources = {"requests": {"storage": "1Gi"}}
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "release-store"},
        "spec": {"accessModes": modes, "resources": resources},
    }
    kubectl("apply", "--namespace", namespace, "-f", "-", stdin=json.dumps(claim))


def install(namespace: str, values: str, *options: str) -> subprocess.CompletedProcess[str]:
    """What helm would install, as it sees the cluster."""
    file = str(CHART / "ci" / f"{values}-values.yaml")
    command = ("install", "demo", str(CHART), "--namespace", namespace, "--values", file)
    return run_helm(*command, "--dry-run=server", *options, on_cluster=True)


def dry_run(namespace: str, values: str, *options: str) -> str:
    """Why helm refuses to install the chart; empty where it would."""
    finished = install(namespace, values, *options)
    assert finished.returncode == 0 or "INSTALLATION FAILED" in finished.stderr
    return finished.stderr if finished.returncode else ""


def affinity(namespace: str, **given: Any) -> dict[str, Any]:
    """The affinity of the pods that helm would install, taken by the API server too."""
    finished = install(namespace, "minimal", "--set-json", f"affinity={json.dumps(given)}")
    assert finished.returncode == 0, finished.stderr
    manifest = finished.stdout.partition("MANIFEST:")[2].partition("NOTES:")[0]
    (deployment,) = (
        each for each in yaml.safe_load_all(manifest) if each and each["kind"] == "Deployment"
    )
    kubectl(*DRY_RUN, "--namespace", namespace, "-f", "-", stdin=yaml.safe_dump(deployment))
    return deployment["spec"]["template"]["spec"].get("affinity", {})


@needs_cluster
@pytest.mark.parametrize("options", [(), BY_PODS], ids=["services", "pods"])
@pytest.mark.parametrize("values", CI_VALUES, ids=lambda path: path.name)
def test_the_api_server_takes_every_object(
    namespace: str, values: Path, options: tuple[str, ...]
) -> None:
    name = values.name.removesuffix("-values.yaml")
    rendered = template(name, "--namespace", namespace, *options)
    objects = [each for each in yaml.safe_load_all(rendered) if each]
    for kind, group in CUSTOM.items():
        definition = f"{kind.lower()}s.{group}"
        is_there = kubectl("get", "crd", definition, "--ignore-not-found")
        if f"kind: {kind}\n" in rendered and not is_there:
            pytest.skip(f"the cluster has no {kind}")
    # A pod is only taken where its account is.
    (account,) = (each for each in objects if each["kind"] == "ServiceAccount")
    kubectl("apply", "-f", "-", stdin=yaml.safe_dump(account))
    finished = run_kubectl(*DRY_RUN, "--namespace", namespace, "-f", "-", stdin=rendered)
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == ""  # such as a warning of Pod Security
    assert finished.stdout.count("(server dry run)") == len(objects)


@needs_cluster
def test_a_misspelt_field_is_not_taken(namespace: str) -> None:
    rendered = template("s3", "--namespace", namespace).replace("interval:", "intervall:")
    finished = run_kubectl(*DRY_RUN, "--namespace", namespace, "-f", "-", stdin=rendered)
    assert finished.returncode != 0
    assert 'unknown field "spec.endpoints[0].intervall"' in finished.stderr


@needs_cluster
def test_a_claim_that_is_missing_is_named_before_anything_is_installed(namespace: str) -> None:
    complaint = f"release.existingClaim=release-store: namespace {namespace} has no such"
    assert complaint in dry_run(namespace, "minimal")
    make_claim(namespace, "ReadWriteOnce")
    assert not dry_run(namespace, "minimal")


@needs_cluster
def test_pods_stay_on_the_node_that_holds_their_claim(namespace: str) -> None:
    make_claim(namespace, "ReadWriteOnce")
    assert affinity(namespace) == {"podAffinity": TOGETHER}
    apart = {"preferredDuringSchedulingIgnoredDuringExecution": []}
    assert affinity(namespace, podAntiAffinity=apart) == {
        "podAffinity": TOGETHER,
        "podAntiAffinity": apart,
    }
    # One's own is left as it is, and an empty one takes it away.
    assert affinity(namespace, podAffinity={}) == {"podAffinity": {}}


@needs_cluster
@pytest.mark.parametrize("mode", ["ReadOnlyMany", "ReadWriteMany"])
def test_a_claim_for_several_nodes_ties_pods_to_none(namespace: str, mode: str) -> None:
    make_claim(namespace, "ReadWriteOnce", mode)
    assert affinity(namespace) == {}


@needs_cluster
def test_a_claim_for_one_pod_is_refused(namespace: str) -> None:
    make_claim(namespace, "ReadWriteOncePod")
    complaint = dry_run(namespace, "minimal")
    assert "release.existingClaim=release-store is ReadWriteOncePod: a second pod" in complaint


@needs_cluster
def test_a_secret_that_is_missing_is_named_before_anything_is_installed(namespace: str) -> None:
    complaint = dry_run(namespace, "s3")
    assert f"release.credentialsSecret=release-store: namespace {namespace} has no" in complaint
    assert f"kubectl --namespace {namespace} create secret generic release-store" in complaint
    kubectl("create", "secret", "generic", "release-store", "--namespace", namespace)
    assert not dry_run(namespace, "s3")


@needs_cluster
def test_a_secret_is_missed_where_the_namespace_is_yet_to_be_made() -> None:
    namespace = f"homefeed-test-{uuid.uuid4().hex[:8]}"
    complaint = dry_run(namespace, "s3", "--create-namespace")
    assert f"release.credentialsSecret=release-store: namespace {namespace} has no" in complaint
    assert f"kubectl create namespace {namespace}; kubectl --namespace {namespace}" in complaint


@needs_cluster
@pytest.mark.parametrize("kind", ["Secret", "ExternalSecret"])
def test_a_secret_may_come_with_the_chart(namespace: str, kind: str) -> None:
    made = f'[{{"apiVersion": "v1", "kind": "{kind}", "metadata": {{"name": "release-store"}}}}]'
    complaint = dry_run(namespace, "s3", "--set-json", f"extraObjects={made}")
    assert "has no such Secret" not in complaint
