"""What an API server says to the rendered objects, and the chart to what it finds on a cluster."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.helm.chart import CHART, CI_VALUES, run_helm, template
from tests.kubectl import kubectl, needs_cluster, new_namespace, run_kubectl

DRY_RUN = ("apply", "--dry-run=server", "--validate=strict")
CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "release-store"},
    "spec": {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
    },
}


@pytest.fixture
def namespace() -> Iterator[str]:
    with new_namespace() as name:
        yield name


def dry_run(namespace: str, values: str, *options: str) -> str:
    """Why helm refuses to install the chart; empty where it would."""
    file = str(CHART / "ci" / f"{values}-values.yaml")
    command = ("install", "demo", str(CHART), "--namespace", namespace, "--values", file)
    finished = run_helm(*command, "--dry-run=server", *options, on_cluster=True)
    assert finished.returncode == 0 or "INSTALLATION FAILED" in finished.stderr
    return finished.stderr if finished.returncode else ""


@needs_cluster
@pytest.mark.parametrize("values", CI_VALUES, ids=lambda path: path.name)
def test_the_api_server_takes_every_object(namespace: str, values: Path) -> None:
    rendered = template(values.name.removesuffix("-values.yaml"), "--namespace", namespace)
    objects = [each for each in yaml.safe_load_all(rendered) if each]
    if "kind: ServiceMonitor" in rendered and not kubectl(
        "get", "crd", "servicemonitors.monitoring.coreos.com", "--ignore-not-found"
    ):
        pytest.skip("the cluster has no ServiceMonitor")
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
    kubectl("apply", "--namespace", namespace, "-f", "-", stdin=yaml.safe_dump(CLAIM))
    assert not dry_run(namespace, "minimal")


@needs_cluster
def test_a_secret_that_is_missing_is_named_before_anything_is_installed(namespace: str) -> None:
    complaint = dry_run(namespace, "s3")
    assert f"release.credentialsSecret=release-store: namespace {namespace} has no" in complaint
    assert f"kubectl --namespace {namespace} create secret generic release-store" in complaint
    kubectl("create", "secret", "generic", "release-store", "--namespace", namespace)
    assert not dry_run(namespace, "s3")


@needs_cluster
@pytest.mark.parametrize("kind", ["Secret", "ExternalSecret"])
def test_a_secret_may_come_with_the_chart(namespace: str, kind: str) -> None:
    made = f'[{{"apiVersion": "v1", "kind": "{kind}", "metadata": {{"name": "release-store"}}}}]'
    complaint = dry_run(namespace, "s3", "--set-json", f"extraObjects={made}")
    assert "has no such Secret" not in complaint
