from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from homefeed.contracts import read_manifest
from homefeed.corpus import embed as embed_module
from homefeed.corpus.config import CorpusConfig
from homefeed.corpus.embed import embed_pins
from homefeed.corpus.select import select_corpus
from homefeed.export.export import export_towers
from homefeed.features.encoder import FeatureEncoder
from homefeed.index.build import build_index
from homefeed.index.config import IndexConfig
from homefeed.towers.config import TowersConfig, TrainingConfig
from homefeed.towers.crossing.config import MaskNetConfig
from homefeed.towers.load import load_towers
from homefeed.towers.train import train_towers
from tests.data_fixtures import TINY_FEATURES


@pytest.fixture(scope="module")
def artifacts(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with towers, exported towers and a corpus of the tiny data set."""
    folder = tmp_path_factory.mktemp("artifacts")
    towers = TowersConfig(
        field_dimension=4, embedding_dimension=6, crossing=MaskNetConfig(blocks=1, width=8)
    )
    training = TrainingConfig(batch_size=128, max_epochs=1)
    train_towers(tiny_dataset, towers, training, 0, folder / "towers")
    export_towers(folder / "towers", folder / "exported")
    config = CorpusConfig(window_days=None)
    select_corpus(tiny_dataset, config, TINY_FEATURES, folder / "corpus")
    return folder


def test_shards_hold_each_pin_once_with_the_trained_towers_vector(
    artifacts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Batches and shards whose borders do not meet.
    monkeypatch.setattr(embed_module, "PINS_AT_ONCE", 7)
    parts = []
    for shard in range(3):
        output = tmp_path / f"{shard}"
        manifest = embed_pins(artifacts / "exported", artifacts / "corpus", shard, 3, output)
        parts += pq.read_table(output / "embeddings.parquet").to_pylist()
        for fact in ("embedding_space", "dimension", "metric", "normalised"):
            exported = read_manifest(artifacts / "exported", "exported_towers")
            assert manifest.details[fact] == exported.details[fact]
    corpus = pq.read_table(artifacts / "corpus" / "corpus.parquet")
    assert [part["pin_id"] for part in parts] == corpus["pin_id"].to_pylist()
    encoder = FeatureEncoder.load(artifacts / "towers" / "features.json")
    towers = load_towers(artifacts / "towers", encoder)
    columns = {name: corpus[name].to_pylist() for name in corpus.column_names}
    tensors = {n: torch.from_numpy(t) for n, t in encoder.encode_pins(columns).items()}
    with torch.inference_mode():
        expected = towers.embed_pins(tensors).numpy()
    found = np.array([part["embedding"] for part in parts])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    folders = [tmp_path / f"{shard}" for shard in range(3)]
    build_index(artifacts / "corpus", folders, IndexConfig(), tmp_path / "index")


def test_more_shards_than_pins_leave_empty_ones(artifacts: Path, tmp_path: Path) -> None:
    num_pins = read_manifest(artifacts / "corpus", "corpus").details["num_pins"]
    shards = (artifacts / "exported", artifacts / "corpus")
    counts = [
        embed_pins(*shards, shard, 2 * num_pins, tmp_path / f"{shard}").details["num_pins"]
        for shard in (0, 1, 2 * num_pins - 1)
    ]
    assert counts == [0, 1, 1]


def test_a_shard_that_is_none_is_refused(artifacts: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"shard=3 must lie in 0\.\.2"):
        embed_pins(artifacts / "exported", artifacts / "corpus", 3, 3, tmp_path / "out")
