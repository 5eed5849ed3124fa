"""What the compiled pipelines ask of a cluster."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from components.image import CUDA_IMAGE, CUDA_IMAGE_VARIABLE, IMAGE, IMAGE_VARIABLE
from homefeed.deployment.config import STEP_TOKEN_FOLDER
from homefeed.release.redis_connection import PASSWORD_VARIABLE
from pipelines.compile import COMPILED, OTHERS, TRAINING, build_pipeline, compile_pipelines
from pipelines.tasks import DEPLOYER_SECRET, GPU, REDIS_PASSWORD_KEY, REDIS_SECRET, STORE_SECRET

FILES = sorted(path.name for path in COMPILED.iterdir())
GPU_FILES = [name for name in FILES if name.endswith("_gpu.yaml")]
RETRIED = {
    "import-events",
    "choose-ids",
    "train-towers",
    "train-towers-on-nodes",
    "pretrain-ids",
    "embed-pins",
    "evaluate-release",
    "look-at-production",
    "fetch-towers",
    "publish-release",
    "publish-ids",
    "materialise-users",
}
LOOKS_OUTSIDE = {
    "read-recipe",
    "read-id-recipe",
    "choose-ids",
    "look-at-production",
    "fetch-towers",
    "check-store",
}
GATES = {"check-not-worse"}
ACTS_OUTSIDE = {
    "materialise-users",
    "publish-release",
    "publish-ids",
    "deploy-release",
    "report-run",
}


WRITES_USERS = "materialise-users"


class Compiled(NamedTuple):
    """A compiled pipeline's two documents, taken apart."""

    pipeline: dict[str, Any]
    tasks: dict[str, dict[str, Any]]
    """Steps, without the groups that they are in."""
    containers: dict[str, dict[str, Any]]
    on_kubernetes: dict[str, dict[str, Any]]
    run: dict[str, Any]
    """What holds for a run as a whole."""


def read(name: str) -> Compiled:
    pipeline, platform = yaml.safe_load_all((COMPILED / name).read_text())
    executors = pipeline["deploymentSpec"]["executors"]
    tasks = dict(pipeline["root"]["dag"]["tasks"])
    for component in pipeline["components"].values():
        tasks |= component.get("dag", {}).get("tasks", {})
    kubernetes = platform["platforms"]["kubernetes"]
    steps = {step: task for step, task in tasks.items() if f"exec-{step}" in executors}
    return Compiled(
        pipeline,
        steps,
        {step: executors[f"exec-{step}"]["container"] for step in steps},
        {
            each.removeprefix("exec-"): config
            for each, config in kubernetes["deploymentSpec"]["executors"].items()
        },
        kubernetes["pipelineConfig"],
    )


def compile_afresh(folder: Path) -> None:
    """Compiles in a process of its own, as the images are read when components are imported."""
    code = "import sys, pathlib; from pipelines.compile import compile_pipelines; "
    code += "compile_pipelines(pathlib.Path(sys.argv[1]))"
    own = {IMAGE_VARIABLE, CUDA_IMAGE_VARIABLE}
    environment = {name: value for name, value in os.environ.items() if name not in own}
    command = [sys.executable, "-c", code, str(folder)]
    subprocess.run(command, env=environment, check=True, capture_output=True)


def test_the_compiled_pipelines_are_those_of_the_code(tmp_path: Path) -> None:
    compile_afresh(tmp_path)
    fresh = {path.name: path.read_text() for path in tmp_path.iterdir()}
    committed = {path.name: path.read_text() for path in COMPILED.iterdir()}
    assert sorted(fresh) == sorted(committed)
    differ = [name for name in fresh if fresh[name] != committed[name]]
    assert differ == [], "run `make generate` and commit pipelines/compiled"


@pytest.mark.parametrize("name", FILES)
def test_images_stand_for_one_content(name: str) -> None:
    images = {container["image"] for container in read(name).containers.values()}
    assert images == ({IMAGE, CUDA_IMAGE} if name in GPU_FILES else {IMAGE})
    assert ":latest" not in (COMPILED / name).read_text()


