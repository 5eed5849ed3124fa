from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest

from homefeed.contracts import Window, read_manifest
from homefeed.dataset.layout import KNOWN
from homefeed.dataset.refresh import refresh_dataset
from homefeed.features.config import Numeric
from homefeed.features.encoder import FEATURES_FILE, FeatureEncoder, Vocabulary


def rows(path: Path) -> list[dict[str, Any]]:
    return pq.read_table(path).to_pylist()


@pytest.fixture
def fitted(tiny_dataset: Path) -> Path:
    """The encoder that was fitted on the small log's training part."""
    return tiny_dataset / FEATURES_FILE


def test_all_of_the_log_is_known_at_its_end(
    tiny_events: Path, tiny_dataset: Path, fitted: Path, tmp_path: Path
) -> None:
    manifest = refresh_dataset(tiny_events, fitted, tmp_path / "dataset")
    found = rows(tmp_path / "dataset" / "engagements.parquet")
    split = rows(tiny_dataset / "engagements.parquet")
    assert found == [event | {"split": KNOWN} for event in split]
    last = max(event["timestamp"] for event in found)
    first = min(event["timestamp"] for event in found)
    assert manifest.details["serving_time"] == last + 1
    assert manifest.window == Window(first, last + 1)
    assert last > read_manifest(tiny_dataset, "dataset").details["serving_time"]
    assert manifest.details["num_events"] == len(found)


def test_tables_are_those_that_the_towers_were_trained_on(
    tiny_events: Path, tiny_dataset: Path, fitted: Path, tmp_path: Path
) -> None:
    manifest = refresh_dataset(tiny_events, fitted, tmp_path / "dataset")
    expected = read_manifest(tiny_dataset, "dataset").files
    for name in ("pins.parquet", "users.parquet", FEATURES_FILE):
        assert manifest.files[name] == expected[name]
    # Nothing that is costly and that serving does not need.
    assert set(manifest.files) == {
        *("pins.parquet", "users.parquet", "engagements.parquet"),
        *("duplicates.parquet", "excluded.parquet"),
        FEATURES_FILE,
    }
    inputs = manifest.inputs
    assert inputs["events"] == read_manifest(tiny_events, "events").fingerprint
    assert inputs[FEATURES_FILE] == expected[FEATURES_FILE]


def with_actions(fitted: Path, path: Path, *actions: str) -> Path:
    encoder = FeatureEncoder.load(fitted)
    msgspec.structs.replace(encoder, actions=Vocabulary(actions)).save(path)
    return path


def test_events_count_whose_action_the_towers_learnt_from(
    tiny_events: Path, fitted: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = rows(tiny_events / "engagements.parquet")
    saves = [event["event_id"] for event in log if event["action"] == "save"]
    features = with_actions(fitted, tmp_path / FEATURES_FILE, "save")
    refresh_dataset(tiny_events, features, tmp_path / "dataset")
    found = rows(tmp_path / "dataset" / "engagements.parquet")
    assert sorted(event["event_id"] for event in found) == sorted(saves)
    said = capfd.readouterr().err
    num_others = len(log) - len(saves)
    assert (
        f"{num_others:,} events are left out: the towers learnt from other actions (save)" in said
    )


def test_a_log_of_other_actions_is_refused(tiny_events: Path, fitted: Path, tmp_path: Path) -> None:
    features = with_actions(fitted, tmp_path / FEATURES_FILE, "buy", "rent")
    with pytest.raises(ValueError, match=r"none of the 1,\d+ events .* learnt from \(buy, rent\)"):
        refresh_dataset(tiny_events, features, tmp_path / "dataset")
    assert not (tmp_path / "dataset" / "manifest.json").exists()


def test_a_log_without_a_feature_of_the_towers_is_refused(
    tiny_events: Path, fitted: Path, tmp_path: Path
) -> None:
    encoder = FeatureEncoder.load(fitted)
    pin = (*encoder.config.pin, Numeric(column="price"))
    config = msgspec.structs.replace(encoder.config, pin=pin)
    msgspec.structs.replace(encoder, config=config).save(tmp_path / FEATURES_FILE)
    with pytest.raises(ValueError, match="features.pin 'price' is no column of the pins"):
        refresh_dataset(tiny_events, tmp_path / FEATURES_FILE, tmp_path / "dataset")
