"""A release in production, its log a day later, and what a refresh makes of both."""

import builtins
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kfp import local
from kfp.local import config as local_config

from homefeed.contracts import Column
from homefeed.corpus.config import CorpusConfig
from homefeed.corpus.embed import embed_pins
from homefeed.corpus.select import select_corpus
from homefeed.data_checks.check import check_data, read_profile
from homefeed.data_checks.config import ChecksConfig
from homefeed.data_checks.layout import DATA_PROFILE
from homefeed.dataset.build import build_dataset
from homefeed.dataset.config import DatasetConfig
from homefeed.events.config import EventsConfig, Tables
from homefeed.events.importing import import_events
from homefeed.export.export import export_towers
from homefeed.features.config import FeaturesConfig, StatisticsConfig
from homefeed.features.encoder import HistoryItem
from homefeed.index.build import build_index
from homefeed.index.config import IndexConfig
from homefeed.index.layout import VECTORS, load_array
from homefeed.index.pin_ids import PinIds
from homefeed.release.build import build_release
from homefeed.release.bundle import Release
from homefeed.release.redis_users import RedisUsers
from homefeed.release.store import ReleaseStore
from homefeed.release.users import UserSnapshot
from homefeed.release.write_users import write_user_snapshot
from homefeed.towers.config import TrainingConfig
from homefeed.towers.train import train_towers
from pipelines.refresh_corpus import build_pipeline
from serving.torchserve.archive import write_model_store
from tests.data_fixtures import TINY_FEATURES, write_tiny_log
from tests.pipelines.tiny_recipe import TINY_TOWERS, write_recipe
from tests.redis_server import redis_server

# Without decay, a pin's features stay as they are unless somebody engages with it.
FEATURES = FeaturesConfig(
    user=TINY_FEATURES.user,
    pin=TINY_FEATURES.pin,
    history=TINY_FEATURES.history,
    statistics=StatisticsConfig(half_life_days=(0.0,)),
)
CORPUS = CorpusConfig(window_days=None)
OLD_USER, NEW_USER = "001", "of today"
OLD_PIN, NEW_PINS = "pin 0, “0”", ("new", "new too")
TABLES = ("engagements", "pins", "users")
PINS_PER_SHARD = 30
ROUNDING = 1e-6
"""The last bits of a vector depend on how many pins were embedded at once."""


class Production(NamedTuple):
    """A store whose channel `production` stands for a release, and the corpus of that."""

    url: str
    version: str
    corpus: Path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("refresh")


@pytest.fixture(scope="module")
def log(folder: Path) -> EventsConfig:
    return write_tiny_log(folder / "log")


@pytest.fixture(scope="module")
def production(folder: Path, log: EventsConfig) -> Production:
    """A release as train_and_release makes it, by the same calls of the library."""
    made = folder / "made"
    import_events(log, made / "events")
    build_dataset(made / "events", DatasetConfig(), FEATURES, 0, made / "dataset")
    check_data(made / "events", made / "dataset", ChecksConfig(), None, made / "checks")
    training = TrainingConfig(batch_size=64, max_epochs=1)
    train_towers(made / "dataset", TINY_TOWERS, training, 0, made / "towers")
    export_towers(made / "towers", made / "exported")
    select_corpus(made / "dataset", CORPUS, FEATURES, made / "corpus")
    embed_pins(made / "exported", made / "corpus", 0, 1, made / "embeddings")
    build_index(made / "corpus", [made / "embeddings"], IndexConfig(), made / "index")
    write_user_snapshot(made / "dataset", made / "users")
    write_model_store(made / "model-store")
    build_release(
        exported=made / "exported",
        corpus=made / "corpus",
        index=made / "index",
        users=made / "users",
        model_store=made / "model-store",
        output=made / "release",
        profile=read_profile(made / "checks"),
    )
    url = str(folder / "store")
    version = ReleaseStore(url).publish(made / "release", "production")
    return Production(url, version, made / "corpus")


@pytest.fixture(scope="module")
def later(folder: Path, log: EventsConfig) -> EventsConfig:
    """The log a day later: a new user and an old one took up new pins; the old one, an old pin."""
    assert isinstance(log.input, Tables)
    day = folder / "later"
    day.mkdir()
    tables = {name: pq.read_table(folder / "log" / f"{name}.parquet") for name in TABLES}
    now = max(tables["engagements"]["timestamp"].to_pylist()) + 86_400
    added = {
        "engagements": [
            {"user_id": NEW_USER, "pin_id": NEW_PINS[0], "action": "save", "timestamp": now},
            {"user_id": OLD_USER, "pin_id": NEW_PINS[1], "action": "click", "timestamp": now + 1},
            {"user_id": OLD_USER, "pin_id": OLD_PIN, "action": "save", "timestamp": now + 2},
        ],
        "pins": [{"pin_id": pin, "interests": ["cats"], "quality": 0.5} for pin in NEW_PINS],
        "users": [{"user_id": NEW_USER, "age": "new age", "followed_interests": ["art"]}],
    }
    for name, table in tables.items():
        rows = pa.Table.from_pylist(added[name], table.schema)
        pq.write_table(pa.concat_tables([table, rows]), day / f"{name}.parquet")
    paths: dict[str, Any] = {name: str(day / f"{name}.parquet") for name in TABLES}
    return EventsConfig(input=Tables(format="parquet", **paths))


