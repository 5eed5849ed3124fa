"""The TrainJob as an object of Kubernetes, of the fields that Trainer 2.1 to 2.3 have alike."""

from pathlib import Path
from typing import Any

from homefeed.training_job.config import NodesConfig
from homefeed.training_job.step_pod import StepPod

GROUP, VERSION, PLURAL = "trainer.kubeflow.org", "v1alpha1", "trainjobs"
RUNTIME = "homefeed-torch"
"""The TrainingRuntime of the runs' namespace, which has all else that pods need: volumes, service
account, tolerations, security (manifests/base/pipelines/training)."""
MANIFESTS = "`kubectl apply -k manifests/overlays/training`, or training-single-user"
"""What makes it, and gives the steps their rights."""
MODULE = "homefeed.towers.training"
"""What each process runs, with the job's folder as its argument."""


def job_name(run_id: str) -> str:
    """The TrainJob of a run, which has one training; a try of the step finds that of the last."""
    return f"towers-{run_id}"


def train_job(step: StepPod, config: NodesConfig, folder: Path) -> dict[str, Any]:
    """The TrainJob of a run.

    Args:
        step: what makes it, and owns it: when that pod is removed with its run, the job is too.
        config: nodes and resources.
        folder: of the job, as its pods see it.
    """
    gpus = {config.gpu_type: str(config.num_gpus)} if config.num_gpus else {}
    owner = {"apiVersion": "v1", "kind": "Pod", "name": step.name, "uid": step.uid}
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "TrainJob",
        "metadata": {
            "name": job_name(step.run_id),
            "namespace": step.namespace,
            "labels": {
                "app.kubernetes.io/part-of": "homefeed",
                "app.kubernetes.io/component": "training",
            },
            "ownerReferences": [owner],
        },
        "spec": {
            "runtimeRef": {"apiGroup": GROUP, "kind": "TrainingRuntime", "name": RUNTIME},
            "trainer": {
                "image": config.image,
                # torchrun reads nodes, processes and the first node's address from the PET_…
                # variables that Trainer sets.
                "command": ["torchrun"],
                "args": [
                    # The first pod may wait so long for the last.
                    f"--rdzv-conf=timeout={config.start_timeout_seconds:.0f}",
                    "--module",
                    MODULE,
                    str(folder),
                ],
                "numNodes": config.num_nodes,
                "numProcPerNode": config.processes_per_node,
                # Trainer starts one process whatever numProcPerNode says where there are no
                # requests (its plugin torch, calculateNumProcPerNode).
                "resourcesPerNode": {
                    "requests": {"cpu": config.cpu, "memory": config.memory} | gpus,
                    **({"limits": gpus} if gpus else {}),
                },
            },
        },
    }
