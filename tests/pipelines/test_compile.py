import os
import subprocess
import sys
from pathlib import Path

import yaml

from components.image import IMAGE_VARIABLE
from pipelines.compile import COMPILED, PIPELINES


def compile_afresh(folder: Path, **variables: str) -> None:
    """Compiles in a process of its own: the image is read when the components are imported."""
    environment = {name: value for name, value in os.environ.items() if name != IMAGE_VARIABLE}
    command = [sys.executable, "-m", "pipelines.compile", str(folder)]
    subprocess.run(command, env=environment | variables, check=True, capture_output=True)


def test_the_compiled_pipelines_are_those_of_the_code(tmp_path: Path) -> None:
    compile_afresh(tmp_path)
    fresh = {path.name: path.read_text() for path in tmp_path.iterdir()}
    committed = {path.name: path.read_text() for path in COMPILED.iterdir()}
    assert fresh == committed, "run `make generate` and commit pipelines/compiled"
    assert sorted(fresh) == sorted(PIPELINES)


def test_the_image_can_be_another(tmp_path: Path) -> None:
    image = "registry.example.org/homefeed@sha256:" + "0" * 64
    compile_afresh(tmp_path, **{IMAGE_VARIABLE: image})
    pipeline, _platform = yaml.safe_load_all((tmp_path / "train_and_release.yaml").read_text())
    executors = pipeline["deploymentSpec"]["executors"].values()
    assert {executor["container"]["image"] for executor in executors} == {image}


def test_training_alone_gets_a_gpu_and_shared_memory() -> None:
    pipeline, platform = yaml.safe_load_all((COMPILED / "train_and_release_gpu.yaml").read_text())
    executors = pipeline["deploymentSpec"]["executors"]
    resources = {
        name: executor["container"].get("resources") for name, executor in executors.items()
    }
    assert resources["exec-train-towers"]["accelerator"]["resourceType"] == "nvidia.com/gpu"
    assert [name for name, asked in resources.items() if asked] == ["exec-train-towers"]
    configs = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    (mount,) = configs["exec-train-towers"]["emptyDirMounts"]
    assert (mount["mountPath"], mount["medium"]) == ("/dev/shm", "Memory")


def test_the_first_step_alone_is_never_cached() -> None:
    pipeline, _platform = yaml.safe_load_all((COMPILED / "train_and_release.yaml").read_text())
    tasks = dict(pipeline["root"]["dag"]["tasks"])
    for component in pipeline["components"].values():
        tasks |= component.get("dag", {}).get("tasks", {})
    uncached = [name for name, task in tasks.items() if task.get("cachingOptions") == {}]
    assert uncached == ["read-recipe"]
