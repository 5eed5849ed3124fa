"""Validation: the towers rank the training part's pins as serving would at its end."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from homefeed.dataset.layout import PIN_INDEX, SPLIT, TRAIN, USER_INDEX, VALIDATION
from homefeed.events.layout import ENGAGEMENTS_FILE
from homefeed.ranking.metrics import find_hits, ndcg_at_k, recall_at_k
from homefeed.ranking.ragged import Ragged
from homefeed.towers.data import EncodedDataset
from homefeed.towers.model import TwoTowers
from homefeed.towers.rank import Questions, Ranker

CUTOFFS = (10, 100)
MAX_USERS = 5_000
"""A sample of so many users tells epochs apart, and takes seconds."""


class Validation:
    """Warm users of the validation split: what they had done before it, and did in it.

    All pins of the training part are ranked, but for those that the user has engaged with.
    """

    def __init__(
        self,
        dataset: Path,
        encoded: EncodedDataset,
        seed: int,
        scratch: Path,
    ) -> None:
        """Reads the split.

        Args:
            dataset: the dataset artifact.
            encoded: its users and pins.
            seed: of the sample of users, where there are many.
            scratch: a path beside which tables may spill to disk.

        Raises:
            ValueError: no user has both a training event and an unseen pin in the validation split.
        """
        events = pq.read_table(
            dataset / ENGAGEMENTS_FILE,
            columns=[USER_INDEX, PIN_INDEX, SPLIT],
            filters=[(SPLIT, "in", (TRAIN, VALIDATION))],
        )
        is_train = events[SPLIT].to_numpy() == TRAIN
        self._num_pins = encoded.num_pins
        pairs = events[USER_INDEX].to_numpy() * encoded.num_pins + events[PIN_INDEX].to_numpy()
        known = np.unique(pairs[is_train])
        new = np.setdiff1d(pairs[~is_train], known)
        users = _warm(known // encoded.num_pins, new // encoded.num_pins, seed)
        if not len(users):
            raise ValueError(
                f"{dataset} has no user with both a training event and an unseen pin in the "
                "validation split: give that split a larger share"
            )
        self._relevant = self._ragged(new, users)
        self._asked = Questions(users, self._ragged(known, users))
        self._ranker = Ranker(dataset, encoded, (TRAIN,), scratch)

    def measure(self, towers: TwoTowers) -> dict[str, float]:
        """Recall and NDCG at each cutoff, averaged over users; leaves the towers in eval mode."""
        hits = find_hits(self._ranker.rank(towers, self._asked, max(CUTOFFS)), self._relevant)
        num_relevant = self._relevant.lengths
        found = {f"recall@{k}": recall_at_k(hits, num_relevant, k) for k in CUTOFFS}
        found |= {f"ndcg@{k}": ndcg_at_k(hits, num_relevant, k) for k in CUTOFFS}
        return {name: float(values.mean()) for name, values in found.items()}

    def _ragged(self, pairs: np.ndarray, users: np.ndarray) -> Ragged:
        """Sorted pairs of users and pins as the pins of some users."""
        own = pairs[np.isin(pairs // self._num_pins, users)]
        rows = np.searchsorted(users, own // self._num_pins)
        return Ragged.from_pairs(rows, own % self._num_pins, len(users))


def _warm(known: np.ndarray, new: np.ndarray, seed: int) -> np.ndarray:
    """Users with something known and something new, at most `MAX_USERS`, ascending."""
    users = np.intersect1d(known, new)
    if len(users) > MAX_USERS:
        users = np.random.default_rng(seed).choice(users, MAX_USERS, replace=False)
    return np.sort(users)
