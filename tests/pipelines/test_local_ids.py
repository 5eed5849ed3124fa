"""Runs on this machine of a recipe whose towers use ID embeddings, out of a store in a folder."""

from pathlib import Path

import msgspec
import pytest

from homefeed.contracts import Window, read_manifest
from homefeed.events.config import EventsConfig
from homefeed.features.config import Categorical
from homefeed.id_embeddings.store import IdEmbeddingStore
from homefeed.towers.ids_config import IdsConfig
from homefeed.towers.layout import TOWERS
from pipelines.local import LocalRun, run_locally
from tests.data_fixtures import START, TINY_FEATURES
from tests.id_embeddings.written import write_ids
from tests.pipelines.tiny_recipe import TINY_TOWERS, write_recipe

pytestmark = pytest.mark.slow

FEATURES = msgspec.structs.replace(
    TINY_FEATURES, user=(*TINY_FEATURES.user, Categorical(column="user_id"))
)
USERS = [f"{user:03}" if user % 2 else f"ü{user}" for user in range(40)]
PINS = [f"pin {pin}, “{pin}”" for pin in range(60)]


@pytest.fixture
def recipe(tiny_log: EventsConfig, tmp_path: Path) -> str:
    towers = msgspec.structs.replace(TINY_TOWERS, ids=IdsConfig(tables=("users", "pins")))
    path = tmp_path / "tiny.yaml"
    return write_recipe(path, tiny_log, features=FEATURES, towers=towers)


def publish(folder: Path, store: str, end: int) -> str:
    """Publishes vectors of all of the log's ids; returns the fingerprint of the artifact."""
    write_ids(folder, USERS, PINS, Window(START - 10_000, end), seed=end - START + 10_000)
    IdEmbeddingStore(store).publish(folder)
    return read_manifest(folder, "id_embeddings").fingerprint


def trained_with(run: LocalRun) -> str:
    return read_manifest(run.towers, TOWERS).inputs["id_embeddings"]


def test_the_towers_use_the_latest_legal_table_and_train_again_for_another(
    recipe: str, tmp_path: Path
) -> None:
    store, work = str(tmp_path / "store"), tmp_path / "work"
    old = publish(tmp_path / "old", store, START - 5_000)
    publish(tmp_path / "overlapping", store, START + 86_400)
    first = run_locally(recipe, work, store=store)
    assert trained_with(first) == old
    again = run_locally(recipe, work, store=store)
    assert [stage.name for stage in again.stages if not stage.reused] == []
    newer = publish(tmp_path / "newer", store, START - 100)
    other = run_locally(recipe, work, store=store)
    assert trained_with(other) == newer
    ran = {stage.name for stage in other.stages if not stage.reused}
    assert {"train_towers", "evaluate_release"} <= ran
    assert ran.isdisjoint({"import_events", "build_dataset"})


def test_without_a_store_or_a_legal_table_the_run_ends_before_the_training(
    recipe: str, tmp_path: Path
) -> None:
    with pytest.raises(RuntimeError, match="^read_recipe failed: .*no store is given"):
        run_locally(recipe, tmp_path / "work")
    store = str(tmp_path / "store")
    publish(tmp_path / "overlapping", store, START + 86_400)
    with pytest.raises(RuntimeError, match=r"^choose_ids failed: .* but the towers train from "):
        run_locally(recipe, tmp_path / "work", store=store)
