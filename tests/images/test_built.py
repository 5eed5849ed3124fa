"""What the built images hold, whom they run as, and what they take."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from images.build import IMAGES, Image
from images.engine import run_podman
from images.measure import size_bytes
from images.sources import pip_sources
from tests.images.containers import built_image, run_python

pytestmark = pytest.mark.cluster

PIPELINE, TORCHSERVE, SIDECAR = "homefeed-pipeline", "homefeed-torchserve", "homefeed-index-sidecar"
COMPILER = re.compile(r"(.*-)?(cc|c\+\+|gcc|g\+\+|cpp|clang(\+\+)?|ld|make|nvcc)(-[\d.]+)?")
MODULES = {
    PIPELINE: {"homefeed.towers", "homefeed.dataset", "homefeed.evaluation", "homefeed.index",
               "components", "pipelines", "kfp", "torchrec", "duckdb", "ibis", "pandas", "pyarrow",
               "torch", "faiss", "pip"},
    TORCHSERVE: {"homefeed.index", "torch", "ts"},
    SIDECAR: {"homefeed.index", "faiss"},
}  # fmt: skip
"""Those of look.py's list that an image holds."""
IMPORTED = {
    PIPELINE: "homefeed.cli, homefeed.id_embeddings.pretrain, homefeed.towers.train, "
    "homefeed.evaluation.evaluate, kfp.dsl.executor_main",
    TORCHSERVE: "serving.fetch_release, serving.torchserve.handler, ts.model_service_worker",
    SIDECAR: "serving.index_sidecar.server",
}
IMPORT_ALL = """
import importlib, json, pathlib
failed = []
for path in sorted(pathlib.Path("/opt/code").rglob("*.py")):
    name = ".".join(path.relative_to("/opt/code").with_suffix("").parts)
    if name.endswith(".__main__"):
        continue
    try:
        importlib.import_module(name.removesuffix(".__init__"))
    except ImportError as error:
        failed.append(f"{name}: {error}")
print(json.dumps(failed))
"""
WRITE = "import tempfile; print(tempfile.TemporaryFile().write(b'ok'))"


class Built(NamedTuple):
    """An image, what podman says of it, and what a container of it finds in itself."""

    image: Image
    reference: str
    config: dict[str, Any]
    found: dict[str, Any]


@pytest.fixture(scope="module", params=IMAGES, ids=lambda image: image.name)
def built(request: pytest.FixtureRequest) -> Built:
    reference = built_image(request.param.name)
    config = run_podman("image", "inspect", "--format", "{{json .Config}}", reference).stdout
    found = run_python(reference, Path(__file__).with_name("look.py").read_text())
    return Built(request.param, reference, json.loads(config), json.loads(found))


def test_it_runs_as_a_numeric_user_that_is_not_root(built: Built) -> None:
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", built.config["User"])
    assert built.found["user"] == built.config["User"]


def test_it_works_for_a_user_that_it_does_not_know(built: Built) -> None:
    code = f"import {IMPORTED[built.image.name]}; {WRITE}"
    assert run_python(built.reference, code, "--user=123456:0") == "2\n"


def test_its_labels_say_what_it_is_and_of_which_code(built: Built) -> None:
    name = "org.opencontainers.image"
    labels = built.config["Labels"]
    assert labels[f"{name}.title"] == built.image.name
    assert labels[f"{name}.description"]
    assert labels[f"{name}.licenses"] == "Apache-2.0"
    assert labels[f"{name}.version"] == built.reference.rpartition(":")[2]
    assert re.fullmatch(r"[0-9a-f]{7,40}(-dirty)?", labels[f"{name}.revision"])


def test_it_holds_no_compiler(built: Built) -> None:
    programs = built.found["programs"]
    assert "python" in programs
    assert [program for program in programs if COMPILER.fullmatch(program)] == []


def test_it_holds_what_it_needs_and_no_training_beside_serving(built: Built) -> None:
    assert set(built.found["modules"]) == MODULES[built.image.name]


@pytest.mark.parametrize("name", [TORCHSERVE, SIDECAR])
def test_a_serving_image_holds_what_its_modules_import(name: str) -> None:
    assert json.loads(run_python(built_image(name), IMPORT_ALL)) == []


def test_nothing_of_the_machine_that_built_it_is_left(built: Built) -> None:
    with pip_sources() as sources:
        inside = {option.split(":")[1] for option in sources.podman_options if ":" in option}
    left = f"import json, os; print(json.dumps([p for p in {sorted(inside)} if os.path.exists(p)]))"
    # Certificates are of the base.
    found = json.loads(run_python(built.reference, left))
    assert [path for path in found if not path.startswith("/etc/ssl/")] == []


def test_it_keeps_to_its_budget(built: Built) -> None:
    assert size_bytes(built.reference) <= built.image.budget_bytes
