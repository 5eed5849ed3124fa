"""A training on several nodes, on a Kubernetes with Kubeflow Trainer; no image is run."""

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from kubernetes import config

from homefeed.towers.config import TowersConfig, TrainingConfig
from homefeed.towers.job import DATASET_FOLDER, Job
from homefeed.training_job.cluster import Cluster
from homefeed.training_job.config import CLAIM, SHARED_FOLDER, NodesConfig
from homefeed.training_job.launch import train_on_nodes
from homefeed.training_job.manifest import GROUP, job_name, train_job
from homefeed.training_job.step_pod import StepPod
from tests.kubectl import get, kubectl, needs_cluster, new_namespace, run_kubectl

TRAINING = Path(__file__).parents[2] / "manifests" / "base" / "pipelines" / "training"
RUNNER = TRAINING.parent / "runner"
PATIENCE_SECONDS = 120
IMAGE = "localhost/homefeed-test-no-such-image:1"
STEP_POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "step"},
    "spec": {
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "main",
                "image": IMAGE,
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
    },
}
"""Stands for the pod of the step."""


class Space(NamedTuple):
    """A namespace with a pod that stands for the step's."""

    cluster: Cluster
    step: StepPod

    @property
    def name(self) -> str:
        """Of the job."""
        return job_name(self.step.run_id)

    def job(self, **options: Any) -> dict[str, Any]:
        return train_job(self.step, NodesConfig(image=IMAGE, **options), SHARED_FOLDER)

    def admits(self, job: dict[str, Any]) -> bool:
        """Whether the API server would take the job, and knows all of its fields."""
        dry_run = ("apply", "--dry-run=server", "--validate=strict", "-f", "-")
        return run_kubectl(*dry_run, stdin=json.dumps(job)).returncode == 0

    def train(self, folder: Path, **limits: Any) -> None:
        """Trains on two nodes."""
        for name in ("dataset", "shared"):
            (folder / name).mkdir()
        train_on_nodes(
            {DATASET_FOLDER: folder / "dataset"},
            Job(towers=TowersConfig(), training=TrainingConfig(), seed=1),
            NodesConfig(num_nodes=2, image=IMAGE, cpu="1m", memory="1Mi", **limits),
            folder / "towers",
            self.cluster,
            self.step,
            folder / "shared",
            seconds_between_looks=0.5,
        )


def eventually(happens: Callable[[], Any]) -> Any:
    """What it returns, once that is something."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := happens()):
        assert time.monotonic() < deadline, f"not within {PATIENCE_SECONDS} seconds"
        time.sleep(0.5)
    return found


def has_trainer() -> bool:
    """Whether Trainer itself is there, which its kinds of objects alone do not say."""
    rules = [
        rule
        for configuration in get("validatingwebhookconfigurations")
        for webhook in configuration.get("webhooks", [])
        for rule in webhook.get("rules", [])
    ]
    return any(GROUP in rule["apiGroups"] for rule in rules)


@pytest.fixture
def empty() -> Iterator[Space]:
    """A namespace without a runtime."""
    if not has_trainer():
        pytest.skip("needs Kubeflow Trainer on the cluster")
    with new_namespace() as namespace:
        create = ("create", "--namespace", namespace, "--output=json", "-f", "-")
        uid = json.loads(kubectl(*create, stdin=json.dumps(STEP_POD)))["metadata"]["uid"]
        step = StepPod("step", uid, namespace, str(uuid.uuid4()))
        yield Space(Cluster(config.new_client_from_config(), namespace), step)


@pytest.fixture
def space(empty: Space) -> Space:
    """A namespace with the manifests, but for a claim of a kind that every class offers."""
    for folder in (RUNNER, TRAINING):
        objects = kubectl("kustomize", str(folder)).replace("ReadWriteMany", "ReadWriteOnce")
        options = ("--validate=strict", "--namespace", empty.step.namespace, "-f", "-")
        kubectl("apply", *options, stdin=objects)
    # Trainer sees a new runtime a moment later.
    eventually(lambda: empty.admits(empty.job(num_nodes=2)))
    return empty


@needs_cluster
def test_the_api_server_takes_the_job_and_refuses_what_it_does_not_know(space: Space) -> None:
    job = space.job(num_nodes=4, num_gpus=8)
    assert space.admits(job)
    job["spec"]["trainer"]["numProcsPerNode"] = 8
    assert not space.admits(job)
    with pytest.raises(ValueError, match=r'unknown field "spec\.trainer\.numProcsPerNode"'):
        space.cluster.create(job)


@needs_cluster
def test_its_pods_are_what_job_and_runtime_say_and_go_with_the_step(space: Space) -> None:
    space.cluster.create(space.job(num_nodes=2, num_gpus=3))
    eventually(lambda: len(space.cluster.pods(space.name)) == 2)
    namespace = ("--namespace", space.step.namespace)
    selector = f"--selector=jobset.sigs.k8s.io/jobset-name={space.name}"
    for pod in get("pods", *namespace, selector):
        (container,) = pod["spec"]["containers"]
        variables = {each["name"]: each.get("value") for each in container["env"]}
        assert (variables["PET_NNODES"], variables["PET_NPROC_PER_NODE"]) == ("2", "3")
        assert variables["PET_MASTER_ADDR"] == f"{space.name}-node-0-0.{space.name}"
        assert (container["image"], container["command"]) == (IMAGE, ["torchrun"])
        assert container["resources"]["limits"] == {"nvidia.com/gpu": "3"}
        assert pod["spec"]["serviceAccountName"] == "pipeline-runner"
        assert pod["spec"]["restartPolicy"] == "Never"
        claims = [each.get("persistentVolumeClaim") for each in pod["spec"]["volumes"]]
        assert {"claimName": CLAIM} in claims
        assert "nvidia.com/gpu" in [each.get("key") for each in pod["spec"]["tolerations"]]
    kubectl("delete", "pod", space.step.name, *namespace, "--now")
    eventually(lambda: space.cluster.find(space.name) is None)
    eventually(lambda: not space.cluster.pods(space.name))


@needs_cluster
def test_a_runtime_that_is_not_there_ends_the_step(empty: Space, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="homefeed-torch.* not found.*kubectl apply -k manifests"):
        empty.train(tmp_path)


@needs_cluster
def test_an_image_that_is_not_there_ends_the_step(space: Space, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError) as error:
        space.train(tmp_path, start_timeout_seconds=15.0)
    assert "could not start within 15 s: 0 of 2 pods run; " in str(error.value)
    assert "ImagePull" in str(error.value)
    assert IMAGE in str(error.value)
    eventually(lambda: not space.cluster.pods(space.name))


@needs_cluster
def test_a_quota_ends_the_step(space: Space, tmp_path: Path) -> None:
    quota = ("create", "quota", "small", "--hard=pods=1", "--namespace", space.step.namespace)
    kubectl(*quota)
    with pytest.raises(RuntimeError, match="0 of 2 pods run\nFailedCreate: .*exceeded quota"):
        space.train(tmp_path, start_timeout_seconds=15.0)


@needs_cluster
def test_a_job_that_others_delete_ends_the_step(space: Space, tmp_path: Path) -> None:
    def delete() -> None:
        eventually(lambda: space.cluster.pods(space.name))
        space.cluster.delete(space.name)

    other = threading.Thread(target=delete)
    other.start()
    with pytest.raises(RuntimeError, match="was deleted while it was trained"):
        space.train(tmp_path)
    other.join()