@pytest.mark.parametrize("name", FILES)
def test_every_step_has_a_name_an_end_in_time_and_no_rights_of_root(name: str) -> None:
    compiled = read(name)
    assert sorted(compiled.on_kubernetes) == sorted(compiled.tasks)
    for step, config in compiled.on_kubernetes.items():
        assert 600 <= int(config["activeDeadlineSeconds"]) <= 24 * 3600, step
        assert config["securityContext"] == {"runAsNonRoot": True}, step
    shown = [task["taskInfo"]["name"] for task in compiled.tasks.values()]
    assert len(set(shown)) == len(shown)
    assert [name for name in shown if not name[0].isupper() or " " not in name] == []


@pytest.mark.parametrize("name", FILES)
def test_a_run_has_an_end_in_time_even_where_no_node_takes_a_step(name: str) -> None:
    compiled = read(name)
    in_turn = [
        int(compiled.on_kubernetes[step]["activeDeadlineSeconds"])
        * (1 + task.get("retryPolicy", {}).get("maxRetryCount", 0))
        for step, task in compiled.tasks.items()
    ]
    assert sum(in_turn) < compiled.run["activeDeadlineSeconds"] == 7 * 24 * 3600


@pytest.mark.parametrize("name", FILES)
def test_every_step_asks_for_a_part_of_a_node_and_a_training_for_more(name: str) -> None:
    for step, container in read(name).containers.items():
        asked = container["resources"]
        found = (asked["resourceCpuRequest"], asked["resourceMemoryRequest"])
        trains = step in ("train-towers", "pretrain-ids")
        assert found == (("1", "4Gi") if trains else ("250m", "512Mi")), step
        assert not {"resourceCpuLimit", "resourceMemoryLimit"} & set(asked)


@pytest.mark.parametrize("name", [name for name in FILES if "refresh" not in name])
def test_nothing_is_trained_for_a_store_that_cannot_be_reached(name: str) -> None:
    tasks = read(name).tasks
    (training,) = {"train-towers", "train-towers-on-nodes", "pretrain-ids"} & set(tasks)
    waiting = {step for step, task in tasks.items() if "check-store" in _waits_for(task)}
    assert waiting == {training}
    assert "dependentTasks" not in tasks["check-store"]


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("train_and_release")])
def test_data_are_checked_before_training_and_serving_before_it_is_measured(name: str) -> None:
    compiled = read(name)
    (training,) = {"train-towers", "train-towers-on-nodes"} & set(compiled.tasks)
    assert "check-data" in _waits_for(compiled.tasks[training])
    assert "check-online-skew" in _waits_for(compiled.tasks["evaluate-release"])


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("train_and_release")])
def test_nothing_leaves_a_run_before_it_is_compared_with_production(name: str) -> None:
    tasks = read(name).tasks
    source = {"outputParameterKey": "version", "producerTask": "look-at-production"}
    asked = tasks["evaluate-release"]["inputs"]["parameters"]
    assert asked["production"]["taskOutputParameter"] == source
    assert "evaluate-release" in _waits_for(tasks["check-not-worse"])
    assert "check-not-worse" in _waits_for(tasks[WRITES_USERS])
    assert WRITES_USERS in _waits_for(tasks["publish-release"])


@pytest.mark.parametrize("name", [name for name in FILES if "pretrain" not in name])
def test_a_release_is_known_by_what_its_profile_says_not_by_who_measured_it(name: str) -> None:
    tasks = read(name).tasks
    for task, parameter, output, producer in (
        ("check-data", "previous", "profile", "look-at-production"),
        ("bundle-release", "profile", "Output", "check-data"),
    ):
        source = {"outputParameterKey": output, "producerTask": producer}
        assert tasks[task]["inputs"]["parameters"][parameter]["taskOutputParameter"] == source


def _waits_for(task: dict[str, Any]) -> list[str]:
    return task.get("dependentTasks", [])


@pytest.mark.parametrize("name", FILES)
def test_pipelines_and_their_parameters_are_described(name: str) -> None:
    pipeline = read(name).pipeline
    assert "\n1. Read the recipe: " in pipeline["pipelineInfo"]["description"]
    assert pipeline["pipelineInfo"]["displayName"]
    for parameter in pipeline["root"]["inputDefinitions"]["parameters"].values():
        assert parameter["description"]


