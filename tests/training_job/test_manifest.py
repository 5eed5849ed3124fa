"""What a TrainJob asks for, and that it fits the TrainingRuntime of the manifests."""

import inspect
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from torch.distributed.elastic.multiprocessing.api import PContext

from homefeed.training_job.config import CLAIM, SHARED_FOLDER, NodesConfig
from homefeed.training_job.manifest import RUNTIME, job_name, train_job
from homefeed.training_job.step_pod import FIELDS, StepPod

MANIFEST = Path(__file__).parents[2] / "manifests/base/pipelines/training/trainingruntime.yaml"
STEP = StepPod("train-x1", "u-1", "runs", "7d0c8f0e-8a9f-4a4e-9f4c-3f0f5c2f0a1b")
IMAGE = "registry/homefeed:1"
BROKEN_OFF_EPOCH = """
import os
from tqdm import tqdm
progress = tqdm(total=3, desc="epoch 1")
progress.update()
progress.refresh()
os._exit(0)
"""


def spec(**options: Any) -> dict[str, Any]:
    config = NodesConfig(image=IMAGE, **options)
    return train_job(STEP, config, SHARED_FOLDER / STEP.run_id)["spec"]


def test_each_pod_starts_as_many_processes_as_it_has_gpus() -> None:
    trainer = spec(num_nodes=4, num_gpus=8, gpu_type="amd.com/gpu", cpu="16", memory="64Gi")
    trainer = trainer["trainer"]
    assert (trainer["numNodes"], trainer["numProcPerNode"]) == (4, 8)
    assert trainer["resourcesPerNode"] == {
        "requests": {"cpu": "16", "memory": "64Gi", "amd.com/gpu": "8"},
        "limits": {"amd.com/gpu": "8"},
    }


def test_without_gpus_there_is_one_process_a_node_and_no_limit() -> None:
    trainer = spec(num_nodes=2)["trainer"]
    assert (trainer["numNodes"], trainer["numProcPerNode"]) == (2, 1)
    assert trainer["resourcesPerNode"] == {"requests": {"cpu": "1", "memory": "4Gi"}}


def test_the_first_pod_waits_for_the_last_as_long_as_that_may_take_to_start() -> None:
    trainer = spec(num_nodes=2, start_timeout_seconds=120.0)["trainer"]
    folder = str(SHARED_FOLDER / STEP.run_id)
    assert (trainer["image"], trainer["command"]) == (IMAGE, ["torchrun"])
    assert trainer["args"] == [
        "--rdzv-conf=timeout=120", "--module", "homefeed.towers.training", folder,
    ]  # fmt: skip


def test_it_needs_no_field_that_versions_of_trainer_call_differently() -> None:
    assert spec(num_nodes=2).keys() == {"runtimeRef", "trainer"}


def test_it_goes_with_the_pod_of_its_step() -> None:
    job = train_job(STEP, NodesConfig(num_nodes=2, image=IMAGE), SHARED_FOLDER)
    assert job["metadata"]["namespace"] == "runs"
    assert job["metadata"]["ownerReferences"] == [
        {"apiVersion": "v1", "kind": "Pod", "name": "train-x1", "uid": "u-1"}
    ]


def test_names_of_its_pods_fit_into_a_label_of_dns() -> None:
    # Hostnames of pods are made of the job's name, and have 63 characters at most.
    assert len(f"{job_name(STEP.run_id)}-node-0-9999") <= 63


def test_the_runtime_has_what_the_job_counts_on() -> None:
    runtime = yaml.safe_load(MANIFEST.read_text())
    assert runtime["metadata"]["name"] == RUNTIME == spec(num_nodes=2)["runtimeRef"]["name"]
    (nodes,) = runtime["spec"]["template"]["spec"]["replicatedJobs"]
    assert nodes["name"] == "node"
    pod = nodes["template"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["name"] == "node"
    volumes = {each["name"]: each for each in pod["volumes"]}
    mounts = {each["mountPath"]: volumes[each["name"]] for each in container["volumeMounts"]}
    claim = mounts[str(SHARED_FOLDER)]["persistentVolumeClaim"]
    assert claim == {"claimName": CLAIM}
    assert mounts["/dev/shm"]["emptyDir"]["medium"] == "Memory"
    assert "emptyDir" in mounts["/tmp"]
    # Else the pod would be gone before torchrun gives up on its processes, which save meanwhile.
    torchrun_waits = inspect.signature(PContext.close).parameters["timeout"].default
    assert pod["terminationGracePeriodSeconds"] > torchrun_waits


def test_a_log_shows_progress_before_an_epoch_ends() -> None:
    (nodes,) = yaml.safe_load(MANIFEST.read_text())["spec"]["template"]["spec"]["replicatedJobs"]
    (container,) = nodes["template"]["spec"]["template"]["spec"]["containers"]
    variables = {each["name"]: each["value"] for each in container["env"]}
    command = [sys.executable, "-c", BROKEN_OFF_EPOCH]
    training = subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True
    )
    assert "33%" in training.stderr.rpartition("\n")[0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"num_nodes": 0}, "num_nodes=0 must be at least 1"),
        ({"num_nodes": 2, "num_gpus": -1}, "num_gpus=-1 must be at least 0"),
        ({"num_nodes": 2, "timeout_seconds": 0.0}, "timeout_seconds=0 must be more than 0"),
        ({"num_nodes": 2, "start_timeout_seconds": -1.0}, "start_timeout_seconds=-1 must be"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        spec(**options)


def test_a_step_knows_its_pod_by_what_the_pipeline_asks_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable in FIELDS:
        monkeypatch.setenv(variable, variable.lower())
    found = StepPod.from_environment()
    assert found == StepPod(
        "homefeed_pod_name", "homefeed_pod_uid", "homefeed_pod_namespace", "homefeed_run_id"
    )


def test_outside_of_a_cluster_a_step_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in FIELDS:
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(ValueError, match="variables HOMEFEED_POD_NAME, .* are not set here"):
        StepPod.from_environment()
