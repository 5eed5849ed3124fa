"""The pipeline that a cluster runs, by kfp.local in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from homefeed.config import to_yaml
from homefeed.contracts import Window
from homefeed.id_embeddings.config import PretrainingConfig, Source
from homefeed.id_embeddings.store import IdEmbeddingStore
from homefeed.id_embeddings.tables import read_pin_table, read_user_table
from homefeed.id_embeddings.window_rule import choose_table
from pipelines.pretrain_ids import build_pipeline
from tests.data_fixtures import write_tiny_log
from tests.id_embeddings.logs import WHOLE, id_recipe

RUN = """
import json, sys
from kfp import local
from pipelines.pretrain_ids import build_pipeline
local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=sys.argv[1])
build_pipeline()(**json.loads(sys.argv[2]))
"""


def run(folder: Path, **parameters: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore", "-c", RUN, folder / "runs", json.dumps(parameters)]
    return subprocess.run(command, capture_output=True, text=True)


def metrics_of(folder: Path) -> dict[str, float]:
    """What KFP shows of the training."""
    (path,) = (folder / "runs").rglob("pretrain-ids/metrics")
    return json.loads(path.read_text())


@pytest.mark.slow
def test_a_run_leads_from_two_surfaces_to_published_tables(tmp_path: Path) -> None:
    home, boards = write_tiny_log(tmp_path / "home"), write_tiny_log(tmp_path / "boards", seed=5)
    recipe = id_recipe(
        sources=(Source(events=home), Source(events=boards, user_namespace="boards")),
        pretraining=PretrainingConfig(
            dimension=8, batch_size=256, max_epochs=2, validation_share=0.2
        ),
    )
    finished = run(tmp_path, recipe=to_yaml(recipe), store=str(tmp_path / "store"))
    assert finished.returncode == 0, finished.stdout[-4000:]

    store = IdEmbeddingStore(str(tmp_path / "store"))
    end = WHOLE.seconds.end
    chosen = choose_table(store.tables(), Window(end, end + 1))
    assert chosen.window == WHOLE.seconds
    assert sorted(chosen.manifest.inputs) == ["events 0", "events 1"]
    store.fetch(chosen.version, tmp_path / "fetched")
    users, pins = read_user_table(tmp_path / "fetched"), read_pin_table(tmp_path / "fetched")
    assert (len(users.ids), len(pins.ids)) == (80, 60)
    assert sum(user.startswith("boards:") for user in users.ids) == 40

    shown = metrics_of(tmp_path)
    assert shown["epoch 2 loss"] < shown["epoch 1 loss"]
    assert 0 < shown["epoch 1 recall@10"] < 1
    assert shown["best epoch"] == chosen.manifest.details["best_epoch"]


@pytest.mark.slow
def test_a_bad_recipe_ends_the_run_before_anything_is_imported(tmp_path: Path) -> None:
    recipe = to_yaml(id_recipe(write_tiny_log(tmp_path / "home")))
    bad = recipe.replace("dimension: 16", "dimension: 0")
    finished = run(tmp_path, recipe=bad, store=str(tmp_path / "store"))
    assert finished.returncode != 0
    assert "read_id_recipe failed: the recipe: pretraining.dimension=0" in finished.stdout
    assert not list((tmp_path / "runs").rglob("import-events*"))
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("num_gpus", [0, 4])
def test_gpus_are_asked_for_by_the_clusters_name(num_gpus: int) -> None:
    spec = MessageToDict(build_pipeline(num_gpus, "amd.com/gpu").pipeline_spec)
    asked = {
        name: executor["container"]["resources"]["accelerator"]
        for name, executor in spec["deploymentSpec"]["executors"].items()
        if "accelerator" in executor["container"].get("resources", {})
    }
    accelerator = {"resourceType": "amd.com/gpu", "resourceCount": str(num_gpus)}
    found = {step: {key: each[key] for key in accelerator} for step, each in asked.items()}
    assert found == ({"exec-pretrain-ids": accelerator} if num_gpus else {})
    assert spec["pipelineInfo"]["name"] == ("pretrain-ids-gpu" if num_gpus else "pretrain-ids")
