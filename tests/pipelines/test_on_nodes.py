"""The pipeline that trains on several nodes, as it is compiled."""

from typing import Any

import pytest
import yaml

from components.image import CUDA_IMAGE, IMAGE
from homefeed.training_job.config import CLAIM, SHARED_FOLDER
from homefeed.training_job.step_pod import FIELDS
from pipelines.compile import COMPILED, build_pipeline
from pipelines.tasks import HOUR

STEP = "train-towers-on-nodes"


@pytest.fixture(scope="module")
def documents() -> list[dict[str, Any]]:
    """The pipeline, and what it asks of Kubernetes."""
    return list(yaml.safe_load_all((COMPILED / "train_and_release_nodes.yaml").read_text()))


def told(num_gpus: int) -> dict[str, Any]:
    """The constants that the step is told where it trains on 3 nodes."""
    spec = build_pipeline("train_and_release", num_gpus, "amd.com/gpu", 3).pipeline_spec
    (step,) = (
        component.dag.tasks[STEP]
        for component in spec.components.values()
        if STEP in component.dag.tasks
    )
    values = {
        name: each.runtime_value.constant
        for name, each in step.inputs.parameters.items()
        if each.HasField("runtime_value")
    }
    return {name: value.string_value or value.number_value for name, value in values.items()}


def test_the_step_gets_the_volume_and_knows_its_pod(documents: list[dict[str, Any]]) -> None:
    platform = documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    step = platform[f"exec-{STEP}"]
    ((claim, place),) = [(each["constant"], each["mountPath"]) for each in step["pvcMount"]]
    assert (claim, place) == (CLAIM, str(SHARED_FOLDER))
    assert {each["name"]: each["fieldPath"] for each in step["fieldPathAsEnv"]} == FIELDS
    mounting = [name for name, each in platform.items() if "pvcMount" in each]
    assert mounting == [f"exec-{STEP}"]


def test_the_step_itself_gets_no_gpu_and_its_pods_the_image_for_theirs(
    documents: list[dict[str, Any]],
) -> None:
    container = documents[0]["deploymentSpec"]["executors"][f"exec-{STEP}"]["container"]
    assert container["image"] == IMAGE
    assert "accelerator" not in container["resources"]
    with_gpus, without = told(1), told(0)
    assert (with_gpus["image"], with_gpus["num_gpus"]) == (CUDA_IMAGE, 1)
    assert (without["image"], without["num_gpus"]) == (IMAGE, 0)
    assert with_gpus["num_nodes"] == without["num_nodes"] == 3
    assert with_gpus["gpu_type"] == "amd.com/gpu"


def test_the_training_ends_before_the_step_does(documents: list[dict[str, Any]]) -> None:
    platform = documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    deadline = int(platform[f"exec-{STEP}"]["activeDeadlineSeconds"])
    assert told(1)["timeout_seconds"] + HOUR <= deadline


def test_a_run_is_told_to_the_step_by_no_input() -> None:
    # KFP would never take the step from its cache.
    assert told(1).keys() == {"image", "num_nodes", "num_gpus", "gpu_type", "timeout_seconds"}


@pytest.mark.parametrize("name", ["pretrain_ids", "refresh_corpus"])
def test_nodes_that_would_stay_idle_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} uses one node, so 2 would stay idle"):
        build_pipeline(name, num_nodes=3)


def test_a_pipeline_that_is_none_is_refused_with_nodes_too() -> None:
    with pytest.raises(ValueError, match="no pipeline 'train'"):
        build_pipeline("train", num_nodes=3)