@pytest.fixture
def kfp_here(tmp_path: Path) -> Iterator[None]:
    """Pipelines that are called run on this machine, in processes of their own."""
    local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "runs"))
    of_python = builtins.print
    yield
    # Else components that later tests call would run too.
    local_config.LocalExecutionConfig.instance = None
    # KFP indents what steps print. Two that run at once each take the other's for Python's own.
    builtins.print = of_python


def vectors_of(release: Release) -> dict[str, np.ndarray]:
    pins = PinIds.load(release.index)
    vectors = load_array(release.index, VECTORS)
    return {pins[row]: vector for row, vector in enumerate(vectors)}


def features_of(corpus: Path) -> dict[str, dict[str, Any]]:
    """What the pin tower is told of each pin."""
    columns = [Column.PIN_ID, Column.INTERESTS, "quality", *FEATURES.statistics.columns]
    rows = pq.read_table(corpus / "corpus.parquet", columns=columns).to_pylist()
    return {row[Column.PIN_ID]: row for row in rows}


@pytest.mark.slow
@pytest.mark.usefixtures("kfp_here")
def test_a_refresh_serves_the_later_log_with_the_same_towers(
    production: Production, later: EventsConfig, tmp_path: Path
) -> None:
    recipe = Path(write_recipe(tmp_path / "tiny.yaml", later, features=FEATURES, corpus=CORPUS))
    with redis_server(tmp_path) as redis:
        build_pipeline()(
            recipe=recipe.read_text(),
            store=production.url,
            pins_per_shard=PINS_PER_SHARD,
            redis_url=redis.url,
        )
        fresh = RedisUsers(redis.url, deadline_seconds=60)
        in_redis = {user_id: fresh.get(user_id) for user_id in (OLD_USER, NEW_USER)}
        fresh.close()

    store = ReleaseStore(production.url)
    assert store.resolve("production") != production.version
    assert store.versions() == [production.version, store.resolve("production")]
    old = store.fetch(production.version, tmp_path / "old")
    new = store.fetch("production", tmp_path / "new")
    assert new.embedding_space == old.embedding_space
    profiles = [release.manifest.details[DATA_PROFILE] for release in (old, new)]
    assert profiles[1]["num_engagements"] == profiles[0]["num_engagements"] + 3
    for name in ("user_tower.pt", "pin_tower.pt", "features.json"):
        assert new.manifest.files[name] == old.manifest.files[name]

    with UserSnapshot.open(new.users) as users:
        assert in_redis == {user_id: users.get(user_id) for user_id in in_redis}
        record = users.get(OLD_USER)
        assert record is not None
        assert [item.pin_id for item in record.history[:2]] == [OLD_PIN, NEW_PINS[1]]
        stranger = users.get(NEW_USER)
        assert stranger is not None
        (item,) = stranger.history
        assert item == HistoryItem(NEW_PINS[0], "save", item.timestamp)
        assert new.manifest.window is not None
        assert new.manifest.window.end == record.history[0].timestamp + 1

    (corpus,) = (tmp_path / "runs").glob("*/select-corpus/corpus")
    before, after = features_of(production.corpus), features_of(corpus)
    assert set(after) - set(before) >= set(NEW_PINS)
    vectors_before, vectors_after = vectors_of(old), vectors_of(new)
    assert set(vectors_after) == set(after)
    unchanged = [pin for pin in before if before[pin] == after[pin]]
    assert 0 < len(unchanged) < len(before)
    assert OLD_PIN not in unchanged
    for pin in unchanged:
        np.testing.assert_allclose(vectors_after[pin], vectors_before[pin], atol=ROUNDING)
    assert np.abs(vectors_after[OLD_PIN] - vectors_before[OLD_PIN]).max() > 100 * ROUNDING
    # Both are out of vocabulary, and alike in all else.
    one, other = (vectors_after[pin] for pin in NEW_PINS)
    np.testing.assert_allclose(one, other, atol=ROUNDING)


def tasks() -> dict[str, Any]:
    """The pipeline's steps by name."""
    dags = [component.dag for component in build_pipeline().pipeline_spec.components.values()]
    return {name: task for dag in dags for name, task in dag.tasks.items()}


def test_what_is_looked_at_in_every_run() -> None:
    cached = {name for name, task in tasks().items() if task.caching_options.enable_cache}
    steps = {name for name, task in tasks().items() if not task.HasField("iterator_policy")}
    assert {"read-recipe", "fetch-towers", "publish-release"} <= steps - cached
    assert {"import-events", "refresh-dataset", "embed-pins", "bundle-release"} <= cached


def test_the_release_replaces_the_one_whose_towers_it_has() -> None:
    replaces = tasks()["publish-release"].inputs.parameters["replaces"].task_output_parameter
    assert replaces.producer_task == "fetch-towers"
    assert replaces.output_parameter_key == "version"


def test_a_recipe_is_refused_before_the_log_is_imported() -> None:
    assert "fetch-towers" in tasks()["import-events"].dependent_tasks
