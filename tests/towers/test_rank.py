"""Rankings against scores that are taken pin by pin."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from homefeed.contracts import read_manifest
from homefeed.features.encoder import FeatureEncoder, HistoryItem
from homefeed.ranking.metrics import NO_PIN
from homefeed.ranking.ragged import Ragged
from homefeed.towers.config import ConditionConfig, TowersConfig
from homefeed.towers.crossing.config import MLPConfig
from homefeed.towers.data import EncodedDataset
from homefeed.towers.history.config import ClusteringConfig
from homefeed.towers.model import TwoTowers
from homefeed.towers.rank import Filter, Questions, Ranker

KNOWN = ("train", "validation")
TOWERS = TowersConfig(field_dimension=8, embedding_dimension=8, crossing=MLPConfig(widths=(16,)))
SEVERAL = TowersConfig(
    field_dimension=8,
    embedding_dimension=8,
    crossing=MLPConfig(widths=(16,)),
    interests=ClusteringConfig(embeddings=3, count="fixed"),
)
CONDITIONED = TowersConfig(
    field_dimension=8,
    embedding_dimension=8,
    crossing=MLPConfig(widths=(16,)),
    condition=ConditionConfig(),
)


@pytest.fixture(scope="module")
def encoded(tiny_dataset: Path) -> EncodedDataset:
    return EncodedDataset(tiny_dataset, FeatureEncoder.load(tiny_dataset / "features.json"))


@pytest.fixture(scope="module")
def ranker(
    tiny_dataset: Path, encoded: EncodedDataset, tmp_path_factory: pytest.TempPathFactory
) -> Ranker:
    return Ranker(tiny_dataset, encoded, KNOWN, tmp_path_factory.mktemp("ranker") / "scratch")


def make(encoded: EncodedDataset, config: TowersConfig) -> TwoTowers:
    torch.manual_seed(0)
    return TwoTowers(encoded.encoder, config).eval()


def nothing_seen(num_questions: int) -> Ragged:
    return Ragged(np.zeros(num_questions + 1, np.int64), np.zeros(0, np.int64))


def embedded_users(dataset: Path, towers: TwoTowers, splits: tuple[str, ...]) -> torch.Tensor:
    """As serving embeds them, from raw columns and histories: `[users, K, D]`."""
    encoder = FeatureEncoder.load(dataset / "features.json")
    users = pq.read_table(dataset / "users.parquet").to_pylist()
    events = pq.read_table(dataset / "engagements.parquet").to_pylist()
    histories: dict[int, list] = {user["user_index"]: [] for user in users}
    for event in sorted(events, key=lambda e: (e["timestamp"], e["event_id"]), reverse=True):
        if event["split"] in splits:
            item = HistoryItem(event["pin_id"], event["action"], event["timestamp"])
            histories[event["user_index"]].append(item)
    columns = {each.column: [u[each.column] for u in users] for each in encoder.config.user}
    tensors = encoder.encode_users(columns, [histories[user["user_index"]] for user in users])
    with torch.inference_mode():
        return towers.embed_users({k: torch.from_numpy(v) for k, v in tensors.items()}).vectors


def embedded_pins(dataset: Path, towers: TwoTowers) -> tuple[np.ndarray, torch.Tensor]:
    """Known pins, and their vectors from statistics that are summed event by event."""
    encoder = FeatureEncoder.load(dataset / "features.json")
    pins = {row["pin_index"]: row for row in pq.read_table(dataset / "pins.parquet").to_pylist()}
    known = [
        row
        for row in pq.read_table(dataset / "engagements.parquet").to_pylist()
        if row["split"] in KNOWN
    ]
    time = read_manifest(dataset, "dataset").details["serving_time"]
    candidates = sorted({row["pin_index"] for row in known})
    columns = {
        each.column: [pins[p][each.column] for p in candidates] for each in encoder.config.pin
    }
    config = encoder.config.statistics
    for name, days in zip(config.columns, config.half_life_days, strict=True):
        sums = dict.fromkeys(candidates, 0.0)
        for row in known:
            age = (time - row["timestamp"]) / 86_400
            sums[row["pin_index"]] += 2 ** (-age / days) if days else 1.0
        columns[name] = list(sums.values())
    tensors = encoder.encode_pins(columns)
    with torch.inference_mode():
        vectors = towers.embed_pins({k: torch.from_numpy(v) for k, v in tensors.items()})
    return np.array(candidates), vectors


@pytest.mark.parametrize("splits", [KNOWN, ("train",)])
def test_users_are_ranked_for_as_serving_would(
    tiny_dataset: Path, encoded: EncodedDataset, tmp_path: Path, splits: tuple[str, ...]
) -> None:
    towers = make(encoded, TOWERS)
    users = np.arange(0, encoded.num_users, 3)
    seen = Ragged.from_pairs(
        np.repeat(np.arange(len(users)), 2), np.tile([3, 5], len(users)), len(users)
    )
    ranker = Ranker(tiny_dataset, encoded, KNOWN, tmp_path / "scratch", splits)
    ranking = ranker.rank(towers, Questions(users, seen), 70)
    candidates, pins = embedded_pins(tiny_dataset, towers)
    scores = (embedded_users(tiny_dataset, towers, splits)[users, 0] @ pins.T).numpy()
    assert ranker.candidates.tolist() == candidates.tolist()
    for row in range(len(users)):
        found = ranking[row][ranking[row] != NO_PIN]
        assert sorted([*found.tolist(), 3, 5]) == candidates.tolist()
        own = scores[row, np.searchsorted(candidates, found)]
        assert (np.diff(own) < 1e-5).all()


def test_several_vectors_take_turns_or_compete(
    tiny_dataset: Path, encoded: EncodedDataset, ranker: Ranker
) -> None:
    towers = make(encoded, SEVERAL)
    users = np.arange(encoded.num_users)
    asked = Questions(users, nothing_seen(len(users)))
    turns = ranker.rank(towers, asked, 6)
    best = ranker.rank(towers, asked, 6, "max")
    candidates, pins = embedded_pins(tiny_dataset, towers)
    vectors = embedded_users(tiny_dataset, towers, KNOWN)
    scores = (vectors @ pins.T).numpy()
    is_used = (vectors.norm(dim=2) > 0.5).numpy()
    assert (is_used.sum(axis=1) == 3).any()
    for user in users:
        own = scores[user][is_used[user]]
        # The first of each vector, and the best of all: unless another took it before.
        assert turns[user, 0] == candidates[own[0].argmax()]
        found = np.searchsorted(candidates, best[user])
        np.testing.assert_allclose(
            own.max(axis=0)[found], np.sort(own.max(axis=0))[:-7:-1], rtol=1e-5
        )
        for place, vector in enumerate(own):
            assert candidates[vector.argmax()] in turns[user, : place + 1]


def test_a_filter_lets_its_pins_through(encoded: EncodedDataset, ranker: Ranker) -> None:
    towers = make(encoded, CONDITIONED)
    users = np.array([0, 1, 1])
    pins_of = np.zeros((2, encoded.num_pins), bool)
    pins_of[0, [1, 2]] = pins_of[1, [4]] = True
    only = Filter(pins_of, np.array([0, 0, 1]))
    seen = Ragged(np.array([0, 1, 1, 1]), np.array([2]))
    ranking = ranker.rank(towers, Questions(users, seen, only=only), 3)
    assert ranking[0].tolist() == [1, NO_PIN, NO_PIN]
    assert sorted(ranking[1].tolist()) == [NO_PIN, 1, 2]
    assert ranking[2].tolist() == [4, NO_PIN, NO_PIN]


def test_conditions_reach_the_user_tower(encoded: EncodedDataset, ranker: Ranker) -> None:
    users = np.zeros(5, np.int64)
    conditions = np.array([0, 2, 3, 4, 5])
    asked = Questions(users, nothing_seen(5), conditions=conditions)
    told = ranker.rank(make(encoded, CONDITIONED), asked, 20)
    untold = ranker.rank(make(encoded, TOWERS), asked, 20)
    assert len(np.unique(told, axis=0)) > 1
    assert len(np.unique(untold, axis=0)) == 1
    plain = Questions(users[:1], nothing_seen(1))
    assert ranker.rank(make(encoded, CONDITIONED), plain, 20).tolist() == told[:1].tolist()


def test_nobody_asked_is_nothing_ranked(encoded: EncodedDataset, ranker: Ranker) -> None:
    asked = Questions(np.zeros(0, np.int64), nothing_seen(0))
    assert ranker.rank(make(encoded, TOWERS), asked, 4).shape == (0, 4)
