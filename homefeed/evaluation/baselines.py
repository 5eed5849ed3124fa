"""What the model is measured against: popularity, decayed popularity and EASE.

Each takes what the truth holds as known at serving time and ranks all candidates but those that the
user has seen. A ranking is int64 [U, k] of pin_index, best first, filled up by `NO_PIN`; equal
scores go by pin_index.
"""

from collections.abc import Callable

import numpy as np
from tqdm import tqdm

from homefeed.evaluation.truth import Truth
from homefeed.ranking.metrics import NO_PIN


def rank_by_popularity(truth: Truth, scores: np.ndarray, k: int) -> np.ndarray:
    """The candidates with the highest `scores[P]`, the same for everyone but for what was seen."""
    order = np.argsort(-scores, kind="stable")
    places = np.empty_like(order)
    places[order] = np.arange(len(order))
    ranked = truth.candidates[order]
    rankings = np.full((len(truth.users), k), NO_PIN, np.int64)
    for row, seen in enumerate(tqdm(truth.seen, desc="ranking by popularity", unit="user")):
        head = ranked[: k + len(seen)]
        unseen = np.ones(len(head), bool)
        taken = places[truth.columns(seen)]
        unseen[taken[taken < len(head)]] = False
        best = head[unseen][:k]
        rankings[row, : len(best)] = best
    return rankings


def rank_by_ease(truth: Truth, regularisation: float, k: int) -> np.ndarray:
    """EASE, the closed-form linear item-to-item model (Steck, WWW 2019, arXiv 1905.03375).

    With X the binary users x pins matrix of what may be learned from,
    `P = (X'X + regularisation I)^-1` and `B = I - P / diag(P)`, a user's scores are the user's row
    of X times B. Users are streamed, so that memory is that of the P x P inverse, about 32 bytes
    for each of its cells.

    Args:
        truth: all users' pins, not only those of the warm ones, train the model.
        regularisation: weight of the squared norm of B, lambda in the paper.
        k: pins for each user.
    """
    weights = _ease_weights(truth, regularisation)
    return rank_by_scores(
        truth, lambda row: weights[truth.columns(truth.inputs[row])].sum(axis=0), k, "EASE"
    )


def rank_by_scores(
    truth: Truth, scores_of: Callable[[int], np.ndarray], k: int, name: str
) -> np.ndarray:
    """The candidates that score highest for each warm user.

    Args:
        truth: who is ranked for.
        scores_of: scores of all candidates for a row of `truth.users`, float [P]; may be changed.
        k: pins for each user.
        name: of what ranks, for the progress bar.
    """
    rankings = np.full((len(truth.users), k), NO_PIN, np.int64)
    for row, seen in enumerate(tqdm(truth.seen, desc=f"ranking by {name}", unit="user")):
        scores = scores_of(row)
        scores[truth.columns(seen)] = -np.inf
        best = _best(scores, k)
        rankings[row, : len(best)] = truth.candidates[best]
    return rankings


def _ease_weights(truth: Truth, regularisation: float) -> np.ndarray:
    """B, float32 [P, P]."""
    num_pins = len(truth.candidates)
    gram = np.zeros((num_pins, num_pins))
    for pins in tqdm(truth.learned, desc="counting pairs of pins", unit="user"):
        columns = truth.columns(pins)
        gram[np.ix_(columns, columns)] += 1
    gram[np.diag_indices(num_pins)] += regularisation
    inverse = np.linalg.inv(gram)
    weights = (inverse / -np.diag(inverse)).astype(np.float32)
    np.fill_diagonal(weights, 0)
    return weights


def _best(scores: np.ndarray, k: int) -> np.ndarray:
    """Columns of the up to k highest finite `scores[P]`, best first."""
    cut = len(scores) - k
    top = np.argpartition(scores, cut)[cut:] if cut > 0 else np.arange(len(scores))
    top = top[np.isfinite(scores[top])]
    return top[np.lexsort((top, -scores[top]))]
