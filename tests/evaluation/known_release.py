"""A real release of a data set whose tower is simple enough to say what it must recommend."""

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor, nn

from homefeed.contracts import Manifest, write_manifest
from homefeed.corpus.config import CorpusConfig
from homefeed.corpus.select import select_corpus
from homefeed.features.encoder import FEATURES_FILE, FeatureEncoder
from homefeed.index.build import build_index
from homefeed.index.config import IndexConfig
from homefeed.release.build import build_release
from homefeed.release.write_users import write_user_snapshot
from homefeed.towers.layout import TRAINING_FILE, Epoch, Training
from tests.data_fixtures import TINY_FEATURES
from tests.index.artifacts import space_details

DIMENSION = 16
TRAINING = Training(
    epochs=tuple(
        Epoch(
            epoch=epoch,
            train_loss=5.0 / epoch,
            validation={"recall@10": 0.1 * epoch, "ndcg@10": 0.05 * epoch},
            temperature=0.05,
            num_examples=1000,
            seconds={"forward": 1.5},
        )
        for epoch in (1, 2, 3)
    ),
    best_epoch=3,
    metric="recall@10",
)


class KnownRelease(NamedTuple):
    """A release with what it was made of; `vectors[P, D]` are those of all pins by pin_index."""

    folder: Path
    dataset: Path
    towers: Path
    corpus: list[str]
    vectors: np.ndarray


class FadingTower(nn.Module):
    """The history's pins, older ones counting less: their order and the cut both matter."""

    def __init__(self, rows: np.ndarray) -> None:
        super().__init__()
        self.pins = nn.Embedding.from_pretrained(torch.from_numpy(rows))

    def forward(self, features: dict[str, Tensor]) -> Tensor:
        """`history[B, L]` to `[B, 1, D]`."""
        history = features["history"]
        weights = 1.0 / torch.arange(1, history.shape[1] + 1)
        summed = (self.pins(history) * weights[:, None]).sum(dim=1)
        return nn.functional.normalize(summed, dim=1)[:, None, :]


def build_known_release(dataset: Path, folder: Path) -> KnownRelease:
    pins = pq.read_table(dataset / "pins.parquet").to_pylist()
    vectors = np.random.default_rng(5).standard_normal((len(pins), DIMENSION), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    select_corpus(dataset, CorpusConfig(), TINY_FEATURES, folder / "corpus")
    corpus = pq.read_table(folder / "corpus" / "corpus.parquet")["pin_id"].to_pylist()
    index_of = {pin["pin_id"]: pin["pin_index"] for pin in pins}
    write_pin_vectors(folder / "embeddings", corpus, vectors[[index_of[pin] for pin in corpus]])
    build_index(folder / "corpus", [folder / "embeddings"], IndexConfig(), folder / "index")
    write_user_snapshot(dataset, folder / "users")
    (folder / "models" / "homefeed").mkdir(parents=True)
    (folder / "models" / "homefeed" / "model.yaml").write_text("not run here\n")
    write_exported(folder / "exported", dataset, index_of, vectors)
    build_release(
        exported=folder / "exported",
        corpus=folder / "corpus",
        index=folder / "index",
        users=folder / "users",
        model_store=folder / "models",
        output=folder / "release",
    )
    write_towers(folder / "towers")
    return KnownRelease(folder / "release", dataset, folder / "towers", corpus, vectors)


def write_pin_vectors(folder: Path, pin_ids: list[str], vectors: np.ndarray) -> None:
    folder.mkdir()
    embedding = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), DIMENSION)
    pq.write_table(
        pa.table({"pin_id": pin_ids, "embedding": embedding}), folder / "embeddings.parquet"
    )
    write_manifest(folder, Manifest(kind="embeddings", details=space_details(DIMENSION)))


def write_exported(
    folder: Path, dataset: Path, index_of: dict[str, int], vectors: np.ndarray
) -> None:
    folder.mkdir()
    encoder = FeatureEncoder.load(dataset / FEATURES_FILE)
    vocabulary = encoder.vocabularies["pin_id"].values
    nothing = np.zeros((2, DIMENSION), np.float32)
    rows = np.concatenate([nothing, vectors[[index_of[pin] for pin in vocabulary]]])
    torch.jit.script(FadingTower(rows)).save(str(folder / "user_tower.pt"))
    (folder / "pin_tower.pt").write_bytes(b"not run here")
    encoder.save(folder / FEATURES_FILE)
    write_manifest(folder, Manifest(kind="exported_towers", details=space_details(DIMENSION)))


def write_towers(folder: Path) -> None:
    folder.mkdir()
    (folder / TRAINING_FILE).write_bytes(msgspec.json.encode(TRAINING))
    write_manifest(folder, Manifest(kind="towers"))


def best_pins(known: KnownRelease, k: int) -> dict[str, list[int]]:
    """The k pins, as pin_index, that the release must recommend to each user: by brute force."""
    pins = pq.read_table(known.dataset / "pins.parquet").to_pylist()
    index_of = {pin["pin_id"]: pin["pin_index"] for pin in pins}
    vocabulary = FeatureEncoder.load(known.dataset / FEATURES_FILE).vocabularies["pin_id"].values
    histories: dict[str, list[str]] = defaultdict(list)
    for event in pq.read_table(known.dataset / "engagements.parquet").to_pylist():
        if event["split"] != "test":
            histories[event["user_id"]].insert(0, event["pin_id"])
    best = {}
    for user_id, history in histories.items():
        vector = np.zeros(DIMENSION, np.float32)
        for place, pin in enumerate(history[: TINY_FEATURES.history.length]):
            if pin in vocabulary:
                vector += known.vectors[index_of[pin]] / (place + 1)
        unseen = sorted(index_of[pin] for pin in set(known.corpus) - set(history))
        scores = known.vectors[unseen] @ vector
        best[user_id] = [unseen[row] for row in np.argsort(-scores, kind="stable")[:k]]
    return best
