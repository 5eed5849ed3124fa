import ast
import inspect
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import components
from components.image import IMAGE
from pipelines.compile import ON_NODES, PIPELINES, build_pipeline

FOLDER = Path(components.__file__).parent
STAGES = sorted(path.parent.name for path in FOLDER.glob("*/component.py"))


def load(stage: str) -> Any:
    return getattr(import_module(f"components.{stage}.component"), stage)


@pytest.mark.parametrize("stage", STAGES)
def test_a_component_says_what_it_does_and_takes(stage: str) -> None:
    component = load(stage)
    summary, _, said = component.python_func.__doc__.partition("Args:")
    assert component.component_spec.description.startswith(summary.splitlines()[0])
    parameters = inspect.signature(component.python_func).parameters
    assert [name for name in parameters if f" {name}: " not in said] == []


@pytest.mark.parametrize("stage", STAGES)
def test_a_component_runs_in_our_image_and_installs_nothing(stage: str) -> None:
    container = load(stage).component_spec.implementation.container
    assert container.image == IMAGE
    assert "pip" not in " ".join(container.command[:3]).split()


@pytest.mark.parametrize("stage", STAGES)
def test_a_component_is_thin_and_measured_by_its_own_name(stage: str) -> None:
    source = (FOLDER / stage / "component.py").read_text()
    assert len(source.splitlines()) < 80
    (function,) = (n for n in ast.parse(source).body if isinstance(n, ast.FunctionDef))
    names = [
        call.args[0].value
        for call in ast.walk(function)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "stage"
        and isinstance(call.args[0], ast.Constant)
    ]
    assert names == [function.name] == [stage]


def test_the_pipelines_use_every_component() -> None:
    pipelines = [build_pipeline(name) for name in PIPELINES]
    pipelines += [build_pipeline(name, num_nodes=2) for name in ON_NODES]
    used = {
        executor.removeprefix("exec-").replace("-", "_")
        for pipeline in pipelines
        for executor in pipeline.pipeline_spec.deployment_spec["executors"]
    }
    assert sorted(used) == STAGES