@pytest.mark.parametrize("name", FILES)
def test_steps_that_reach_out_or_run_long_are_retried_with_growing_pauses(name: str) -> None:
    tasks, on_kubernetes = read(name).tasks, read(name).on_kubernetes
    retried = {step: task["retryPolicy"] for step, task in tasks.items() if "retryPolicy" in task}
    assert set(retried) == RETRIED & set(tasks)
    for step, policy in retried.items():
        assert policy == {
            "maxRetryCount": 2,
            "backoffDuration": "30s",
            "backoffFactor": 2.0,
            "backoffMaxDuration": "604800s",
        }
        # From the first try's start on: three tries have to fit in, as long as a pod may take.
        assert 604800 > 3 * int(on_kubernetes[step]["activeDeadlineSeconds"]) + 90


@pytest.mark.parametrize("name", FILES)
def test_steps_that_deal_with_what_is_no_input_and_gates_are_never_cached(name: str) -> None:
    tasks = read(name).tasks
    uncached = {step for step, task in tasks.items() if not task["cachingOptions"]}
    assert uncached == (LOOKS_OUTSIDE | GATES | ACTS_OUTSIDE) & set(tasks)


def test_an_import_is_known_by_the_state_of_its_data() -> None:
    (component,) = (
        c["dag"]["tasks"]["import-events"]
        for c in read("train_and_release.yaml").pipeline["components"].values()
        if "import-events" in c.get("dag", {}).get("tasks", {})
    )
    source = component["inputs"]["parameters"]["source_fingerprint"]["taskOutputParameter"]
    assert source == {
        "outputParameterKey": "source_fingerprint",
        "producerTask": "read-recipe",
    }


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("train_and_release")])
def test_a_training_is_known_by_its_id_embeddings_not_by_the_runs_store(name: str) -> None:
    tasks = read(name).tasks
    (training,) = {"train-towers", "train-towers-on-nodes"} & set(tasks)
    given = tasks[training]["inputs"]["parameters"]
    for parameter, output in (("ids", "version"), ("store", "store")):
        source = {"outputParameterKey": output, "producerTask": "choose-ids"}
        assert given[parameter]["taskOutputParameter"] == source


@pytest.mark.parametrize("name", FILES)
def test_a_run_is_reported_however_it_ends(name: str) -> None:
    tasks = read(name).pipeline["root"]["dag"]["tasks"]
    (group,) = set(tasks) - {"report-run"}
    report = tasks["report-run"]
    assert report["dependentTasks"] == [group]
    assert report["triggerPolicy"]["strategy"] == "ALL_UPSTREAM_TASKS_COMPLETED"
    inputs = report["inputs"]["parameters"]
    assert inputs["status"] == {"taskFinalStatus": {"producerTask": group}}
    assert inputs["webhook"] == {"componentInputParameter": "webhook"}
    assert inputs["run_id"] == {"runtimeValue": {"constant": "{{$.pipeline_job_uuid}}"}}


@pytest.mark.parametrize("name", FILES)
def test_trainings_alone_get_gpus_and_all_of_them_shared_memory(name: str) -> None:
    compiled = read(name)
    trainings = {"train-towers", "pretrain-ids"} & set(compiled.tasks)
    for step, config in compiled.on_kubernetes.items():
        mounts = config.get("emptyDirMounts", [])
        assert [mount["mountPath"] for mount in mounts] == ["/dev/shm"] * (step in trainings)
        assert all(mount["medium"] == "Memory" for mount in mounts)
        assert all(mount["sizeLimit"] for mount in mounts)
    with_gpus = {}
    for step, container in compiled.containers.items():
        resources = container.get("resources", {})
        if accelerator := resources.get("accelerator"):
            with_gpus[step] = (accelerator["resourceType"], accelerator["resourceCount"])
            assert container["image"] == CUDA_IMAGE
    assert with_gpus == dict.fromkeys(trainings if name in GPU_FILES else (), (GPU, "1"))


@pytest.mark.parametrize(("pipeline", "num_gpus"), [("train_and_release", 2), ("pretrain_ids", 4)])
def test_a_training_is_told_how_many_gpus_it_asked_for(pipeline: str, num_gpus: int) -> None:
    spec = build_pipeline(pipeline, num_gpus, "amd.com/gpu").pipeline_spec
    told = [
        task.inputs.parameters["num_gpus"].runtime_value.constant.number_value
        for component in spec.components.values()
        for task in component.dag.tasks.values()
        if "num_gpus" in task.inputs.parameters
    ]
    assert told == [num_gpus]


