"""A training on several nodes, on a Kubernetes with Kubeflow Trainer; no image is run."""

import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from kubernetes import config

from homefeed.towers.config import TowersConfig, TrainingConfig
from homefeed.towers.job import DATASET_FOLDER, Job
from homefeed.training_job.cluster import Cluster
from homefeed.training_job.config import SHARED_FOLDER, NodesConfig
from homefeed.training_job.launch import train_on_nodes
from homefeed.training_job.manifest import job_name, train_job
from homefeed.training_job.step_pod import StepPod
from tests.kubectl import get, kubectl, needs_cluster, new_namespace, run_kubectl

TRAINING = Path(__file__).parents[2] / "manifests/base/pipelines/training"
RUNNER = TRAINING.parent / "runner"
SECONDS = 120
"""For what takes the cluster a moment."""
IMAGE = "localhost/homefeed-test-no-such-image:1"


class Space(NamedTuple):
    """A namespace, and a pod in it that stands for a step's."""

    cluster: Cluster
    step: StepPod

    def named(self, kind: str) -> str:
        return f"{kind}/{job_name(self.step.run_id)}"


@pytest.fixture
def empty() -> Iterator[Space]:
    """A namespace that nothing was made for."""
    if run_kubectl("get", "crd", "trainjobs.trainer.kubeflow.org").returncode:
        pytest.skip("needs Kubeflow Trainer")
    with new_namespace() as namespace:
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owner"}}
        made = kubectl("create", "-n", namespace, "-o", "json", "-f", "-", stdin=json.dumps(owner))
        step = StepPod("owner", json.loads(made)["metadata"]["uid"], namespace, str(uuid.uuid4()))
        yield Space(Cluster(config.new_client_from_config(), namespace), step)


@pytest.fixture
def space(empty: Space) -> Space:
    """A namespace with the runtime of the manifests, and a claim that every class offers."""
    namespace = ("--validate=strict", "--namespace", empty.step.namespace, "-f", "-")
    kubectl("apply", *namespace, stdin=kubectl("kustomize", str(RUNNER)))
    training = kubectl("kustomize", str(TRAINING))
    kubectl("apply", *namespace, stdin=training.replace("ReadWriteMany", "ReadWriteOnce"))
    # Trainer's webhook reads what its controller has seen.
    time.sleep(3)
    return empty
