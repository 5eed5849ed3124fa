"""iALS against its closed form, and settings that validation chooses."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.baselines import Baselines
from benchmarks.config import BaselinesConfig
from benchmarks.ials import rank_by_ials
from homefeed.evaluation.baselines import rank_by_ease, rank_by_popularity
from homefeed.evaluation.truth import Truth, read_truth
from homefeed.ranking.metrics import NO_PIN, find_hits, recall_at_k
from homefeed.ranking.ragged import Ragged

CONFIG = BaselinesConfig(
    half_life_days=(0.5, 7.0),
    ease_regularisation=(1.0, 1000.0),
    ials_factors=(4, 8),
    ials_regularisation=(1.0,),
    ials_alpha=(2.0,),
)


@pytest.fixture
def truth(tiny_dataset: Path, tmp_path: Path) -> Truth:
    return read_truth(tiny_dataset, 7.0, None, 0, tmp_path / "truth")


def test_ials_recommends_what_goes_together() -> None:
    taken = [[0, 1]] * 10 + [[2, 3]] * 10 + [[0], [2]]
    pairs = np.array([(row, pin) for row, pins in enumerate(taken) for pin in pins])
    known = Ragged.from_pairs(pairs[:, 0], pairs[:, 1], len(taken))
    counts = np.bincount(pairs[:, 1]).astype(np.float32)
    truth = Truth(
        users=np.array([20, 21]),
        user_ids=("a", "b"),
        relevant=known,
        known=known,
        learned=known,
        candidates=np.arange(4, dtype=np.int32),
        popularity=counts,
        decayed_popularity=counts,
        num_warm_users=2,
    )
    ranking = rank_by_ials(truth, 2, 0.01, 5.0, seed=0, k=4)
    assert ranking[:, 0].tolist() == [1, 3]
    assert ranking[:, 3].tolist() == [NO_PIN] * 2


def test_ials_ranks_all_that_is_unseen_and_repeats_itself(truth: Truth) -> None:
    ranking = rank_by_ials(truth, 4, 1.0, 2.0, seed=0, k=60)
    for row, seen in enumerate(truth.seen):
        found = ranking[row][ranking[row] != NO_PIN]
        assert sorted([*found, *seen]) == truth.candidates.tolist()
    assert np.array_equal(ranking, rank_by_ials(truth, 4, 1.0, 2.0, seed=0, k=60))


def test_validation_chooses(tiny_dataset: Path, tmp_path: Path, truth: Truth) -> None:
    baselines = Baselines(tiny_dataset, CONFIG, None, 0, tmp_path / "baselines")
    ranking, chosen = baselines.rank("EASE", "recall@10", 20)
    validation = read_truth(tiny_dataset, 7.0, None, 0, tmp_path / "v", asked="validation")
    recalls = [
        recall_at_k(
            find_hits(rank_by_ease(validation, each, 10), validation.relevant),
            validation.relevant.lengths,
            10,
        ).mean()
        for each in CONFIG.ease_regularisation
    ]
    assert chosen == {"regularisation": CONFIG.ease_regularisation[int(np.argmax(recalls))]}
    assert np.array_equal(ranking, rank_by_ease(truth, chosen["regularisation"], 20))


def test_every_baseline_ranks_the_test_split(
    tiny_dataset: Path, tmp_path: Path, truth: Truth
) -> None:
    baselines = Baselines(tiny_dataset, CONFIG, None, 0, tmp_path / "baselines")
    ranking, chosen = baselines.rank("popularity", "ndcg@10", 20)
    assert chosen == {}
    assert np.array_equal(ranking, rank_by_popularity(truth, truth.popularity, 20))
    ranking, chosen = baselines.rank("decayed popularity", "ndcg@10", 20)
    decayed = read_truth(tiny_dataset, chosen["half_life_days"], None, 0, tmp_path / "decayed")
    assert np.array_equal(ranking, rank_by_popularity(decayed, decayed.decayed_popularity, 20))
    ranking, chosen = baselines.rank("iALS", "recall@10", 20)
    assert np.array_equal(ranking, rank_by_ials(truth, **chosen, seed=0, k=20))


def test_some_protocols_learn_from_the_training_part_alone(
    tiny_dataset: Path, tmp_path: Path
) -> None:
    alone = read_truth(tiny_dataset, 7.0, None, 0, tmp_path / "alone", learned=("train",))
    whole = read_truth(tiny_dataset, 7.0, None, 0, tmp_path / "whole")
    assert alone.candidates.tolist() == whole.candidates.tolist()
    assert [row.tolist() for row in alone.seen] == [row.tolist() for row in whole.seen]
    assert alone.popularity.sum() < whole.popularity.sum()
    baselines = Baselines(tiny_dataset, CONFIG, ("train",), 0, tmp_path / "baselines")
    ranking, chosen = baselines.rank("EASE", "recall@10", 20)
    assert np.array_equal(ranking, rank_by_ease(alone, chosen["regularisation"], 20))
    assert not np.array_equal(ranking, rank_by_ease(whole, chosen["regularisation"], 20))