def test_where_all_are_compiled_each_training_gets_the_gpus(tmp_path: Path) -> None:
    compile_pipelines(tmp_path, num_gpus=4)
    counts = {}
    for name in TRAINING:
        pipeline, _ = yaml.safe_load_all((tmp_path / f"{name}_gpu.yaml").read_text())
        executors = pipeline["deploymentSpec"]["executors"].values()
        (counts[name],) = (
            each["container"]["resources"]["accelerator"]["resourceCount"]
            for each in executors
            if "accelerator" in each["container"]["resources"]
        )
    assert counts == dict.fromkeys(TRAINING, "4")


@pytest.mark.parametrize("name", FILES)
def test_credentials_of_the_store_go_to_who_needs_them_and_may_be_absent(name: str) -> None:
    compiled = read(name)
    given = {
        step: config["secretAsEnv"]
        for step, config in compiled.on_kubernetes.items()
        if "secretAsEnv" in config and step != WRITES_USERS
    }
    steps = {
        "check-store",
        "choose-ids",
        "train-towers",
        "train-towers-on-nodes",
        "evaluate-release",
        "look-at-production",
        "fetch-towers",
        "publish-release",
        "publish-ids",
        "deploy-release",
    }
    assert set(given) == steps & set(compiled.tasks)
    for (secret,) in given.values():
        assert secret["optional"] is True
        assert secret["secretName"] == STORE_SECRET
        variables = {each["envVar"] for each in secret["keyToEnv"]}
        assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"} <= variables


@pytest.mark.parametrize("name", [name for name in FILES if "pretrain" not in name])
def test_users_are_in_redis_before_the_release_is_published(name: str) -> None:
    compiled = read(name)
    assert WRITES_USERS in compiled.tasks["publish-release"]["dependentTasks"]
    (secret,) = compiled.on_kubernetes[WRITES_USERS]["secretAsEnv"]
    assert (secret["secretName"], secret["optional"]) == (REDIS_SECRET, True)
    assert secret["keyToEnv"] == [{"envVar": PASSWORD_VARIABLE, "secretKey": REDIS_PASSWORD_KEY}]
    parameters = compiled.pipeline["root"]["inputDefinitions"]["parameters"]
    assert parameters["redis_url"]["defaultValue"] == ""


@pytest.mark.parametrize("name", FILES)
def test_one_step_alone_may_deploy_and_it_is_the_last(name: str) -> None:
    compiled = read(name)
    mounts = {
        step: config["secretAsVolume"]
        for step, config in compiled.on_kubernetes.items()
        if "secretAsVolume" in config
    }
    if "pretrain" in name:
        assert mounts == {}
        return
    ((step, (mount,)),) = mounts.items()
    assert step == "deploy-release"
    assert (mount["secretName"], mount["optional"]) == (DEPLOYER_SECRET, True)
    assert mount["mountPath"] == str(STEP_TOKEN_FOLDER)
    assert _waits_for(compiled.tasks[step]) == ["publish-release"]
    parameters = compiled.pipeline["root"]["inputDefinitions"]["parameters"]
    assert parameters["deploy"]["defaultValue"] == ""
    last = compiled.tasks["report-run"]["inputs"]["parameters"]["last_step"]
    assert last == {"runtimeValue": {"constant": step}}


def test_shards_are_embedded_a_few_at_once() -> None:
    pipeline = read("train_and_release.yaml").pipeline
    loops = [
        task["iteratorPolicy"]["parallelismLimit"]
        for component in pipeline["components"].values()
        for task in component.get("dag", {}).get("tasks", {}).values()
        if "parameterIterator" in task
    ]
    assert loops == [4]


def test_a_pipeline_that_is_none_or_trains_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no pipeline 'train': there are train_and_release, "):
        build_pipeline("train")
    for name in OTHERS:
        with pytest.raises(ValueError, match="2 GPUs would stay idle"):
            build_pipeline(name, 2)
