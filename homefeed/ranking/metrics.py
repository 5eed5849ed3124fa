"""Ranking metrics, one value a user, in plain numpy.

A ranking is an int array `recommended[U, K]` of pin rows, best first; -1 fills up rows that have
fewer than K pins, and no row holds a pin twice. `relevant` holds each
user's R_u >= 1 right answers.
Every metric is first taken for each user and then averaged over users, all of equal weight.
"""

import numpy as np

from homefeed.ranking.ragged import Ragged

NO_PIN = -1
"""Fills up a ranking that has fewer pins than asked for."""


def find_hits(recommended: np.ndarray, relevant: Ragged) -> np.ndarray:
    """Which places of `recommended[U, K]` hold a relevant pin: bool [U, K]."""
    num_pins = 1 + max(int(recommended.max(initial=0)), int(relevant.values.max(initial=0)))
    first_key = num_pins * np.arange(len(recommended), dtype=np.int64)
    keys = first_key[:, None] + recommended
    right = np.repeat(first_key, relevant.lengths) + relevant.values
    return np.isin(keys, right) & (recommended != NO_PIN)


def recall_at_k(hits: np.ndarray, num_relevant: np.ndarray, k: int) -> np.ndarray:
    """Hits among the first k over all relevant pins, R_u: float64 [U].

    Args:
        hits: bool [U, K], K >= k.
        num_relevant: R_u, [U].
        k: cutoff.
    """
    return hits[:, :k].sum(axis=1) / num_relevant


def ndcg_at_k(hits: np.ndarray, num_relevant: np.ndarray, k: int) -> np.ndarray:
    """Discounted gain over that of the best ranking there could be: float64 [U].

    `DCG = sum over places i = 1..k of hit_i / log2(i + 1)`; the ideal has hits at the first
    `min(k, R_u)` places.

    Args:
        hits: bool [U, K], K >= k.
        num_relevant: R_u, [U].
        k: cutoff.
    """
    discounts = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discounts)[np.minimum(num_relevant, k) - 1]
    return hits[:, :k] @ discounts / ideal


def hit_at_k(hits: np.ndarray, k: int) -> np.ndarray:
    """1 for users with any hit among the first k of `hits[U, K]`, else 0: float64 [U]."""
    return np.any(hits[:, :k], axis=1).astype(np.float64)


def coverage_at_k(recommended: np.ndarray, num_candidates: int, k: int) -> float:
    """Share of the candidates that stand among the first k of anyone's `recommended[U, K]`."""
    shown = np.unique(recommended[:, :k])
    return int((shown != NO_PIN).sum()) / num_candidates
