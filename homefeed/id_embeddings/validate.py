"""Validation: how well the tables rank what users took in the held-out last part of the window."""

import numpy as np
import torch
from torch import Tensor

from homefeed.id_embeddings.layout import PINS, USERS
from homefeed.id_embeddings.prepare import Pairs
from homefeed.ranking.metrics import NO_PIN, find_hits, recall_at_k
from homefeed.ranking.ragged import Ragged

CUTOFFS = (10, 100)
BEST_BY = "recall@10"
"""The metric that chooses the number of epochs."""
MAX_USERS = 5_000
"""A sample of so many users tells epochs apart, and takes seconds."""
USERS_AT_ONCE = 256


def hold_out(pairs: Pairs, share: float, seed: int) -> tuple[Pairs, "Validation"]:
    """Parts the positives by time.

    Args:
        pairs: those of the whole window.
        share: what part of them is held out, the last in time; ties in time stay together.
        seed: of the sample of users, where there are many.

    Returns:
        The earlier ones, and the validation on the later ones.

    Raises:
        ValueError: one part is empty, or nobody is in both with a pin that is new to them.
    """
    border = pairs.timestamps[min(int(len(pairs) * (1 - share)), len(pairs) - 1)]
    start = int(np.searchsorted(pairs.timestamps, border))
    before, after = pairs.part(slice(0, start)), pairs.part(slice(start, None))
    validation = Validation(before, after, seed)
    if not validation.num_users:
        raise ValueError(
            f"pretraining.validation_share={share:g} holds out {len(after):,} of {len(pairs):,} "
            "engagements, in which nobody who is known from before takes a known pin that is new "
            "to them: give it a larger share, or the window more time"
        )
    return before, validation


class Validation:
    """Users that were there before: what they had taken, and what new they took after.

    All pins that anyone took before are ranked for a user, but for the user's own.
    """

    def __init__(self, before: Pairs, after: Pairs, seed: int) -> None:
        num_pins = before.num_pins
        self._candidates = np.unique(before.pins)
        known = np.unique(before.users * num_pins + before.pins)
        new = np.setdiff1d(after.users * num_pins + after.pins, known)
        new = new[np.isin(new % num_pins, self._candidates)]
        users = np.intersect1d(known // num_pins, new // num_pins)
        if len(users) > MAX_USERS:
            users = np.random.default_rng(seed).choice(users, MAX_USERS, replace=False)
        self._users = np.sort(users)
        self._relevant, self._seen = (self._of_users(each, num_pins) for each in (new, known))

    @property
    def num_users(self) -> int:
        """Users that are ranked for."""
        return len(self._users)

    @property
    def num_candidates(self) -> int:
        """Pins that are ranked."""
        return len(self._candidates)

    def measure(self, tables: dict[str, Tensor]) -> dict[str, float]:
        """Recall at each cutoff, averaged over users.

        Args:
            tables: unit vectors [rows, D] of users and of pins.
        """
        pins = tables[PINS][self._candidates]
        rankings = [
            self._rank(tables[USERS], pins, start)
            for start in range(0, len(self._users), USERS_AT_ONCE)
        ]
        hits = find_hits(np.concatenate(rankings), self._relevant)
        return {
            f"recall@{k}": float(recall_at_k(hits, self._relevant.lengths, k).mean())
            for k in CUTOFFS
        }

    def _rank(self, users: Tensor, pins: Tensor, start: int) -> np.ndarray:
        """The best pins of the users from a place on, int64 [B, K]."""
        own = self._users[start : start + USERS_AT_ONCE]
        scores = users[own] @ pins.T
        seen = self._seen.take(np.arange(start, start + len(own)))
        rows = np.repeat(np.arange(len(own)), seen.lengths)
        scores[rows, np.searchsorted(self._candidates, seen.values)] = -torch.inf
        best = scores.topk(min(max(CUTOFFS), len(self._candidates)), dim=1)
        return np.where(torch.isfinite(best.values), self._candidates[best.indices], NO_PIN)

    def _of_users(self, pairs: np.ndarray, num_pins: int) -> Ragged:
        """Sorted pairs of users and pins as each of the users' pins."""
        own = pairs[np.isin(pairs // num_pins, self._users)]
        rows = np.searchsorted(self._users, own // num_pins)
        return Ragged.from_pairs(rows, own % num_pins, len(self._users))
