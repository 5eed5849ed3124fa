"""Validation: the towers rank the training part's pins as serving would at its end."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from torch import Tensor

from homefeed.contracts import Column, read_manifest
from homefeed.dataset.layout import DATASET, PIN_INDEX, SPLIT, TRAIN, USER_INDEX, VALIDATION
from homefeed.dataset.statistics import statistics_at
from homefeed.engine import open_engine
from homefeed.events.layout import ENGAGEMENTS_FILE
from homefeed.features.encoder import OUT_OF_VOCABULARY_ROW, FeatureEncoder
from homefeed.ranking.metrics import NO_PIN, find_hits, ndcg_at_k, recall_at_k
from homefeed.ranking.ragged import Ragged
from homefeed.towers.data import EncodedDataset, Histories
from homefeed.towers.model import TwoTowers

CUTOFFS = (10, 100)
MAX_USERS = 5_000
"""A sample of so many users tells epochs apart, and takes seconds."""
USERS_AT_ONCE = 256
PINS_AT_ONCE = 8_192


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
        self._encoded = encoded
        encoder = encoded.encoder
        events = pq.read_table(
            dataset / ENGAGEMENTS_FILE,
            columns=[
                USER_INDEX,
                PIN_INDEX,
                SPLIT,
                Column.ACTION,
                Column.TIMESTAMP,
                Column.EVENT_ID,
            ],
            filters=[(SPLIT, "in", (TRAIN, VALIDATION))],
        )
        is_train = events[SPLIT].to_numpy() == TRAIN
        users, pins = events[USER_INDEX].to_numpy(), events[PIN_INDEX].to_numpy()
        pairs = users * encoded.num_pins + pins
        known = np.unique(pairs[is_train])
        new = np.setdiff1d(pairs[~is_train], known)
        self._users = _warm(known // encoded.num_pins, new // encoded.num_pins, seed)
        if not len(self._users):
            raise ValueError(
                f"{dataset} has no user with both a training event and an unseen pin in the "
                "validation split: give that split a larger share"
            )
        self._relevant = self._ragged(new)
        self._seen = self._ragged(known)
        self._candidates = np.unique(pins[is_train])

        train = events.filter(is_train).sort_by(
            [
                (USER_INDEX, "ascending"),
                (Column.TIMESTAMP.value, "descending"),
                (Column.EVENT_ID.value, "descending"),
            ]
        )
        actions = train[Column.ACTION].to_pylist()
        rows = [encoder.actions.rows.get(action, OUT_OF_VOCABULARY_ROW) for action in actions]
        self._histories = Histories(
            np.searchsorted(train[USER_INDEX].to_numpy(), np.arange(encoded.num_users + 1)),
            train[PIN_INDEX].to_numpy().astype(np.int32),
            np.array(rows, np.int32),
        )
        self._statistics = self._statistics_of(dataset, encoder, scratch)

    def measure(self, towers: TwoTowers) -> dict[str, float]:
        """Recall and NDCG at each cutoff, averaged over users; leaves the towers in eval mode."""
        towers.eval()
        rankings = []
        with torch.inference_mode():
            pins = self._embed_pins(towers)
            for start in range(0, len(self._users), USERS_AT_ONCE):
                rankings.append(self._rank(towers, pins, start))
        hits = find_hits(np.concatenate(rankings), self._relevant)
        num_relevant = self._relevant.lengths
        found = {f"recall@{k}": recall_at_k(hits, num_relevant, k) for k in CUTOFFS}
        found |= {f"ndcg@{k}": ndcg_at_k(hits, num_relevant, k) for k in CUTOFFS}
        return {name: float(values.mean()) for name, values in found.items()}

    def _embed_pins(self, towers: TwoTowers) -> Tensor:
        parts = []
        for start in range(0, len(self._candidates), PINS_AT_ONCE):
            part = slice(start, start + PINS_AT_ONCE)
            statistics = {name: values[part] for name, values in self._statistics.items()}
            parts.append(towers.embed_pins(self._encoded.pins(self._candidates[part], statistics)))
        return torch.cat(parts)

    def _rank(self, towers: TwoTowers, pins: Tensor, start: int) -> np.ndarray:
        """The best pins of the users from a place on, int64 [B, K]."""
        users = self._users[start : start + USERS_AT_ONCE]
        batch = self._encoded.users(users, self._histories, users)
        scores = towers.embed_users(batch) @ pins.T
        seen = self._seen.take(np.arange(start, start + len(users)))
        rows = np.repeat(np.arange(len(users)), seen.lengths)
        scores[rows, np.searchsorted(self._candidates, seen.values)] = -torch.inf
        best = scores.topk(min(max(CUTOFFS), len(self._candidates)), dim=1)
        ranked = np.where(
            torch.isfinite(best.values).cpu(), self._candidates[best.indices.cpu()], NO_PIN
        )
        missing = max(CUTOFFS) - ranked.shape[1]
        return np.pad(ranked, ((0, 0), (0, missing)), constant_values=NO_PIN)

    def _ragged(self, pairs: np.ndarray) -> Ragged:
        """Sorted pairs of users and pins as each validation user's pins."""
        own = pairs[np.isin(pairs // self._encoded.num_pins, self._users)]
        rows = np.searchsorted(self._users, own // self._encoded.num_pins)
        return Ragged.from_pairs(rows, own % self._encoded.num_pins, len(self._users))

    def _statistics_of(
        self, dataset: Path, encoder: FeatureEncoder, scratch: Path
    ) -> dict[str, np.ndarray]:
        """The candidates' statistics at the end of the training part, by column."""
        as_of = read_manifest(dataset, DATASET).details["windows"][TRAIN][1]
        with open_engine(scratch) as engine:
            events = engine.read_parquet(dataset / ENGAGEMENTS_FILE)
            train = events.filter(events[SPLIT] == TRAIN)
            table = statistics_at(train, as_of, encoder.config.statistics)
            found = table.order_by(PIN_INDEX).to_pyarrow()
        assert np.array_equal(found[PIN_INDEX].to_numpy(), self._candidates)
        return {name: found[name].to_numpy() for name in encoder.config.statistics.columns}


def _warm(known: np.ndarray, new: np.ndarray, seed: int) -> np.ndarray:
    """Users with something known and something new, at most `MAX_USERS`, ascending."""
    users = np.intersect1d(known, new)
    if len(users) > MAX_USERS:
        users = np.random.default_rng(seed).choice(users, MAX_USERS, replace=False)
    return np.sort(users)
