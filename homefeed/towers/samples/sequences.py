"""Each user's engagements are one causal sequence: every place is to be found from those before it.

As in Kang and McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018 (arXiv 1808.09781): a
pass over a sequence trains all its places at once.
"""

from collections.abc import Iterator

import numpy as np
import torch

from homefeed.features.encoder import HISTORY, HISTORY_ACTIONS, HISTORY_AGES, NUMERIC
from homefeed.towers.data import Batch
from homefeed.towers.samples.grouped import GroupedSamples
from homefeed.towers.samples.sample import Sample, share_of

SEQUENCES = (HISTORY, HISTORY_ACTIONS, HISTORY_AGES)
SORTED_BATCHES = 16
"""Users of so many batches are sorted by the length of their sequences, so that a batch has few
places that are padding."""


class SequenceSamples(GroupedSamples):
    """The batches of each epoch, for a causal `towers.sequence`.

    Of a history that is longer than `history.length`, each epoch takes another stretch.
    """

    least = 2

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Sample]:
        """The batches of an epoch, which counts from 1, but for the first ones."""
        offsets, length = self.histories.offsets, self._encoded.encoder.config.history.length
        for number, rows in self._batches(epoch, first):
            random = np.random.default_rng((self._seed, epoch, number, 0))
            # Place j of the input sees what is older than its own, which it is to find.
            num_known = offsets[rows + 1] - offsets[rows] - 1
            skipped = random.integers(0, np.maximum(num_known - length, 0), endpoint=True)
            num_places = np.minimum(num_known, length)
            ends = np.cumsum(num_places)
            drawn = self._draw_places(ends[-1], random)
            point_rows = np.searchsorted(ends, drawn, side="right")
            places = drawn - (ends - num_places)[point_rows]
            items = (offsets[rows] + skipped)[point_rows] + places

            share = share_of(len(rows), self._rank, self._world_size)
            own = slice(*np.searchsorted(point_rows, [share.start, share.stop]).tolist())
            mine = point_rows[own] - share.start, places[own]
            stretches = self._stretches(rows[share], skipped[share], int(num_places.max()))
            users = self._features(stretches, num_places[share], *mine)
            yield self._sample(
                users,
                (torch.from_numpy(mine[0]), torch.from_numpy(mine[1])),
                own,
                self._users[rows][point_rows],
                items,
                np.arange(len(items)),
            )

    def _order(self, random: np.random.Generator) -> np.ndarray:
        shuffled = super()._order(random)
        lengths = np.diff(self.histories.offsets)
        size = SORTED_BATCHES * self.batch_size
        groups = [shuffled[start : start + size] for start in range(0, len(shuffled), size)]
        by_length = np.concatenate(
            [group[np.argsort(lengths[group], kind="stable")] for group in groups]
        )
        # The last batch is filled up with the first one's users, so it stays where it is.
        num_whole = len(shuffled) // self.batch_size
        whole = by_length[: num_whole * self.batch_size].reshape(num_whole, self.batch_size)
        return np.concatenate([random.permutation(whole).ravel(), by_length[whole.size :]])

    def _draw_places(self, num_places: int, random: np.random.Generator) -> np.ndarray:
        """Which of a batch's places are to be found, ascending."""
        most = self._training.places_per_batch
        if most is None or most >= num_places:
            return np.arange(num_places)
        return np.sort(random.choice(num_places, most, replace=False))

    def _stretches(self, rows: np.ndarray, skipped: np.ndarray, length: int) -> Batch:
        """What is known before the newest item of each user's stretch."""
        return self._encoded.users(self._users[rows], self.histories, rows, skipped + 1, length)

    def _features(
        self, older: Batch, num_places: np.ndarray, point_rows: np.ndarray, places: np.ndarray
    ) -> Batch:
        """Sequences of users, and of each point, of which place it is, what else is known."""
        features = {
            name: tensor if name in SEQUENCES else tensor[point_rows]
            for name, tensor in older.items()
        }
        lengths = self._encoded.encoder.scale_lengths(num_places[point_rows] - places)
        numbers = features[NUMERIC]
        features[NUMERIC] = torch.cat([torch.from_numpy(lengths), numbers[:, 1:]], dim=1)
        return features
