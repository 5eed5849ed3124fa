"""What the API server lets the runs' account do where training on several nodes is installed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kubectl import kubectl, needs_cluster, new_namespace, run_kubectl

PIPELINES = Path(__file__).parents[2] / "manifests" / "base" / "pipelines"


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    """A namespace with the account, and the rights of both its roles."""
    if run_kubectl("get", "crd", "trainjobs.trainer.kubeflow.org").returncode:
        pytest.skip("needs Kubeflow Trainer on the cluster")
    with new_namespace() as name:
        for folder in ("runner", "training"):
            kubectl("apply", "--validate=strict", "-n", name, "-k", str(PIPELINES / folder))
        yield name


@needs_cluster
@pytest.mark.parametrize(
    ("verb", "resource", "allowed"),
    [
        ("create", "trainjobs.trainer.kubeflow.org", True),
        ("get", "trainjobs.trainer.kubeflow.org", True),
        ("delete", "trainjobs.trainer.kubeflow.org", True),
        ("list", "events", True),
        ("list", "trainjobs.trainer.kubeflow.org", False),
        ("patch", "trainjobs.trainer.kubeflow.org", False),
        ("create", "trainingruntimes.trainer.kubeflow.org", False),
        ("patch", "trainingruntimes.trainer.kubeflow.org", False),
        ("create", "jobsets.jobset.x-k8s.io", False),
        ("create", "jobs.batch", False),
        ("create", "pods", False),
        ("create", "events", False),
    ],
)
def test_what_a_step_that_trains_on_nodes_may_do(
    namespace: str, verb: str, resource: str, allowed: bool
) -> None:
    user = f"--as=system:serviceaccount:{namespace}:pipeline-runner"
    for place, expected in ((namespace, allowed), ("default", False)):
        answer = run_kubectl("auth", "can-i", verb, resource, user, "--namespace", place)
        assert answer.stdout.strip() == ("yes" if expected else "no"), answer.stderr
