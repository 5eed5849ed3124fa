"""Baselines against the shortest code that says what they are."""

from pathlib import Path

import numpy as np
import pytest

from homefeed.evaluation.baselines import rank_by_ease, rank_by_popularity
from homefeed.evaluation.truth import Truth, read_truth
from homefeed.ranking.metrics import NO_PIN
from homefeed.ranking.ragged import Ragged


@pytest.fixture(scope="module")
def truth(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Truth:
    return read_truth(tiny_dataset, 2.0, None, 0, tmp_path_factory.mktemp("truth") / "output")


def best_unseen(truth: Truth, row: int, scores: np.ndarray, k: int) -> list[int]:
    """By falling score, then by pin_index; filled up."""
    seen = set(truth.seen[row].tolist())
    scored = zip(truth.candidates.tolist(), scores.tolist(), strict=True)
    ranked = sorted((-score, pin) for pin, score in scored if pin not in seen)
    return [pin for _, pin in ranked[:k]] + [NO_PIN] * (k - len(ranked))


# The candidates are 56: the last k leaves every row with places that nothing can fill.
@pytest.mark.parametrize("k", [1, 10, 60])
def test_popularity_ranks_what_is_unseen(truth: Truth, k: int) -> None:
    for scores in (truth.popularity, truth.decayed_popularity, np.zeros(len(truth.candidates))):
        rankings = rank_by_popularity(truth, scores, k)
        for row in range(len(truth.users)):
            assert rankings[row].tolist() == best_unseen(truth, row, scores, k)


@pytest.mark.parametrize("regularisation", [0.5, 50.0])
def test_ease_is_the_closed_form(truth: Truth, regularisation: float) -> None:
    k, num_pins = 10, len(truth.candidates)
    events = np.zeros((len(truth.known), num_pins))
    for row, pins in enumerate(truth.known):
        events[row, truth.columns(pins)] = 1
    inverse = np.linalg.inv(events.T @ events + regularisation * np.eye(num_pins))
    weights = np.eye(num_pins) - inverse / np.diag(inverse)
    scores = events[truth.users] @ weights
    rankings = rank_by_ease(truth, regularisation, k)
    for row in range(len(truth.users)):
        expected = np.array(best_unseen(truth, row, scores[row], k))
        # Single precision may swap pins that score almost the same, so scores are compared.
        found_scores = scores[row, truth.columns(rankings[row])]
        np.testing.assert_allclose(found_scores, scores[row, truth.columns(expected)], atol=1e-5)
        assert len(set(rankings[row].tolist())) == k


def test_seen_pins_are_never_recommended(truth: Truth) -> None:
    rankings = (
        rank_by_popularity(truth, truth.popularity, 60),
        rank_by_popularity(truth, truth.decayed_popularity, 60),
        rank_by_ease(truth, 10.0, 60),
    )
    for ranking in rankings:
        for row, seen in enumerate(truth.seen):
            found = ranking[row][ranking[row] != NO_PIN]
            assert sorted([*found, *seen]) == truth.candidates.tolist()


def test_ease_prefers_what_goes_together() -> None:
    # Users 0..9 took pins 0 and 1, users 10..19 took 2 and 3; user 20 took 0, user 21 took 2.
    taken = [[0, 1]] * 10 + [[2, 3]] * 10 + [[0], [2]]
    pairs = np.array([(row, pin) for row, pins in enumerate(taken) for pin in pins])
    known = Ragged.from_pairs(pairs[:, 0], pairs[:, 1], len(taken))
    users = np.array([20, 21])
    counts = np.bincount(pairs[:, 1]).astype(np.float32)
    truth = Truth(
        users, ("a", "b"), known, known, known, np.arange(4, dtype=np.int32), counts, counts, 2
    )
    assert rank_by_ease(truth, 1.0, 1).tolist() == [[1], [3]]
