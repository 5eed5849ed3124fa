"""Artifacts that runs share."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest

from benchmarks.config import IdTable, Sections
from benchmarks.data import Data
from homefeed.contracts import Granularity, read_manifest
from homefeed.events.config import EventsConfig
from homefeed.id_embeddings.config import IdRecipe, PretrainingConfig, Source, TimeWindow
from homefeed.id_embeddings.window_rule import check_table
from homefeed.towers.config import TowersConfig, TrainingConfig
from homefeed.towers.crossing.config import MLPConfig
from homefeed.towers.ids_config import IdsConfig
from homefeed.towers.train import train_towers
from tests.data_fixtures import START, TINY_FEATURES

DAY = 86_400
LATER = datetime.fromtimestamp(START + 3 * DAY, UTC)


def recipe(events: EventsConfig, end: int) -> IdRecipe:
    window = TimeWindow(
        start=datetime.fromtimestamp(START, UTC), end=datetime.fromtimestamp(end, UTC)
    )
    pretraining = PretrainingConfig(dimension=8, batch_size=32, max_epochs=1, device="cpu")
    return IdRecipe(
        name="ids", window=window, sources=(Source(events=events),), pretraining=pretraining
    )


def test_a_start_leaves_out_what_came_before(tiny_log: EventsConfig, tmp_path: Path) -> None:
    data = Data(tmp_path)
    whole = pq.read_table(data.events(tiny_log) / "engagements.parquet").to_pylist()
    folder = data.events(tiny_log, LATER)
    later = pq.read_table(folder / "engagements.parquet").to_pylist()
    start = START + 3 * DAY
    assert later == [row for row in whole if row["timestamp"] >= start]
    window = read_manifest(folder, "events").window
    assert window is not None and window.start == later[0]["timestamp"]
    with pytest.raises(ValueError, match="start leaves no engagement"):
        data.events(tiny_log, datetime(2030, 1, 1, tzinfo=UTC))


def test_what_is_made_is_shared(tiny_log: EventsConfig, tmp_path: Path) -> None:
    data = Data(tmp_path)
    sections = Sections(events=tiny_log, features=TINY_FEATURES)
    first = data.dataset(sections, 1)
    made = first.stat().st_mtime_ns
    other = msgspec.structs.replace(sections, training=TrainingConfig(max_epochs=2))
    assert Data(tmp_path).dataset(other, 1) == first
    assert first.stat().st_mtime_ns == made
    assert data.dataset(msgspec.structs.replace(sections, start=LATER), 1) != first


def test_only_a_disguise_gets_past_the_window_rule(tiny_log: EventsConfig, tmp_path: Path) -> None:
    data = Data(tmp_path)
    dataset = data.dataset(Sections(events=tiny_log, features=TINY_FEATURES, start=LATER), 1)
    training = read_manifest(dataset, "dataset").window
    assert training is not None
    overlapping = recipe(tiny_log, START + 10 * DAY)
    seen = data.ids(IdTable(recipe=overlapping), dataset)
    with pytest.raises(ValueError, match="overlap"):
        check_table(read_manifest(seen, "id_embeddings"), training, Granularity.CANONICAL_SIGNATURE)
    disguised = data.ids(IdTable(recipe=overlapping, is_disguised=True), dataset)
    towers = TowersConfig(
        field_dimension=8, embedding_dimension=8, crossing=MLPConfig(widths=()), ids=IdsConfig()
    )
    short = TrainingConfig(batch_size=64, max_epochs=1, refit=False)
    train_towers(dataset, towers, short, 0, tmp_path / "towers", ids=disguised)
    with pytest.raises(ValueError, match="overlap"):
        train_towers(dataset, towers, short, 0, tmp_path / "other", ids=seen)
    before = data.ids(IdTable(recipe=recipe(tiny_log, START + 3 * DAY)), dataset)
    train_towers(dataset, towers, short, 0, tmp_path / "legal", ids=before)
